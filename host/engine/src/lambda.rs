//! Lambdas to components.

/// Compiled lambdas of one engine.
#[derive(Debug, Default)]
pub(crate) struct Lambdas {}
