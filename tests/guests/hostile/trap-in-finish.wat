;; finish traps.
;;@finish
(func (export "azora:plugin/transform@0.1.0#finish") (result i32) unreachable)
