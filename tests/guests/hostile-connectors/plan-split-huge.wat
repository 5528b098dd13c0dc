;; A split of 70,000 bytes.
;;@memory
(memory (export "memory") 32)
;;@plan
(func (export "azora:plugin/source@0.1.0#plan") (param i32 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 1360) (i32.const 65536))
  (i32.store (i32.const 1364) (i32.const 70000))
  (i32.store (i32.const 2056) (i32.const 1084))
  (i32.store (i32.const 2060) (i32.const 1))
  (i32.store (i32.const 2072) (i32.const 1360))
  (i32.store (i32.const 2076) (i32.const 1))
  (i32.const 2048))
