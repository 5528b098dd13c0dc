;; Its name is not one: it has a slash and dots.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (i32.store (i32.const 1204) (i32.const 3300)) (i32.store (i32.const 1208) (i32.const 9))
  (i32.const 1204))
;;@extra
(data (i32.const 3300) "../../etc")
