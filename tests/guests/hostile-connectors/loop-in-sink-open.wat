;; sink-open never ends.
;;@sink-open
(func (export "azora:plugin/sink@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
  (loop (br 0))
  (i32.const 0))
