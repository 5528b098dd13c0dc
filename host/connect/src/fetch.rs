//! One HTTP exchange that a connector or a guest asked for: its addresses checked at every hop, its size and time bounded.
//! What is fetched, how often, and what becomes of it is the caller's business.

use crate::Policy;
use azora_spec::{Code, Failure};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url, redirect};
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;

/// Hops that an exchange may be sent on.
const REDIRECTS_MAX: usize = 5;
/// Reaching a server.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Idle connections kept for each host.
const IDLE_CONNECTIONS_MAX: usize = 4;
/// Headers of an answer that are handed on; hyper itself refuses more than 100.
const HEADERS_MAX: usize = 100;
/// Bytes of a URL.
const URL_BYTES_MAX: usize = 8 << 10;
/// Headers that go to another host only where the caller named it: a server must not send them elsewhere.
const PRIVATE_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "www-authenticate"];
/// Headers that belong to the connection and are written by the client.
const CONNECTION_HEADERS: [&str; 10] =
    ["connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Sends requests to addresses that the policy allows. Clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    policy: Policy,
}

/// A request whose parts were checked.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// For example 200.
    pub status: u16,
    /// Names in lower case, in the order in which they came; values that are no text are left out.
    pub headers: Vec<(String, String)>,
    /// All of it, decompressed.
    pub body: Vec<u8>,
    /// Where it came from, after redirects.
    pub url: Url,
}

/// What an exchange may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the answer's body, decompressed.
    pub response_bytes_max: usize,
    /// The whole exchange, redirects included.
    pub time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { response_bytes_max: 16 << 20, time_max: Duration::from_secs(30) }
    }
}

/// Why there is no answer. The texts name the host and no secret: of a URL nothing but its host is repeated.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The URL cannot be used.
    #[error("the URL {0}")]
    Url(&'static str),
    /// The method or a header cannot be used.
    #[error("{0}")]
    Malformed(String),
    /// The address is refused.
    #[error("{0}")]
    Address(Failure),
    /// A server sends the caller where it may not go.
    #[error("'{from}' redirects to '{to}', which is not allowed")]
    Redirect {
        /// The host that answered.
        from: String,
        /// The host that it named.
        to: String,
    },
    /// It is sent on for ever.
    #[error("'{0}' redirects more than {REDIRECTS_MAX} times")]
    Redirects(String),
    /// The answer is too large.
    #[error("the answer of '{host}' has more than {limit} bytes")]
    TooLarge {
        /// The host and its port.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// The time is over.
    #[error("'{0}' did not answer in time")]
    TimedOut(String),
    /// The server cannot be reached, or broke off.
    #[error("'{host}' cannot be reached: {why}")]
    Unreachable {
        /// The host and its port.
        host: String,
        /// In our words.
        why: &'static str,
    },
}

impl Refusal {
    /// Whether another try may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::Unreachable { .. })
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Address(failure) => failure,
            Refusal::Url(_) | Refusal::Malformed(_) => Self::new(Code::ConnectorConfig, message),
            Refusal::Redirect { .. } | Refusal::Redirects(_) | Refusal::TooLarge { .. } => Self::new(Code::ConnectorUnavailable, message),
            Refusal::TimedOut(_) | Refusal::Unreachable { .. } => Self::new(Code::ConnectorUnavailable, message),
        }
    }
}

