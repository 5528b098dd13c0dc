;; Reads the time, though nothing was granted.
;;@imports
(import "azora:plugin/clock@0.1.0" "now-ms" (func $ask (result i64)))
;;@read
(func (export "azora:plugin/source@0.1.0#read") (param i32 i64) (result i32)
  (drop (call $ask))
  unreachable)
