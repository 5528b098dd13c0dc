;; A parameter has a name of 60,000 bytes.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (i32.store (i32.const 1084) (i32.const 4096)) (i32.store (i32.const 1088) (i32.const 60000))
  (i32.const 1204))
;;@extra
(func $a (memory.fill (i32.const 4096) (i32.const 97) (i32.const 60000)))
(start $a)
