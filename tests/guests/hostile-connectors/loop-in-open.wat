;; open never ends.
;;@open
(func (export "azora:plugin/source@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (loop (br 0))
  (i32.const 0))
