;; Its parameters are a schema of 100,000 fields.
;;@memory
(memory (export "memory") 80)
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (i32.store (i32.const 1164) (i32.const 65536)) (i32.store (i32.const 1168) (i32.const 100000))
  (i32.const 1204))
