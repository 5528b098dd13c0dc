;; Its plan has a column of a kind that is not there.
;;@open
(func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 1252) (i32.const 17))
  (i32.const 1272))
