;; Its function is of a kind that is not there.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (i32.store8 (i32.const 1152) (i32.const 99))
  (i32.const 1204))
