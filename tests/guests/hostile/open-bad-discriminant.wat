;; Its result is neither ok nor an error.
;;@open
(func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 1272) (i32.const 5))
  (i32.const 1272))
