;; Its parameters are lists in lists in lists, 900 deep.
;;@memory
(memory (export "memory") 3)
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (call $deep)
  (i32.store (i32.const 1164) (i32.const 65536)) (i32.store (i32.const 1168) (i32.const 900))
  (i32.const 1204))
;;@extra
(func $deep (local $at i32)
  (local.set $at (i32.const 65536))
  (loop $next
    (i32.store8 offset=8 (local.get $at) (i32.const 27))
    (i32.store offset=32 (local.get $at) (i32.const 1))
    (local.set $at (i32.add (local.get $at) (i32.const 44)))
    (br_if $next (i32.lt_u (local.get $at) (i32.const 105136)))))
