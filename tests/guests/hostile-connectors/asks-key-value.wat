;; Keeps something, though nothing was granted.
;;@imports
(import "azora:plugin/key-value@0.1.0" "set" (func $ask (param i32 i32 i32 i32 i32)))
;;@write
(func (export "azora:plugin/sink@0.1.0#write") (param i64 i32 i32 i32 i32) (result i32)
  (call $ask (i32.const 1024) (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 2400))
  unreachable)
