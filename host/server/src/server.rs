//! A running server: started from a configuration, spoken to over its address, stopped in order.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::wiring;
use azora_engine::Engine;
use azora_jobs::Handle;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long answers in flight may take after the jobs have stopped.
const ANSWERS_TIME_MAX: Duration = Duration::from_secs(5);

/// A running server. Dropping it stops listening at once, without waiting for anything; [`Server::shutdown`] is the
/// orderly way.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    handle: Handle,
    stop: DropGuard,
    task: JoinHandle<()>,
    drain: Duration,
}

/// Starts a server in this process. It listens when this returns, and jobs that had not ended have been taken up.
///
/// # Errors
/// [`Error`] says which part did not start and why.
pub async fn start(config: Config) -> Result<Server> {
    // One installed before, by a program that embeds the server, is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    // Listening first: a second server on the same port must fail before it touches the data directory.
    let listener = listen(config.address).await?;
    let address = listener.local_addr().map_err(|source| Error::Listen { address: config.address, source })?;
    let (handle, app, engine) = wiring::join(&config).await?;
    let options = azora_api::Options::default();
    let stop = CancellationToken::new();
    let (router, stopped) = (azora_api::router(app), stop.clone());
    let task = tokio::spawn(async move { azora_api::serve(listener, router, &options, stopped).await });
    if let Some(path) = &config.port_file {
        write_port(path, address.port())?;
    }
    if config.is_interpreter_prepared {
        prepare(engine);
    }
    tracing::info!(%address, data_dir = %config.data_dir.display(), "listening");
    Ok(Server { address, handle, stop: stop.drop_guard(), task, drain: config.drain })
}

/// Makes the interpreter of lambdas ready beside everything else. The thread ends with its work, or with the process.
fn prepare(engine: Engine) {
    let work = move || {
        if let Err(failure) = engine.prepare_interpreter() {
            tracing::warn!(%failure, "the interpreter is not ready; the first job that needs it will wait");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("azora-prepare".to_owned()).spawn(work) {
        tracing::warn!(%error, "no thread to make the interpreter ready");
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// A reader of the file sees all of it or nothing.
fn write_port(path: &Path, port: u16) -> Result<()> {
    let unusable = |source| Error::Path { path: path.to_owned(), source };
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, format!("{port}\n")).map_err(unusable)?;
    std::fs::rename(&partial, path).map_err(unusable)
}

impl Server {
    /// Where it listens; the port is the real one, also where the configuration said 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for clients on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The jobs, for callers in the same process.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Stops in order: new jobs are refused, running ones get the configured time, answers in flight are sent, the state
    /// is closed. What has not ended continues after the next start.
    pub async fn shutdown(self) {
        self.handle.shutdown(self.drain).await;
        drop(self.stop);
        let cut = self.task.abort_handle();
        if timeout(ANSWERS_TIME_MAX, self.task).await.is_err() {
            tracing::warn!("some answers were cut short");
            cut.abort();
        }
    }
}
