;; write traps.
;;@write
(func (export "azora:plugin/sink@0.1.0#write") (param i64 i32 i32 i32 i32) (result i32)
  unreachable)
