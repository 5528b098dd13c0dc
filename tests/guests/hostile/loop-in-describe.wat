;; describe never ends.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (loop (br 0))
  (i32.const 0))
