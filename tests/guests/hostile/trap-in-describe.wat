;; describe traps.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32) unreachable)
