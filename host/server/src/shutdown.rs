//! When to stop: the signals. What stopping means is in `server`.

use std::future::pending;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ends at the first SIGTERM or SIGINT, and says which.
pub async fn signalled() -> &'static str {
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate()), listen(SignalKind::interrupt()));
    tokio::select! {
        () = received(&mut terminate) => "SIGTERM",
        () = received(&mut interrupt) => "SIGINT",
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
