;; finish never ends.
;;@finish
(func (export "azora:plugin/transform@0.1.0#finish") (result i32)
  (loop (br 0))
  (i32.const 0))
