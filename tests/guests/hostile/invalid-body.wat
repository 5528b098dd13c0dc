;; Its code does not type-check.
(component (core module (func (result i32) (i64.const 0))))
