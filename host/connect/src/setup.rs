//! What a server gives every connector when it is made.

use crate::{Policy, Secrets};

/// The surroundings of a connector. Each connector crate has `pub fn connectors(setup: &Setup, …) -> Vec<Arc<dyn Connector>>`.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which servers may be reached.
    pub network: Policy,
    /// Values of secrets.
    pub secrets: Secrets,
}

impl Setup {
    /// For tests and for a server that only this machine can reach: its networks, and no secrets.
    #[must_use]
    pub fn local() -> Self {
        Self { network: Policy::local(), secrets: Secrets::default() }
    }
}
