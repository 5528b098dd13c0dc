//! The `http-client` capability: a guest's request as the host's own, to granted hosts only. TLS, addresses, redirects,
//! size and time are `azora_connect::fetch`'s.

use crate::capabilities::Services;
use crate::{CancelFlag, abi};
use azora_connect::fetch::{self, Client, Limits, Refusal};
use azora_spec::HttpGrant;
use std::time::Duration;
use tokio::runtime::Handle;

/// Bytes of a request's body.
const REQUEST_BYTES_MAX: usize = 8 << 20;
/// Bytes of an answer's body.
const RESPONSE_BYTES_MAX: usize = 16 << 20;
/// One exchange, redirects included.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(30);
/// How often a waiting exchange looks at the cancel flag.
const CANCEL_TICK: Duration = Duration::from_millis(10);
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// Methods that a guest may use.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// Request headers that every guest may send, beside those that begin with `x-`. The rest belong to the connection, or to
/// an operator's decision.
const HEADERS: [&str; 18] = [
    "accept",
    "accept-charset",
    "accept-language",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-type",
    "cookie",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "prefer",
    "range",
    "traceparent",
    "user-agent",
];

/// Why a request was not answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// The host, or the header, was not granted.
    NotGranted(String),
    /// The job was cancelled meanwhile.
    Cancelled,
    /// The call has waited for as long as it may.
    Timeout,
    /// Anything that the guest may hear about and deal with.
    Failed(String),
}

/// The client of one plugin.
#[derive(Debug)]
pub(crate) struct HttpClient {
    client: Result<Client, String>,
    io: Handle,
}

impl HttpClient {
    pub(crate) fn new(services: &Services) -> Self {
        Self { client: Client::new(&services.policy).map_err(|failure| failure.message), io: services.io.clone() }
    }

    /// Sends a request and waits for the answer on this thread, at most for `time_max`.
    pub(crate) fn send(
        &self,
        request: abi::Request,
        grant: &HttpGrant,
        cancel: &CancelFlag,
        time_max: Duration,
    ) -> Result<abi::Response, Unanswered> {
        let client = self.client.as_ref().map_err(|reason| Unanswered::Failed(reason.clone()))?;
        let request = checked(request, grant)?;
        let limits = Limits { response_bytes_max: RESPONSE_BYTES_MAX, time_max: EXCHANGE_TIME_MAX.min(time_max) };
        let is_granted = |host: &str, port: u16| grant.hosts.iter().any(|pattern| pattern.matches(host, port));
        self.io.block_on(async {
            let exchange = client.send(request, &limits, &is_granted);
            let cancelled = async {
                while !cancel.is_cancelled() {
                    tokio::time::sleep(CANCEL_TICK).await;
                }
            };
            tokio::select! {
                () = cancelled => Err(Unanswered::Cancelled),
                answer = exchange => match answer {
                    Ok(response) => Ok(shown(response)),
                    Err(Refusal::TimedOut(_)) if time_max < EXCHANGE_TIME_MAX => Err(Unanswered::Timeout),
                    Err(refusal) => Err(Unanswered::Failed(refusal.to_string())),
                },
            }
        })
    }
}

fn checked(request: abi::Request, grant: &HttpGrant) -> Result<fetch::Request, Unanswered> {
    let failed = |reason: String| Unanswered::Failed(reason);
    if !METHODS.contains(&request.method.as_str()) {
        return Err(failed(format!("the method is none of {}", METHODS.join(", "))));
    }
    if request.body.len() > REQUEST_BYTES_MAX {
        return Err(failed(format!("the request has more than {REQUEST_BYTES_MAX} bytes")));
    }
    if request.headers.len() > HEADERS_MAX {
        return Err(failed(format!("the request has more than {HEADERS_MAX} headers")));
    }
    let headers: Vec<(String, String)> =
        request.headers.into_iter().map(|header| (header.name.to_ascii_lowercase(), header.value)).collect();
    let is_allowed = |name: &str| name.starts_with("x-") || HEADERS.contains(&name) || grant.headers.contains(name);
    if let Some((name, _)) = headers.iter().find(|(name, _)| !is_allowed(name)) {
        return Err(Unanswered::NotGranted(format!("header {name}")));
    }
    let made = fetch::Request::new(&request.method, &request.url, &headers, request.body).map_err(|refusal| failed(refusal.to_string()))?;
    let (host, port) = made.place();
    if !grant.hosts.iter().any(|pattern| pattern.matches(&host, port)) {
        return Err(Unanswered::NotGranted(format!("{host}:{port}")));
    }
    Ok(made)
}

fn shown(response: fetch::Response) -> abi::Response {
    let headers = response.headers.into_iter().map(|(name, value)| abi::Header { name, value }).collect();
    abi::Response { status: response.status, headers, body: response.body }
}
