;; It answers 100,000 buffers that all are the same 4 MiB: 400 GiB.
;;@memory
(memory (export "memory") 100)
;;@process
(func (export "azora:plugin/transform@0.1.0#process")
  (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
  (i64.store (i32.const 3080) (local.get $rows))
  (i32.store (i32.const 3088) (local.get $nodes))
  (i32.store (i32.const 3092) (local.get $n_nodes))
  (i32.store (i32.const 3096) (local.get $buffers))
  (i32.store (i32.const 3100) (local.get $n_buffers))
  (call $many)
  (i32.store (i32.const 3096) (i32.const 65536))
  (i32.store (i32.const 3100) (i32.const 100000))
  (i32.const 3072))
;;@extra
(func $many (local $at i32)
  (local.set $at (i32.const 65536))
  (loop $next
    (i32.store (local.get $at) (i32.const 0))
    (i32.store offset=4 (local.get $at) (i32.const 4194304))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br_if $next (i32.lt_u (local.get $at) (i32.const 865536)))))
