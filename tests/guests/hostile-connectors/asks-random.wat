;; Asks for random bytes, though nothing was granted.
;;@imports
(import "azora:plugin/random@0.1.0" "bytes" (func $ask (param i32 i32)))
;;@plan
(func (export "azora:plugin/source@0.1.0#plan") (param i32 i32 i32 i32 i32) (result i32)
  (call $ask (i32.const 8) (i32.const 2400))
  unreachable)
