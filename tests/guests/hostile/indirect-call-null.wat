;; Calls an empty table element.
;;@process
(func (export "azora:plugin/transform@0.1.0#process")
  (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
  (call_indirect $t (result i32) (i32.const 0)))
;;@extra
(table $t 1 funcref)