impl Request {
    /// A request of these parts.
    ///
    /// # Errors
    /// [`Refusal::Url`] for anything but `http` and `https` without a user; [`Refusal::Malformed`] for a method or header
    /// that is none, or that belongs to the connection.
    pub fn new(method: &str, url: &str, headers: &[(String, String)], body: Vec<u8>) -> Result<Self, Refusal> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| Refusal::Malformed("the method is none of HTTP's".to_owned()))?;
        let mut map = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            let malformed = || Refusal::Malformed(format!("the header '{}' cannot be sent", name.escape_debug()));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed())?;
            if CONNECTION_HEADERS.contains(&name.as_str()) {
                return Err(malformed());
            }
            let mut value = HeaderValue::from_str(value).map_err(|_| malformed())?;
            value.set_sensitive(true);
            map.append(name, value);
        }
        Ok(Self { method, url: parse(url)?, headers: map, body })
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// The host, lower case and an IPv6 address without brackets, and the port.
    #[must_use]
    pub fn place(&self) -> (String, u16) {
        place(&self.url)
    }

    /// The whole URL.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The same request for what a redirect names; browsers and curl do the same.
    fn redirected(mut self, status: StatusCode, url: Url) -> Self {
        let is_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if is_get {
            self.method = Method::GET;
            self.body = Vec::new();
            for name in ["content-type", "content-encoding", "content-language"] {
                self.headers.remove(name);
            }
        }
        if place(&self.url) != place(&url) || self.url.scheme() != url.scheme() {
            for name in PRIVATE_HEADERS {
                self.headers.remove(name);
            }
            let own: Vec<HeaderName> = self.headers.keys().filter(|name| name.as_str().starts_with("x-")).cloned().collect();
            for name in own {
                self.headers.remove(name);
            }
        }
        self.url = url;
        self
    }
}

fn parse(text: &str) -> Result<Url, Refusal> {
    if text.len() > URL_BYTES_MAX {
        return Err(Refusal::Url("is too long"));
    }
    let url = Url::parse(text).map_err(|_| Refusal::Url("cannot be read"))?;
    check(&url)?;
    Ok(url)
}

fn check(url: &Url) -> Result<(), Refusal> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::Url("is neither http nor https"));
    }
    if url.host_str().is_none_or(str::is_empty) || url.port_or_known_default().is_none_or(|port| port == 0) {
        return Err(Refusal::Url("names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::Url("holds a user or a password; send them as a header"));
    }
    Ok(())
}

fn place(url: &Url) -> (String, u16) {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    (host, url.port_or_known_default().unwrap_or_default())
}

impl Client {
    /// A client under a policy.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(policy: &Policy) -> Result<Self, Failure> {
        // The first one to install it wins, and all are the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        let inner = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIME_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .user_agent(concat!("azora-spark/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Allowed)
            .build()
            .map_err(|error| {
                tracing::error!(error = &error as &dyn std::error::Error, "no HTTP client");
                Failure::new(Code::Internal, "the HTTP client could not be set up")
            })?;
        Ok(Self { inner, policy: policy.clone() })
    }

    /// Sends a request and reads the answer. `is_allowed` is asked for the host and port of every hop but the first.
    /// Dropping the future ends the exchange.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn send(
        &self,
        request: Request,
        limits: &Limits,
        is_allowed: &(dyn Fn(&str, u16) -> bool + Sync),
    ) -> Result<Response, Refusal> {
        let named = named(&request.url);
        match tokio::time::timeout(limits.time_max, self.follow(request, limits, is_allowed)).await {
            Ok(answer) => answer,
            Err(_) => Err(Refusal::TimedOut(named)),
        }
    }

    async fn follow(
        &self,
        mut request: Request,
        limits: &Limits,
        is_allowed: &(dyn Fn(&str, u16) -> bool + Sync),
    ) -> Result<Response, Refusal> {
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.hop(&request).await?;
            let Some(next) = target(&request.url, &answer)? else { return read(answer, request.url, limits).await };
            let ((from, _), (to, port)) = (place(&request.url), place(&next));
            if !is_allowed(&to, port) {
                return Err(Refusal::Redirect { from, to });
            }
            request = request.redirected(answer.status(), next);
        }
        Err(Refusal::Redirects(place(&request.url).0))
    }

    /// One request to one server. The addresses that are connected to are those that the policy gave for this host and
    /// port: a name that were looked up twice could lead to two places.
    async fn hop(&self, request: &Request) -> Result<reqwest::Response, Refusal> {
        let (host, port) = place(&request.url);
        let addresses = self.policy.resolve(&host, port).await.map_err(Refusal::Address)?;
        let request =
            self.inner.request(request.method.clone(), request.url.clone()).headers(request.headers.clone()).body(request.body.clone());
        let sent = HOP.scope((host.clone(), addresses), request.send()).await;
        sent.map_err(|error| unreachable(format!("{host}:{port}"), &error))
    }
}

tokio::task_local! {
    /// The host of the hop that is being made, and where it is.
    static HOP: (String, Vec<SocketAddr>);
}

