;; Imports a bare function.
(component (import "system" (func (param "line" string))))
