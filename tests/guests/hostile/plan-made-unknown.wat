;; Its plan has a made column that it does not make.
;;@open
(func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 1256) (i32.const 1000000))
  (i32.const 1272))
