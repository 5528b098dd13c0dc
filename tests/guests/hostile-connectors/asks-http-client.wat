;; Sends a request, though nothing was granted.
;;@imports
(import "azora:plugin/http-client@0.1.0" "send" (func $ask (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
;;@read
(func (export "azora:plugin/source@0.1.0#read") (param i32 i64) (result i32)
  (call $ask (i32.const 1024) (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2400))
  unreachable)
