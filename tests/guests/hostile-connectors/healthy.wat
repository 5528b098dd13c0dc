;; A healthy plugin with a source and a sink, both named "c": one split, one row, one token. Every hostile connector is this
;; module with some of its sections replaced, so that nothing but the attack differs.
;;
;; Memory: texts from 1024, the field 1084 ("value", Int64), the manifest 1200, the connectors 1264, the splits 1360, the nodes
;; 1400, the buffers 1416, the row 1440; answers: plan 2048, open 2112, read 2176, prepare 2240, everything else 2304 (zeros: ok);
;; what the host allocates from 4096.
(module
;;@imports
;;@memory
  (memory (export "memory") 1)
;;@realloc
  (global $top (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param $old i32) (param $old_bytes i32) (param $align i32) (param $bytes i32) (result i32)
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
  (func (export "azora:plugin/describe@0.1.0#describe") (result i32) (i32.const 1200))
;;@plan
  (func (export "azora:plugin/source@0.1.0#plan") (param i32 i32 i32 i32 i32) (result i32)
    (i32.store (i32.const 2056) (i32.const 1084)) ;; fields
    (i32.store (i32.const 2060) (i32.const 1))
    (i32.store (i32.const 2072) (i32.const 1360)) ;; splits
    (i32.store (i32.const 2076) (i32.const 1))
    (i32.const 2048))
;;@open
  (func (export "azora:plugin/source@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 2112))
;;@read
  (global $reads (mut i32) (i32.const 0))
  (func (export "azora:plugin/source@0.1.0#read") (param i32 i64) (result i32)
    (if (i32.eqz (global.get $reads))
      (then
        (global.set $reads (i32.const 1))
        (i32.store8 (i32.const 2184) (i32.const 0)) ;; batch
        (i64.store (i32.const 2192) (i64.const 1)) ;; rows
        (i32.store (i32.const 2200) (i32.const 1400)) ;; nodes
        (i32.store (i32.const 2204) (i32.const 1))
        (i32.store (i32.const 2208) (i32.const 1416)) ;; buffers
        (i32.store (i32.const 2212) (i32.const 2))
        (i32.store (i32.const 2216) (i32.const 1024)) ;; position
        (i32.store (i32.const 2220) (i32.const 1)))
      (else (i32.store8 (i32.const 2184) (i32.const 2)))) ;; end
    (i32.const 2176))
;;@sink-open
  (func (export "azora:plugin/sink@0.1.0#open")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32) (i32.const 2304))
;;@write
  (func (export "azora:plugin/sink@0.1.0#write") (param i64 i32 i32 i32 i32) (result i32) (i32.const 2304))
;;@prepare
  (func (export "azora:plugin/sink@0.1.0#prepare") (result i32)
    (i32.store (i32.const 2248) (i32.const 1024))
    (i32.store (i32.const 2252) (i32.const 1))
    (i32.const 2240))
;;@commit
  (func (export "azora:plugin/sink@0.1.0#commit") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 2304))
;;@abort
  (func (export "azora:plugin/sink@0.1.0#abort") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 2304))
;;@data
  (data (i32.const 1024) "c1.0.100hostile-connector value")
  ;; The field: its name, Int64, not nullable, no children, no metadata.
  (data (i32.const 1084)
    "\1a\04\00\00\05\00\00\00\05\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  ;; The manifest: name, version, doc, no functions, two connectors, all five capabilities.
  (data (i32.const 1200)
    "\08\04\00\00\11\00\00\00\01\04\00\00\07\00\00\00\00\04\00\00\00\00\00\00\00\00\00\00\00\00\00\00\f0\04\00\00\02\00\00\00(\05\00\00\05\00\00\00")
  (data (i32.const 1264)
    "\00\04\00\00\01\00\00\00\00\00\00\00\00\04\00\00\00\00\00\00\00\04\00\00\00\00\00\00"
    "\00\04\00\00\01\00\00\00\01\00\00\00\00\04\00\00\00\00\00\00\00\04\00\00\00\00\00\00"
    "\00\01\02\03\04")
  (data (i32.const 1360) "\00\04\00\00\01\00\00\00")
  (data (i32.const 1400) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 1416) "\00\04\00\00\00\00\00\00\a0\05\00\00\08\00\00\00")
  (data (i32.const 1440) "\07\00\00\00\00\00\00\00")
;;@extra
)
