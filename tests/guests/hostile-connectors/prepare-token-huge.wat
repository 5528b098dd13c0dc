;; A token of 70,000 bytes.
;;@memory
(memory (export "memory") 32)
;;@prepare
(func (export "azora:plugin/sink@0.1.0#prepare") (result i32)
  (i32.store (i32.const 2248) (i32.const 65536))
  (i32.store (i32.const 2252) (i32.const 70000))
  (i32.const 2240))
