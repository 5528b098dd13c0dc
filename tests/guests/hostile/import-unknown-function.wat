;; Imports a function that our clock does not have.
(component (import "azora:plugin/clock@0.1.0" (instance (export "sleep" (func (param "ms" u64))))))