/// Where an answer sends the caller; none where it is the answer itself.
fn target(from: &Url, answer: &reqwest::Response) -> Result<Option<Url>, Refusal> {
    let is_redirect = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = answer.headers().get("location").filter(|_| is_redirect) else { return Ok(None) };
    let location = location.to_str().ok().and_then(|text| from.join(text).ok()).ok_or(Refusal::Url("of a redirect cannot be read"))?;
    check(&location)?;
    Ok(Some(location))
}

/// A server as messages name it.
fn named(url: &Url) -> String {
    let (host, port) = place(url);
    format!("{host}:{port}")
}

async fn read(mut answer: reqwest::Response, url: Url, limits: &Limits) -> Result<Response, Refusal> {
    let host = named(&url);
    let status = answer.status().as_u16();
    let headers = answer.headers().iter().take(HEADERS_MAX);
    let headers = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).collect();
    let mut body = Vec::new();
    loop {
        let chunk = answer.chunk().await.map_err(|error| unreachable(host.clone(), &error))?;
        let Some(chunk) = chunk else { return Ok(Response { status, headers, body, url }) };
        if body.len() + chunk.len() > limits.response_bytes_max {
            return Err(Refusal::TooLarge { host, limit: limits.response_bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
}

fn unreachable(host: String, error: &reqwest::Error) -> Refusal {
    tracing::debug!(error = error as &dyn std::error::Error, host, "an exchange failed");
    if error.is_timeout() {
        return Refusal::TimedOut(host);
    }
    let why = match (error.is_connect(), error.is_body() || error.is_decode()) {
        (true, _) => "no connection could be made",
        (false, true) => "the answer broke off",
        (false, false) => "the connection broke",
    };
    Refusal::Unreachable { host, why }
}

/// Answers the client's look-ups with what was allowed for the hop, and nothing else.
#[derive(Debug)]
struct Allowed;

impl reqwest::dns::Resolve for Allowed {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let addresses = HOP.try_with(|(host, addresses)| {
            let is_hop = name.as_str().trim_end_matches('.').eq_ignore_ascii_case(host);
            is_hop.then(|| addresses.clone())
        });
        Box::pin(std::future::ready(match addresses.ok().flatten() {
            Some(addresses) => Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs),
            None => Err("a host that is not the hop's".into()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Request, Url};
    use reqwest::StatusCode;

    fn request(url: &str) -> Request {
        let headers = [("Authorization".to_owned(), "Bearer x".to_owned()), ("X-Key".to_owned(), "y".to_owned())];
        Request::new("POST", url, &headers, b"body".to_vec()).unwrap()
    }

    #[test]
    fn urls_are_checked_and_their_host_is_found() {
        assert_eq!(request("https://API.Example.com./x").place(), ("api.example.com".to_owned(), 443));
        assert_eq!(request("http://[::1]:8080/").place(), ("::1".to_owned(), 8080));
        for wrong in ["", "x", "file:///etc/passwd", "ftp://h/", "http://u:p@h/", "http://u@h/", "data:,x", "http://"] {
            assert!(Request::new("GET", wrong, &[], Vec::new()).is_err(), "{wrong}");
        }
        for header in ["host", "Content-Length", "transfer-encoding", "a b", ""] {
            assert!(Request::new("GET", "http://h/", &[(header.to_owned(), "x".to_owned())], Vec::new()).is_err(), "{header}");
        }
        assert!(Request::new("GET", "http://h/", &[("x".to_owned(), "a\r\nb: c".to_owned())], Vec::new()).is_err());
    }

    #[test]
    fn a_redirect_elsewhere_takes_no_secrets_along() {
        let next = |status, url: &str| request("https://a.example/x").redirected(status, Url::parse(url).unwrap());
        let same = next(StatusCode::TEMPORARY_REDIRECT, "https://a.example/y");
        assert_eq!((same.method.as_str(), same.headers.len(), same.body.len()), ("POST", 2, 4));
        for url in ["https://b.example/x", "http://a.example/x", "https://a.example:444/x"] {
            assert!(next(StatusCode::PERMANENT_REDIRECT, url).headers.is_empty(), "{url}");
        }
        let seen = next(StatusCode::SEE_OTHER, "https://a.example/y");
        assert_eq!((seen.method.as_str(), seen.body.len()), ("GET", 0));
    }
}
