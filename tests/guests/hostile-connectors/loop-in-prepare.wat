;; prepare never ends.
;;@prepare
(func (export "azora:plugin/sink@0.1.0#prepare") (result i32)
  (loop (br 0))
  (i32.const 0))
