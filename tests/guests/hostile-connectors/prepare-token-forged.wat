;; A token that lies outside of memory.
;;@prepare
(func (export "azora:plugin/sink@0.1.0#prepare") (result i32)
  (i32.store (i32.const 2248) (i32.const 0x7ffffff0))
  (i32.store (i32.const 2252) (i32.const 8))
  (i32.const 2240))
