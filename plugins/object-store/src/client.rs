//! The HTTP client of the stores: it connects to addresses that the policy answers, follows no redirect, and gives up a
//! server that is not there within the connect time-out. Answers of 5xx are tried again by the library above it.

use async_trait::async_trait;
use azora_connect::Policy;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// Longest silence of a server that is sending.
const READ_TIME: Duration = Duration::from_secs(60);
/// Wait before a connection is tried again; doubled before each next try.
const WAIT_FIRST: Duration = Duration::from_millis(100);
/// Longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// Tries of connections to a server that never answered; one that did is tried until the connect time-out.
const TRIES_MAX: u32 = 3;
/// Bytes of a request beyond which a server that is silent may still be receiving it.
const SMALL_BYTES_MAX: usize = 64 << 10;

/// Makes clients for one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) network: Policy,
    /// Port of the endpoint; names are resolved without one.
    pub(crate) port: u16,
    /// Longest wait for a connection, over all tries, and for the first answer of a server.
    pub(crate) connect_time: Duration,
}

/// There is no server, or none that speaks.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreached(String);

impl HttpConnector for Checked {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = reqwest::Client::builder()
            .connect_timeout(self.connect_time)
            .read_timeout(READ_TIME)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(self.clone()))
            .build()
            .map_err(|source| object_store::Error::Generic { store: "http", source: Box::new(source) })?;
        Ok(HttpClient::new(Guarded { client, checked: self.clone(), is_there: AtomicBool::new(false) }))
    }
}

/// A client that asks the policy about addresses, too: only names are resolved, and not every URL is ours. The libraries
/// below know servers of their own, such as those that give machines their keys.
#[derive(Debug)]
struct Guarded {
    client: reqwest::Client,
    checked: Checked,
    /// Whether the server has ever answered.
    is_there: AtomicBool,
}

impl Guarded {
    /// Sends a request until it reaches a server, no longer than connecting may take.
    async fn reach(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let deadline = Instant::now() + self.checked.connect_time;
        let mut wait = WAIT_FIRST;
        let mut tries = 1;
        loop {
            let failed = match self.once(request.clone(), deadline).await {
                Err(failed) if is_unmade(&failed) => failed,
                other => return other,
            };
            let is_known = self.is_there.load(Ordering::Relaxed);
            if Instant::now() + wait >= deadline || !(is_known || tries < TRIES_MAX) {
                return Err(self.unreached(&failed));
            }
            sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
            tries += 1;
        }
    }

    /// One try. A server that never answered has to say something by the deadline.
    async fn once(&self, request: HttpRequest, deadline: Instant) -> Result<HttpResponse, HttpError> {
        let has_to_speak = !self.is_there.load(Ordering::Relaxed) && request.body().content_length() <= SMALL_BYTES_MAX;
        let sent = HttpService::call(&self.client, request);
        if !has_to_speak {
            return sent.await;
        }
        timeout_at(deadline, sent).await.unwrap_or_else(|_| Err(HttpError::new(HttpErrorKind::Unknown, self.silent())))
    }

    fn silent(&self) -> Unreached {
        Unreached(format!("no answer within {} ms", self.checked.connect_time.as_millis()))
    }

    /// Why no connection was made, as an error that the library does not try again.
    fn unreached(&self, error: &HttpError) -> HttpError {
        let why = if error.kind() == HttpErrorKind::Timeout { self.silent() } else { Unreached(reason(error).to_owned()) };
        match below::<azora_spec::Failure>(error) {
            Some(failure) => HttpError::new(HttpErrorKind::Unknown, failure.clone()),
            None => HttpError::new(HttpErrorKind::Unknown, why),
        }
    }
}

/// Whether no connection was made, so that nothing was sent.
fn is_unmade(error: &HttpError) -> bool {
    below::<reqwest::Error>(error).is_some_and(reqwest::Error::is_connect)
}

/// The first error of a type below another one.
pub(crate) fn below<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        at = error.source();
    }
    None
}

fn reason(error: &HttpError) -> &'static str {
    use std::io::ErrorKind;
    match below::<std::io::Error>(error).map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => "nobody listens there",
        Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => "no way leads there",
        Some(ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => "no encrypted connection could be made",
        _ => "no connection could be made",
    }
}

#[async_trait]
impl HttpService for Guarded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri();
        let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        self.checked
            .network
            .check_host(uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(usual))
            .map_err(|failure| HttpError::new(HttpErrorKind::Unknown, failure))?;
        let answer = self.reach(request).await;
        self.is_there.fetch_or(answer.is_ok(), Ordering::Relaxed);
        answer
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { network, port, .. } = self.clone();
        Box::pin(async move {
            let found = network.resolve(name.as_str(), port).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
