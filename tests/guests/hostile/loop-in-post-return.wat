;; The answer is right, cleaning up after it never ends.
;;@post
(func (export "cabi_post_azora:plugin/transform@0.1.0#process") (param i32) (loop (br 0)))
