;; Its plan needs column 7 of one.
;;@open
(func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 1268) (i32.const 7))
  (i32.const 1272))
