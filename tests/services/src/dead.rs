//! Servers that are there and are not: one that swallows packets, and one that takes connections and never says a byte.
//! A port on which nobody listens is [`crate::free_port`].

use anyhow::{Result, ensure};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Connections that a mute server takes.
const BACKLOG: i32 = 128;
/// Most connections that fill a queue of none.
const FILLED_MAX: usize = 8;
/// Silence by which a connection is taken for swallowed.
const SILENCE: Duration = Duration::from_millis(300);

/// A server that gives no answer.
#[derive(Debug)]
pub struct Dead {
    address: SocketAddr,
    _listener: Socket,
    _queue: Vec<TcpStream>,
}

impl Dead {
    /// Packets to it vanish: its queue of connections is full, and the kernel drops what else is sent.
    ///
    /// # Errors
    /// Where it goes on taking connections.
    pub fn hole() -> Result<Self> {
        let (listener, address) = listen(0)?;
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, SILENCE) {
            queue.push(stream);
            ensure!(queue.len() < FILLED_MAX, "a queue of connections that is never full");
        }
        Ok(Self { address, _listener: listener, _queue: queue })
    }

    /// It takes connections, and nothing follows.
    ///
    /// # Errors
    /// Where no port can be had.
    pub fn mute() -> Result<Self> {
        let (listener, address) = listen(BACKLOG)?;
        Ok(Self { address, _listener: listener, _queue: Vec::new() })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn listen(backlog: i32) -> Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(backlog)?;
    let address = socket.local_addr()?.as_socket().ok_or_else(|| anyhow::anyhow!("an address that is none"))?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::Dead;
    use std::net::TcpStream;
    use std::time::Duration;

    #[test]
    fn a_hole_takes_nobody_and_a_mute_server_everybody() {
        let reach = |dead: &Dead| TcpStream::connect_timeout(&dead.address(), Duration::from_millis(300));
        assert_eq!(reach(&Dead::hole().unwrap()).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        assert!(reach(&Dead::mute().unwrap()).is_ok());
    }
}
