;; Allocates at odd addresses.
;;@realloc
(global $top (mut i32) (i32.const 4096))
(func $realloc (export "cabi_realloc") (param $old i32) (param $old_bytes i32) (param $align i32) (param $bytes i32) (result i32)
  (i32.const 4097))
