//! Requests at a bounded rate, and tried again where another try may help.

use azora_connect::Policy;
use azora_connect::fetch::{Client, Limits, Refusal, Request, Response};
use azora_spec::wire::shown;
use azora_spec::{Code, Failure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

/// Wait before the first repetition; doubled before each next one.
const WAIT_FIRST: Duration = Duration::from_millis(200);
/// Longest wait before a repetition, whatever the server asks for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How requests are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Shortest time between the beginnings of two requests.
    pub(crate) gap: Duration,
    /// Repetitions of one request.
    pub(crate) retries: u32,
    /// One exchange.
    pub(crate) time_max: Duration,
    /// How long a server that never answered is tried: a wrong address is told by then, whatever repetitions are left.
    pub(crate) connect_time: Duration,
    /// Bytes of one answer.
    pub(crate) bytes_max: usize,
}

/// Sends requests of one configuration. Clones share the rate.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    client: Client,
    pace: Pace,
    next: Arc<Mutex<Instant>>,
    /// Whether the server has ever answered.
    is_there: Arc<AtomicBool>,
}

impl Sender {
    pub(crate) fn new(client: Client, pace: Pace) -> Self {
        Self { client, pace, next: Arc::new(Mutex::new(Instant::now())), is_there: Arc::default() }
    }

    /// The answer, once it is of the 200s.
    ///
    /// Redirects are followed anywhere that the policy allows: the client takes secrets to no other host.
    pub(crate) async fn send(&self, request: &Request) -> Result<Response, Failure> {
        let deadline = Instant::now() + self.pace.connect_time;
        let mut tries = 0;
        loop {
            self.turn().await;
            let left = deadline.saturating_duration_since(Instant::now());
            let time_max = if self.is_there.load(Ordering::Relaxed) { self.pace.time_max } else { self.pace.time_max.min(left) };
            let limits = Limits { response_bytes_max: self.pace.bytes_max, time_max };
            let answer = self.client.send(request.clone(), &limits, &|_, _| true).await;
            self.is_there.fetch_or(answer.is_ok(), Ordering::Relaxed);
            let is_hopeless = !self.is_there.load(Ordering::Relaxed) && Instant::now() >= deadline;
            let wait = match answer {
                Ok(response) if (200..300).contains(&response.status) => return Ok(response),
                Ok(response) if tries >= self.pace.retries || !is_passing(response.status) => return Err(refused(request, &response)),
                Ok(response) => asked_wait(&response),
                Err(refusal) if is_hopeless => {
                    return Err(failure(refusal, request).hint("'connectTimeoutMs' is how long a server is waited for that never answered"));
                }
                Err(refusal) if tries >= self.pace.retries || !refusal.is_retryable() => return Err(failure(refusal, request)),
                Err(_) => None,
            };
            let wait = wait.unwrap_or(WAIT_FIRST * 2_u32.saturating_pow(tries)).min(WAIT_MAX);
            tracing::debug!(?wait, tries, "a request is sent again");
            sleep(wait).await;
            tries += 1;
        }
    }

    /// Waits for this request's turn.
    async fn turn(&self) {
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + self.pace.gap;
    }
}

/// Whether a status may be another one a little later.
const fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// `Retry-After` in seconds; dates are left to the usual waits.
fn asked_wait(response: &Response) -> Option<Duration> {
    let (_, value) = response.headers.iter().find(|(name, _)| name == "retry-after")?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// What the server answered is not repeated: it may hold what it was sent.
fn refused(request: &Request, response: &Response) -> Failure {
    let (host, port) = request.place();
    answered(&host, port, request.path(), response.status)
}

/// What a status that is no success means. The query is not shown: keys may stand there.
pub(crate) fn answered(host: &str, port: u16, path: &str, status: u16) -> Failure {
    let message = format!("'{host}:{port}' answered {status} for '{}'", shown(path));
    match status {
        401 | 403 | 407 => Failure::new(Code::ConnectorDenied, message).hint("is the authentication right?"),
        404 | 410 => Failure::new(Code::ConnectorMissing, message).hint("is the path right?"),
        status if is_passing(status) || status >= 500 => Failure::new(Code::ConnectorUnavailable, message),
        _ => Failure::new(Code::ConnectorAnswer, message),
    }
}

/// Why there is no answer, and to what.
fn failure(refusal: Refusal, request: &Request) -> Failure {
    let failure = Failure::from(refusal);
    match failure.code {
        Code::ConnectorConfig => failure.at("/url"),
        Code::ConnectorUnavailable => Failure { message: format!("{} (for '{}')", failure.message, shown(request.path())), ..failure },
        _ => failure,
    }
}

/// A client under a policy.
pub(crate) fn client(policy: &Policy) -> Result<Client, Failure> {
    Client::new(policy)
}
