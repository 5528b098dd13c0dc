;; Uses exceptions, which are off.
(component (core module (tag) (func (throw 0))))
