//! Functions inside DataFusion's own expressions, which SQL, data frames and RDD operations are built of: those of plugins
//! and lambdas, and aggregates that take the place of DataFusion's.

pub(crate) mod aggregate;
pub(crate) mod bounded;
pub(crate) mod constants;
pub(crate) mod distinct;
pub(crate) mod framed;
pub(crate) mod joined;
pub(crate) mod json;
pub(crate) mod lists;
pub(crate) mod moments;
pub(crate) mod scalar;
pub(crate) mod survey;
