;; Its plan has four billion columns.
;;@open
(func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 1296) (i32.const 0)) (i32.store (i32.const 1300) (i32.const 4294967295))
  (i32.const 1272))
