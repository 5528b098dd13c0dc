;; Instantiation never ends.
;;@extra
(func $spin (loop (br 0)))
(start $spin)
