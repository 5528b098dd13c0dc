;; read never ends.
;;@read
(func (export "azora:plugin/source@0.1.0#read") (param i32 i64) (result i32)
  (loop (br 0))
  (i32.const 0))
