//! Connections that speak until they are left: messages of a WebSocket, lines of a TCP connection.

use crate::auth::Headers;
use crate::pace::answered;
use azora_connect::Policy;
use azora_connect::network::Url;
use azora_spec::{Code, Failure};
use futures::{SinkExt as _, StreamExt as _};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

/// Where a feed comes from.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A WebSocket.
    Web { url: Url, headers: Headers, subscribe: Option<String> },
    /// Lines of a TCP connection.
    Lines { host: String, port: u16, delimiter: u8, subscribe: Option<String> },
}

/// An open connection.
pub(crate) enum Feed {
    /// Its messages.
    Web(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
    /// Its lines; `part` is the beginning of the next one.
    Lines { stream: BufReader<TcpStream>, delimiter: u8, bytes_max: usize, part: Vec<u8> },
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Web(_)) { "Feed::Web" } else { "Feed::Lines" })
    }
}

impl Place {
    fn host(&self) -> &str {
        match self {
            Self::Web { url, .. } => url.host_str().unwrap_or_default(),
            Self::Lines { host, .. } => host,
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Web { url, .. } => url.port_or_known_default().unwrap_or_default(),
            Self::Lines { port, .. } => *port,
        }
    }

    /// The server and what is read there, for people: without a query, where keys may stand.
    pub(crate) fn named(&self) -> String {
        match self {
            Self::Web { url, .. } => format!("{}:{}{}", self.host(), self.port(), url.path()),
            Self::Lines { .. } => format!("{}:{}", self.host(), self.port()),
        }
    }

    /// A failure to connect, which names the server, with what was wanted of it.
    fn named_in(&self, failure: Failure) -> Failure {
        Failure { message: format!("'{}': {}", self.named(), failure.message), ..failure }
    }

    fn broken(&self, what: &str) -> Failure {
        Failure::new(Code::ConnectorUnavailable, format!("'{}' {what}", self.named()))
    }

    /// Connects to an address that the policy allows, and says what is to be said first.
    pub(crate) async fn open(&self, policy: &Policy, time: Duration, bytes_max: usize) -> Result<Feed, Failure> {
        match timeout(time, self.connect(policy, time, bytes_max)).await {
            Ok(feed) => feed,
            Err(_) => Err(self.broken(&format!("did not answer within {} ms", time.as_millis()))),
        }
    }

    async fn connect(&self, policy: &Policy, time: Duration, bytes_max: usize) -> Result<Feed, Failure> {
        match self {
            Self::Web { url, headers, subscribe } => {
                let stream = policy.connect(self.host(), self.port(), time).await.map_err(|failure| self.named_in(failure))?;
                let mut request = url.as_str().into_client_request().map_err(|_| self.broken("has a URL that cannot be used"))?;
                for (name, value) in headers {
                    let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value.expose()).ok());
                    let wrong = || Failure::new(Code::ConnectorConfig, "a header cannot be sent").at("/headers");
                    let (name, value) = header.ok_or_else(wrong)?;
                    request.headers_mut().insert(name, value);
                }
                let config = WebSocketConfig::default().max_message_size(Some(bytes_max)).max_frame_size(Some(bytes_max));
                let (mut socket, _) =
                    client_async_tls_with_config(request, stream, Some(config), None).await.map_err(|error| self.explain(&error))?;
                if let Some(text) = subscribe {
                    socket.send(Message::text(text.clone())).await.map_err(|error| self.explain(&error))?;
                }
                Ok(Feed::Web(Box::new(socket)))
            }
            Self::Lines { host, port, delimiter, subscribe } => {
                let mut stream = policy.connect(host, *port, time).await?;
                if let Some(text) = subscribe {
                    stream.write_all(text.as_bytes()).await.map_err(|_| self.broken("broke the connection off"))?;
                }
                let stream = BufReader::new(stream);
                Ok(Feed::Lines { stream, delimiter: *delimiter, bytes_max, part: Vec::new() })
            }
        }
    }

    fn explain(&self, error: &Error) -> Failure {
        match error {
            Error::Http(answer) => {
                let path = if let Self::Web { url, .. } = self { url.path() } else { "/" };
                let failure = answered(self.host(), self.port(), path, answer.status().as_u16());
                Failure { message: format!("{} and opened no WebSocket", failure.message), ..failure }
            }
            Error::Capacity(_) => Failure::new(Code::RecordBad, format!("'{}' sent a message over the limit", self.named())),
            Error::Tls(_) => self.untrusted(),
            // What goes wrong while keys are exchanged comes as this.
            Error::Io(error) if error.kind() == ErrorKind::InvalidData => self.untrusted(),
            _ => self.broken("broke the connection off"),
        }
    }

    fn untrusted(&self) -> Failure {
        self.broken("speaks no TLS, or has no certificate that can be trusted")
            .hint("certificates are trusted where a public authority signed them, for the host that the URL names")
    }

    /// What ended a feed.
    pub(crate) fn ended(&self, end: &End) -> Failure {
        match end {
            End::Web(error) => self.explain(error),
            End::Broken => self.broken("broke the connection off"),
            End::TooLarge(limit) => Failure::new(Code::RecordBad, format!("'{}' sent a record of more than {limit} bytes", self.named())),
        }
    }
}

/// Why a feed gives no more.
#[derive(Debug)]
pub(crate) enum End {
    Web(Box<Error>),
    Broken,
    TooLarge(usize),
}

impl Feed {
    /// The next record; none where the other side has closed. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, End> {
        match self {
            Self::Web(socket) => loop {
                match socket.next().await {
                    None | Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Ok(None),
                    Some(Ok(Message::Text(text))) => return Ok(Some(text.as_bytes().to_vec())),
                    Some(Ok(Message::Binary(bytes))) => return Ok(Some(bytes.to_vec())),
                    // Pings are answered by the library.
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Err(error)) => return Err(End::Web(Box::new(error))),
                }
            },
            Self::Lines { stream, delimiter, bytes_max, part } => loop {
                let left = (*bytes_max + 1).saturating_sub(part.len()) as u64;
                let read = (&mut *stream).take(left).read_until(*delimiter, part).await.map_err(|_| End::Broken)?;
                let is_whole = part.last() == Some(delimiter);
                if is_whole {
                    part.pop();
                }
                if *delimiter == b'\n' && is_whole && part.last() == Some(&b'\r') {
                    part.pop();
                }
                if part.len() > *bytes_max {
                    return Err(End::TooLarge(*bytes_max));
                }
                if is_whole || read == 0 {
                    let record = std::mem::take(part);
                    return Ok(if is_whole || !record.is_empty() { Some(record) } else { None });
                }
            },
        }
    }
}
