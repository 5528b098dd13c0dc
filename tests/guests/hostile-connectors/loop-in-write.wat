;; write never ends.
;;@write
(func (export "azora:plugin/sink@0.1.0#write") (param i64 i32 i32 i32 i32) (result i32)
  (loop (br 0))
  (i32.const 0))
