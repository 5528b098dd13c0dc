;; A healthy plugin: one function, "double", over one Int64 column. Every hostile case is this module with some of its
;; sections replaced, so that nothing but the attack differs.
;;
;; Memory: constants from 1024 (field 1084, metadata 1128, function 1144, manifest 1204, columns 1252, needs 1268, answer of open 1272);
;; the answer of process at 3072, the answer of finish (zeros: ok, none) at 3200; what the host allocates from 4096.
(module
;;@imports
;;@memory
  (memory (export "memory") 1)
;;@realloc
  (global $top (mut i32) (i32.const 4096))
  (func $realloc (export "cabi_realloc") (param $old i32) (param $old_bytes i32) (param $align i32) (param $bytes i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $top (i32.add (local.get $at) (local.get $bytes)))
    (if (i32.gt_u (global.get $top) (i32.shl (memory.size) (i32.const 16)))
      (then
        (if (i32.lt_s
              (memory.grow (i32.shr_u (i32.add (i32.sub (global.get $top) (i32.shl (memory.size) (i32.const 16))) (i32.const 65535)) (i32.const 16)))
              (i32.const 0))
          (then unreachable))))
    (local.get $at))
;;@describe
  (func (export "azora:plugin/describe@0.1.0#describe") (result i32) (i32.const 1204))
;;@open
  (func (export "azora:plugin/transform@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 1272))
;;@process
  (func (export "azora:plugin/transform@0.1.0#process")
    (param $rows i64) (param $nodes i32) (param $n_nodes i32) (param $buffers i32) (param $n_buffers i32) (result i32)
    (local $at i32) (local $end i32)
    (local.set $at (i32.load offset=8 (local.get $buffers)))
    (local.set $end (i32.add (local.get $at) (i32.shl (i32.wrap_i64 (local.get $rows)) (i32.const 3))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (i64.store (local.get $at) (i64.shl (i64.load (local.get $at)) (i64.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $next)))
    (i64.store (i32.const 3080) (local.get $rows))
    (i32.store (i32.const 3088) (local.get $nodes))
    (i32.store (i32.const 3092) (local.get $n_nodes))
    (i32.store (i32.const 3096) (local.get $buffers))
    (i32.store (i32.const 3100) (local.get $n_buffers))
    (i32.const 3072))
;;@post
  (func (export "cabi_post_azora:plugin/transform@0.1.0#process") (param i32) (global.set $top (i32.const 4096)))
;;@finish
  (func (export "azora:plugin/transform@0.1.0#finish") (result i32) (i32.const 3200))
;;@data
  (data (i32.const 1024)
    "hostile1.0.100doubles integersdoublevalueazora:elementscalar"
    "$\04\00\00\05\00\00\00\05\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
    ")\04\00\00\0d\00\00\006\04\00\00\06\00\00\00\1e\04\00\00\06\00\00\00\00\00\00\00\0e\04\00\00\10\00\00\00<\04\00\00\01\00\00\00"
    "\00\00\00\00\00\00\00\00<\04\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\04\00\00\07\00\00\00\07\04\00\00"
    "\07\00\00\00\0e\04\00\00\10\00\00\00x\04\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
    "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00<\04\00\00\01\00\00\00h\04\00\00\01\00\00\00\e4\04\00\00\01\00\00\00"
    "\f4\04\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
;;@extra
)
