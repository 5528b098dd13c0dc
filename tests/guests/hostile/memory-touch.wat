;; Takes all the memory it gets and writes to all of it, for ever.
;;@process
(func (export "azora:plugin/transform@0.1.0#process")
  (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
  (local $at i32)
  (loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
  (loop $touch
    (local.set $at (i32.rem_u (i32.add (local.get $at) (i32.const 4096)) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8))))
    (i64.store (local.get $at) (i64.const -1))
    (br $touch))
  unreachable)
