;; Declares 100 MiB of memory: more than describe gets.
;;@memory
(memory (export "memory") 1600)
