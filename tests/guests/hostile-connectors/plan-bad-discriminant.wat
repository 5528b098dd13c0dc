;; Neither ok nor an error.
;;@plan
(func (export "azora:plugin/source@0.1.0#plan") (param i32 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 2048) (i32.const 9))
  (i32.const 2048))
