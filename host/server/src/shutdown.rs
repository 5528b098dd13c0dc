//! When to stop: the signals. What stopping means is in `server`.

use std::future::pending;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask for an end, listened for from here on.
#[derive(Debug)]
pub struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

impl Signals {
    /// Starts to listen, inside a runtime. Whoever is told that the server is up may ask it to stop at once, so this comes
    /// before the server does.
    #[must_use]
    pub fn listen() -> Self {
        Self { terminate: listen(SignalKind::terminate()), interrupt: listen(SignalKind::interrupt()) }
    }

    /// Ends at the first SIGTERM or SIGINT since [`Self::listen`], and says which.
    pub async fn received(mut self) -> &'static str {
        tokio::select! {
            () = received(&mut self.terminate) => "SIGTERM",
            () = received(&mut self.interrupt) => "SIGINT",
        }
    }
}

/// A signal that cannot be listened for keeps its usual effect, which ends the process too.
fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).inspect_err(|error| tracing::warn!(%error, "a signal cannot be listened for")).ok()
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => pending().await,
    }
}
