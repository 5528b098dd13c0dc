;; 100,000 rows where 8,192 were asked for.
;;@memory
(memory (export "memory") 32)
;;@read
(func (export "azora:plugin/source@0.1.0#read") (param i32 i64) (result i32)
  (i64.store (i32.const 1400) (i64.const 100000))
  (i32.store (i32.const 1424) (i32.const 65536))
  (i32.store (i32.const 1428) (i32.const 800000))
  (i64.store (i32.const 2192) (i64.const 100000))
  (i32.store (i32.const 2200) (i32.const 1400))
  (i32.store (i32.const 2204) (i32.const 1))
  (i32.store (i32.const 2208) (i32.const 1416))
  (i32.store (i32.const 2212) (i32.const 2))
  (i32.store (i32.const 2216) (i32.const 1024))
  (i32.store (i32.const 2220) (i32.const 1))
  (i32.const 2176))
