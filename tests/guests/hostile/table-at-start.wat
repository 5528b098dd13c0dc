;; Declares a table of 900,000 elements.
;;@extra
(table $t 900000 funcref)
