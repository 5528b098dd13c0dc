;; Its name is a kilobyte long.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (i32.store (i32.const 1204) (i32.const 3300)) (i32.store (i32.const 1208) (i32.const 1024))
  (i32.const 1204))
;;@memory
(memory (export "memory") 1)
;;@extra
(func $a (memory.fill (i32.const 3300) (i32.const 97) (i32.const 1024)))
(start $a)
