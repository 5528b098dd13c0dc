;; Its plan promises text and it answers integers.
;;@open
(func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 1092) (i32.const 21))
  (i32.const 1272))
