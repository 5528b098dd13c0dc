;; Imports our log in a version that is not there.
(component (import "azora:plugin/log@9.0.0" (instance (export "log" (func (param "text" string))))))
