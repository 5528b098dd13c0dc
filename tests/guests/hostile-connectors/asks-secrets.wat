;; Reads a secret, though nothing was granted.
;;@imports
(import "azora:plugin/secrets@0.1.0" "get" (func $ask (param i32 i32 i32)))
;;@commit
(func (export "azora:plugin/sink@0.1.0#commit") (param i32 i32 i32 i32 i32 i32) (result i32)
  (call $ask (i32.const 1024) (i32.const 1) (i32.const 2400))
  unreachable)
