;; It refuses with a message of control characters.
;;@open
(func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 3400) (i32.const 1))
  (i32.store8 (i32.const 3408) (i32.const 1))
  (i32.store (i32.const 3412) (i32.const 3300))
  (i32.store (i32.const 3416) (i32.const 12))
  (i32.const 3400))
;;@extra
(data (i32.const 3300) "\1b[31mred\00\07\0d\0a")
