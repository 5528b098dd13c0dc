//! Encrypted connections for the driver. It would resolve the host's name by itself and compare certificates with what it
//! connected to; so it connects to a socket in a private folder, and each connection goes on from there to an address that
//! was checked, with a certificate that was compared with the host's name.

use crate::dial::Server;
use crate::error::Error;
use crate::tls;
use rustls::pki_types::ServerName;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Most connections at once: the driver's pool and its monitors.
const CONNECTIONS_MAX: usize = 128;

/// How to reach the server.
#[derive(Clone)]
pub(super) struct Route {
    server: Server,
    connector: TlsConnector,
}

impl Route {
    pub(super) fn new(server: &Server) -> Result<Self, Error> {
        let connector = TlsConnector::from(Arc::new(tls::client(&server.site, &server.connection)?));
        Ok(Self { server: server.clone(), connector })
    }

    /// An encrypted connection within the connect time-out.
    pub(super) async fn connect(&self) -> Result<TlsStream<TcpStream>, Error> {
        let refused = |reason: String| Error::Tls { site: self.server.site.clone(), reason };
        let deadline = self.server.deadline();
        let stream = self.server.dial(deadline).await?;
        let name = ServerName::try_from(self.server.connection.host.clone()).map_err(|_| refused("the host is no name".to_owned()))?;
        match tokio::time::timeout_at(deadline, self.connector.connect(name, stream)).await {
            Ok(connected) => connected.map_err(|error| refused(crate::error::shown(&error.to_string()))),
            Err(_) => Err(refused("it did not answer in time".to_owned())),
        }
    }
}

/// A socket that leads to the server. Dropping it closes every connection.
#[derive(Debug)]
pub(super) struct Relay {
    folder: TempDir,
    task: JoinHandle<()>,
}

impl Relay {
    pub(super) fn start(route: Route) -> Result<Self, Error> {
        let broken = |_| Error::Broken("a socket for encrypted connections");
        // Nobody else may enter the folder.
        let folder = tempfile::Builder::new().prefix("azora-relay-").tempdir().map_err(broken)?;
        let listener = UnixListener::bind(Self::socket(&folder)).map_err(broken)?;
        Ok(Self { task: tokio::spawn(serve(listener, route)), folder })
    }

    fn socket(folder: &TempDir) -> PathBuf {
        folder.path().join("server.sock")
    }

    pub(super) fn path(&self) -> PathBuf {
        Self::socket(&self.folder)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: UnixListener, route: Route) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let Ok((near, _)) = listener.accept().await else { return };
        while open.try_join_next().is_some() {}
        let route = route.clone();
        open.spawn(async move {
            carry(near, &route).await;
            drop(slot);
        });
    }
}

/// The driver learns of a server that is gone by the end of its connection.
async fn carry(mut near: UnixStream, route: &Route) {
    if let Ok(mut far) = route.connect().await {
        copy_bidirectional(&mut near, &mut far).await.ok();
    }
}
