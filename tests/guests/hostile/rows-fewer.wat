;; It drops a row and says that it kept all.
;;@extra
(data (i32.const 1252) "\01\00\00\00\00\00\00\00") (data (i32.const 1260) "\e8\03\00\00\01\00\00\00")
;;@open
(func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 1252) (i32.const 1)) (i32.store (i32.const 1256) (i32.const 0)) (i32.store (i32.const 1260) (i32.const 1060)) (i32.store (i32.const 1264) (i32.const 5))
  (i32.const 1272))
;;@process
(func (export "azora:plugin/transform@0.1.0#process")
  (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
  (i64.store (i32.const 3080) (local.get $rows))
  (i32.store (i32.const 3088) (local.get $nodes))
  (i32.store (i32.const 3092) (local.get $n_nodes))
  (i32.store (i32.const 3096) (local.get $buffers))
  (i32.store (i32.const 3100) (local.get $n_buffers))
  (i64.store (i32.const 3080) (i64.sub (local.get $rows) (i64.const 1)))
  (i64.store (local.get $nodes) (i64.sub (local.get $rows) (i64.const 1)))
  (i32.const 3072))
