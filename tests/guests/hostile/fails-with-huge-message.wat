;; It fails with a message of 32 MiB.
;;@process
(func (export "azora:plugin/transform@0.1.0#process")
  (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
  (drop (memory.grow (i32.const 520)))
  (memory.fill (i32.const 65536) (i32.const 120) (i32.const 33554432))
  (i32.store8 (i32.const 3400) (i32.const 1))
  (i32.store8 (i32.const 3408) (i32.const 3))
  (i32.store (i32.const 3412) (i32.const 65536))
  (i32.store (i32.const 3416) (i32.const 33554432))
  (i32.const 3400))
