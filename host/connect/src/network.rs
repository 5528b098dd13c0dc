//! Which servers connectors may reach. Every connector asks the same policy, and connects to exactly the addresses that it
//! answers: a name that is resolved twice can lead to two places.
//!
//! Whoever can send a job to a server that listens on loopback only is on this machine already, so such a server also
//! lets jobs reach this machine and its networks. Others reach the internet only. Link-local addresses, where clouds keep
//! their machine's keys, are never reached unless the operator names the address itself.

mod rule;
mod scope;

use azora_spec::wire::shown;
use azora_spec::{Code, Failure};
use rule::Rule;
use scope::{Scope, scope};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
pub use url::Url;

/// Longest URL that is looked at.
const URL_BYTES_MAX: usize = 8 << 10;
/// Longest name of a host.
const NAME_BYTES_MAX: usize = 253;
/// Longest wait for the resolver.
const RESOLVE_TIME: Duration = Duration::from_secs(10);
/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// What a server's operator allows. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Policy {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    is_local: bool,
    is_closed: bool,
    rules: Vec<Rule>,
}

impl Policy {
    /// For a server that only this machine can reach: everything but link-local and reserved addresses.
    #[must_use]
    pub fn local() -> Self {
        Self { inner: Arc::new(Inner { is_local: true, is_closed: false, rules: Vec::new() }) }
    }

    /// For a server that others can reach: only the internet.
    #[must_use]
    pub fn remote() -> Self {
        Self { inner: Arc::new(Inner { is_local: false, is_closed: false, rules: Vec::new() }) }
    }

