;; Its version is not semantic.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (i32.store (i32.const 1212) (i32.const 3300)) (i32.store (i32.const 1216) (i32.const 3))
  (i32.const 1204))
;;@extra
(data (i32.const 3300) "1.x")
