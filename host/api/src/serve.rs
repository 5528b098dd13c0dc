//! The accept loop: a bound on connections, a deadline for request heads and for stalled answers, and a graceful end.

use crate::Options;
use crate::pace::Paced;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Buffer of one connection, in bytes: the most that a request's head may take.
const CONNECTION_BUFFER_BYTES: usize = 64 << 10;
/// Pause after the system refused a connection, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers requests until `stop` is cancelled, then lets those in flight end and returns. Idle connections close at once;
/// the caller bounds how long it waits for the others by dropping this future.
pub async fn serve(listener: TcpListener, router: Router, options: &Options, stop: CancellationToken) {
    let connections = Arc::new(Semaphore::new(options.connections_max.min(Semaphore::MAX_PERMITS)));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        tasks.spawn(connection(stream, permit, router.clone(), options.clone(), stop.clone()));
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(stream: TcpStream, permit: OwnedSemaphorePermit, router: Router, options: Options, stop: CancellationToken) {
    // Answers are often one small packet, which must not wait for the acknowledgement of another.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    let io = TokioIo::new(Paced::new(stream, options.write_time_max));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_time_max)
        .max_buf_size(CONNECTION_BUFFER_BYTES)
        .serve_connection(io, TowerToHyperService::new(router));
    tokio::pin!(served);
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(permit);
}
