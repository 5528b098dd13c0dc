;; Logs with a level that is not there.
;;@imports
(import "azora:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
;;@process
(func (export "azora:plugin/transform@0.1.0#process")
  (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
  (call $log (i32.const 77) (i32.const 1024) (i32.const 4))
  unreachable)
