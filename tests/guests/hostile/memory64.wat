;; Uses 64-bit memories, which are off.
(component (core module (memory i64 1)))
