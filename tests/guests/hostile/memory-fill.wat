;; Fills all the memory it gets by bulk instructions, for ever.
;;@process
(func (export "azora:plugin/transform@0.1.0#process")
  (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
  (loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
  (loop $fill
    (memory.fill (i32.const 0) (i32.const 255) (i32.shl (memory.size) (i32.const 16)))
    (br $fill))
  unreachable)
