;; Its name is not UTF-8.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (i32.store (i32.const 1204) (i32.const 3300)) (i32.store (i32.const 1208) (i32.const 4))
  (i32.const 1204))
;;@extra
(data (i32.const 3300) "\c3\28\ff\fe")