    /// The same and what these entries name: networks, addresses, hosts, `*.domain`, each with a port or without.
    ///
    /// # Errors
    /// The entry that is not one.
    pub fn allow<'a>(self, entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut rules = self.inner.rules.clone();
        for entry in entries {
            rules.push(Rule::parse(entry).ok_or_else(|| entry.to_owned())?);
        }
        Ok(Self { inner: Arc::new(Inner { rules, ..*self.inner }) })
    }

    /// The same without anything that no entry names.
    #[must_use]
    pub fn only_allowed(self) -> Self {
        Self { inner: Arc::new(Inner { is_closed: true, is_local: self.inner.is_local, rules: self.inner.rules.clone() }) }
    }

    /// Whether a connection to this address is allowed; `host` is the name that led to it.
    #[must_use]
    pub fn permits(&self, host: &str, address: SocketAddr) -> bool {
        let (ip, port) = (address.ip(), address.port());
        if self.inner.rules.iter().any(|rule| rule.covers(ip, port)) {
            return true;
        }
        match scope(ip) {
            Scope::Special => false,
            _ if self.inner.rules.iter().any(|rule| rule.names(host, port)) => true,
            _ if self.inner.is_closed => false,
            Scope::Public => true,
            Scope::Private | Scope::Loopback => self.inner.is_local,
        }
    }

    /// The same as a failure.
    ///
    /// # Errors
    /// [`Code::NetworkRefused`].
    pub fn check_address(&self, host: &str, address: SocketAddr) -> Result<(), Failure> {
        if self.permits(host, address) { Ok(()) } else { Err(refused(host, address.port())) }
    }

    /// Reads a URL and checks all of it that can be checked without a resolver: scheme, host, literal addresses. User and
    /// password have fields of their own and must not stand in it.
    ///
    /// # Errors
    /// [`Code::ConnectorConfig`] for what is no such URL, [`Code::NetworkRefused`] for an address that is not allowed.
    pub fn check_url(&self, text: &str, schemes: &[&str]) -> Result<Url, Failure> {
        let wrong = |message: String| Failure::new(Code::ConnectorConfig, message).at("/url");
        if text.len() > URL_BYTES_MAX {
            return Err(wrong(format!("the URL is longer than {URL_BYTES_MAX} bytes")));
        }
        let url = Url::parse(text.trim()).map_err(|error| wrong(format!("not a URL: {error}")))?;
        if !schemes.contains(&url.scheme()) {
            return Err(wrong(format!("the scheme '{}' is not one of {}", shown(url.scheme()), schemes.join(", "))));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a URL must not hold a user or a password".to_owned()).hint("use the fields for authentication"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("the URL names no host".to_owned()))?;
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or_else(|| wrong("the URL names no port".to_owned()))?;
        self.check_host(host, port).map_err(|failure| failure.at("/url"))?;
        Ok(url)
    }

    /// Checks a host's form, and its address where it is one.
    ///
    /// # Errors
    /// [`Code::ConnectorConfig`] or [`Code::NetworkRefused`].
    pub fn check_host(&self, host: &str, port: u16) -> Result<(), Failure> {
        match literal(host) {
            Some(ip) => self.check_address(host, SocketAddr::new(ip, port)),
            None if is_numeric(host) => Err(Failure::new(Code::ConnectorConfig, format!("'{}' is not a valid address", shown(host)))),
            None if is_name(host) => Ok(()),
            None => Err(Failure::new(Code::ConnectorConfig, format!("'{}' is not the name of a host", shown(host)))),
        }
    }

    /// The allowed addresses of a host. Connect to these and to no others.
    ///
    /// # Errors
    /// [`Code::NetworkRefused`] where none is allowed, [`Code::ConnectorUnavailable`] where the name has none.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        self.check_host(host, port)?;
        if let Some(ip) = literal(host) {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let unknown = || Failure::new(Code::ConnectorUnavailable, format!("the host '{}' has no address", shown(host)));
        let found: Vec<SocketAddr> = match tokio::time::timeout(RESOLVE_TIME, tokio::net::lookup_host((host, port))).await {
            Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect(),
            Ok(Err(_)) | Err(_) => return Err(unknown()),
        };
        if found.is_empty() {
            return Err(unknown());
        }
        let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| self.permits(host, *address)).collect();
        if allowed.is_empty() { Err(refused(host, port)) } else { Ok(allowed) }
    }

    /// A connection to a host, tried on each of its allowed addresses.
    ///
    /// # Errors
    /// Those of [`Self::resolve`]; [`Code::ConnectorUnavailable`] where nobody answers in time.
    pub async fn connect(&self, host: &str, port: u16, time_max: Duration) -> Result<TcpStream, Failure> {
        let deadline = Instant::now() + time_max;
        let late = || unreachable(host, port, &format!("no answer within {} ms", time_max.as_millis()));
        let addresses = timeout_at(deadline, self.resolve(host, port)).await.map_err(|_| late())??;
        match connect_any(&addresses, deadline).await {
            Ok(stream) => Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(late()),
            Err(error) => Err(unreachable(host, port, &error.kind().to_string())),
        }
    }
}

/// A connection to the first of some allowed addresses that answers. Each gets its share of the time that is left, so that
/// one which swallows packets does not take it from the others.
///
/// # Errors
/// That of the last address; [`io::ErrorKind::TimedOut`] where it did not answer.
pub async fn connect_any(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for (at, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// A text with `%41` and the like replaced; what is no such code stays.
#[must_use]
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).filter(|_| *first == b'%');
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn unreachable(host: &str, port: u16, reason: &str) -> Failure {
    Failure::new(Code::ConnectorUnavailable, format!("cannot reach {}:{port}: {reason}", shown(host)))
}

fn refused(host: &str, port: u16) -> Failure {
    Failure::new(Code::NetworkRefused, format!("connections to {}:{port} are not allowed", shown(host)))
        .hint("the operator can allow it with the setting network_allow")
}

/// The address that a host's text is, in the usual notation only.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Whether resolvers may take the text for an address in an old notation: octal, hexadecimal, one number.
fn is_numeric(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit()) || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_name(host: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.len() <= 63 && !label.starts_with('-');
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let bare = host.strip_suffix('.').unwrap_or(host);
    bare.len() <= NAME_BYTES_MAX && bare.bytes().all(is_letter) && bare.split('.').all(is_label)
}

#[cfg(test)]
mod tests;
