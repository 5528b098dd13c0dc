//! Functions of plugins inside DataFusion's own expressions: SQL, data frames, and what RDD operations build of them.

pub(crate) mod aggregate;
pub(crate) mod scalar;
pub(crate) mod survey;
