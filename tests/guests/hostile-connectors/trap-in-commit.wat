;; commit traps.
;;@commit
(func (export "azora:plugin/sink@0.1.0#commit") (param i32 i32 i32 i32 i32 i32) (result i32)
  unreachable)
