;; Declares 2 GiB of memory.
;;@memory
(memory (export "memory") 32768)
