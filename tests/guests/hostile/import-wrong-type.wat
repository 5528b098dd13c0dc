;; Imports our log with another type.
(component (import "azora:plugin/log@0.1.0" (instance (export "log" (func (param "text" u64))))))
