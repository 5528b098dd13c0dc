;; Its plan passes column 9 of one.
;;@open
(func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 1252) (i32.const 1)) (i32.store (i32.const 1256) (i32.const 9)) (i32.store (i32.const 1260) (i32.const 1060)) (i32.store (i32.const 1264) (i32.const 5))
  (i32.const 1272))
