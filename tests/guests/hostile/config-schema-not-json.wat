;; The JSON Schema of its configuration is no JSON.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (i32.store (i32.const 1196) (i32.const 3300)) (i32.store (i32.const 1200) (i32.const 5))
  (i32.const 1204))
;;@extra
(data (i32.const 3300) "{nope")
