;; plan traps.
;;@plan
(func (export "azora:plugin/source@0.1.0#plan") (param i32 i32 i32 i32 i32) (result i32)
  unreachable)
