;; Its list of nodes claims 2^28 entries.
;;@process
(func (export "azora:plugin/transform@0.1.0#process")
  (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
  (i64.store (i32.const 3080) (local.get $rows))
  (i32.store (i32.const 3088) (local.get $nodes))
  (i32.store (i32.const 3092) (local.get $n_nodes))
  (i32.store (i32.const 3096) (local.get $buffers))
  (i32.store (i32.const 3100) (local.get $n_buffers))
  (i32.store (i32.const 3092) (i32.const 0x10000000))
  (i32.const 3072))
