;; Its offsets go beyond its values.
;;@open
(func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 1092) (i32.const 21))
  (i32.const 1272))
;;@process
(func (export "azora:plugin/transform@0.1.0#process")
  (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
  (i64.store (i32.const 3080) (i64.const 2))
  (i32.store (i32.const 3088) (i32.const 3400))
  (i32.store (i32.const 3092) (i32.const 1))
  (i32.store (i32.const 3096) (i32.const 3420))
  (i32.store (i32.const 3100) (i32.const 3))
  (i32.const 3072))
;;@extra
(data (i32.const 3400) "\02\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
(data (i32.const 3420) "\00\00\00\00\00\00\00\00\ac\0d\00\00\0c\00\00\00\c0\0d\00\00\04\00\00\00")
(data (i32.const 3500) "\00\00\00\00\02\00\00\00@B\0f\00")
(data (i32.const 3520) "abcd")
