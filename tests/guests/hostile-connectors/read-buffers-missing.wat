;; A batch of another schema: one buffer too few.
;;@read
(func (export "azora:plugin/source@0.1.0#read") (param i32 i64) (result i32)
  (i64.store (i32.const 2192) (i64.const 1))
  (i32.store (i32.const 2200) (i32.const 1400))
  (i32.store (i32.const 2204) (i32.const 1))
  (i32.store (i32.const 2208) (i32.const 1416))
  (i32.store (i32.const 2212) (i32.const 1))
  (i32.store (i32.const 2216) (i32.const 1024))
  (i32.store (i32.const 2220) (i32.const 1))
  (i32.const 2176))
