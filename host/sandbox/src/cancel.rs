//! A flag that stops guests from outside. Who sets it, and why, is not known here.

use tokio_util::sync::CancellationToken;

/// Stops every guest call that was started with it within one epoch tick. Clones share one flag; it is never reset.
///
/// It is a token that is looked at, not a task that waits for one: a guest computes on the thread on which such a task
/// would wait for its turn, so the task could come too late.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(CancellationToken);

impl CancelFlag {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the guests.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether the flag was set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl From<CancellationToken> for CancelFlag {
    /// A flag that is set with the token, and sets it.
    fn from(token: CancellationToken) -> Self {
        Self(token)
    }
}
