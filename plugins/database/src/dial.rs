//! Reaching a server: its name is resolved once, what may not be reached is refused, and the connection goes to one of
//! the addresses that were checked, within the connect time-out. The protocols above it live in the engines.

use crate::config::Connection;
use crate::error::{Error, Site};
use azora_connect::Policy;
use azora_connect::network::connect_any;
use azora_spec::{Code, Failure};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Silence after which a connection is asked whether it is still there.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(30);

/// A server as the request describes it, resolved and checked once.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) site: Site,
    pub(crate) connection: Arc<Connection>,
    /// Those that may be reached, at least one.
    pub(crate) addresses: Arc<[IpAddr]>,
}

impl Server {
    /// Finds the addresses of a server.
    pub(crate) async fn find(network: &Policy, site: Site, connection: Connection) -> Result<Self, Failure> {
        let deadline = Instant::now() + connection.connect_time;
        let addresses = match timeout_at(deadline, network.resolve(&connection.host, connection.port)).await {
            Ok(Ok(found)) => found.into_iter().map(|address| address.ip()).collect(),
            Ok(Err(failure)) if failure.code == Code::ConnectorUnavailable => return Err(failure),
            Ok(Err(failure)) => return Err(failure.at("/connection/host")),
            Err(_) => return Err(Error::slow(&site, connection.connect_time).into()),
        };
        Ok(Self { site, connection: Arc::new(connection), addresses })
    }

    /// When connecting that begins now has to be done.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.connection.connect_time
    }

    /// What connecting gives, within the connect time-out.
    pub(crate) async fn in_time<T>(&self, connecting: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        match timeout_at(self.deadline(), connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(Error::slow(&self.site, self.connection.connect_time).into()),
        }
    }

    /// A connection to the first address that answers.
    pub(crate) async fn dial(&self, deadline: Instant) -> Result<TcpStream, Error> {
        let addresses: Vec<SocketAddr> = self.addresses.iter().map(|address| SocketAddr::new(*address, self.connection.port)).collect();
        let stream = connect_any(&addresses, deadline).await.map_err(|error| unreachable(&self.site, &error))?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        let made = stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive));
        made.map(|()| stream).map_err(|error| unreachable(&self.site, &error))
    }
}

fn unreachable(site: &Site, error: &io::Error) -> Error {
    Error::Unreachable { site: site.clone(), reason: reason(error) }
}

/// Why, in words that do not depend on the system.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => "the connection was cut".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way leads there".to_owned(),
        other => other.to_string(),
    }
}
