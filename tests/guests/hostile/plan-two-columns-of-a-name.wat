;; Its plan gives two columns one name.
;;@open
(func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (memory.fill (i32.const 3300) (i32.const 0) (i32.const 32)) (i32.store (i32.const 1296) (i32.const 3300)) (i32.store (i32.const 1300) (i32.const 2))
  (i32.const 1272))
