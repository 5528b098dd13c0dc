;; It lists one function twice.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (memory.copy (i32.const 3300) (i32.const 1144) (i32.const 60)) (memory.copy (i32.const 3360) (i32.const 1144) (i32.const 60)) (i32.store (i32.const 1228) (i32.const 3300)) (i32.store (i32.const 1232) (i32.const 2))
  (i32.const 1204))
