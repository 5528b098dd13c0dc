//! Every type on its way out of one function and into the next.
