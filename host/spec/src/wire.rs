//! The JSON shapes of the REST contract and their way into [`crate::JobSpec`]: after this module nothing is untyped.
