;; Its describe answers a number.
(component
  (core module $m (func (export "d") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m))
  (func $d (result u32) (canon lift (core func $i "d")))
  (instance $x (export "describe" (func $d)))
  (export "azora:plugin/describe@0.1.0" (instance $x)))
