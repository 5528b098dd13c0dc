;; Imports an interface that nobody knows.
(component (import "acme:shell/exec@1.0.0" (instance (export "run" (func (param "line" string))))))
