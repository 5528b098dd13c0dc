;; It says one row less than its columns have.
;;@process
(func (export "azora:plugin/transform@0.1.0#process")
  (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
  (i64.store (i32.const 3080) (local.get $rows))
  (i32.store (i32.const 3088) (local.get $nodes))
  (i32.store (i32.const 3092) (local.get $n_nodes))
  (i32.store (i32.const 3096) (local.get $buffers))
  (i32.store (i32.const 3100) (local.get $n_buffers))
  (i64.store (i32.const 3080) (i64.sub (local.get $rows) (i64.const 1)))
  (i32.const 3072))
