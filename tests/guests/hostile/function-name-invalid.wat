;; Its function has a name with a space and a control character.
;;@describe
(func (export "azora:plugin/describe@0.1.0#describe") (result i32)
  (i32.store (i32.const 1144) (i32.const 3300)) (i32.store (i32.const 1148) (i32.const 3))
  (i32.const 1204))
;;@extra
(data (i32.const 3300) "a \1b")
