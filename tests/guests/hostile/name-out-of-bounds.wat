;; Its name lies outside its memory.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (i32.store (i32.const 1204) (i32.const 2147483647)) (i32.store (i32.const 1208) (i32.const 8))
  (i32.const 1204))
