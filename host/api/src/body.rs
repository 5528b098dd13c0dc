//! Request bodies: read with a limit on size, on pace and on the memory of all of them together, then parsed.

use crate::App;
use crate::error::Problem;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use azora_spec::{Code, Failure, wire};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// Bodies larger than this are parsed on a thread that may block.
const PARSE_INLINE_BYTES_MAX: usize = 256 << 10;
/// What is read and thrown away of a body that was refused, so that the client sees the answer and not a reset.
const DRAIN_BYTES_MAX: usize = 256 << 20;
/// How long that may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// A body's bytes. Dropping it gives its share of the memory for bodies back.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// A JSON body. An empty one stands for `{}` where the route's fields are all optional.
#[derive(Debug)]
pub(crate) struct Json {
    pub(crate) value: Value,
    pub(crate) bytes: Bytes,
    pub(crate) headers: HeaderMap,
}

impl FromRequest<App> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let checked = check_media_type(&parts.headers);
        let read = match checked {
            Ok(()) => read(app, &parts.headers, body, app.options.json_bytes_max, Code::RequestTooLarge).await?,
            Err(failure) => {
                drain(body).await;
                return Err(failure.into());
            }
        };
        let bytes = read.bytes.clone();
        let value = if bytes.len() <= PARSE_INLINE_BYTES_MAX {
            wire::parse(&bytes)?
        } else {
            let shared = bytes.clone();
            tokio::task::spawn_blocking(move || wire::parse(&shared)).await.map_err(|error| parser_lost(&error))??
        };
        Ok(Self { value, bytes, headers: parts.headers })
    }
}

/// As [`Json`], where all fields are optional: no body means none of them.
#[derive(Debug)]
pub(crate) struct OptionalJson(pub(crate) Value);

impl FromRequest<App> for OptionalJson {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let read = read(app, &parts.headers, body, app.options.json_bytes_max, Code::RequestTooLarge).await?;
        if read.bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(Value::Object(Map::new())));
        }
        check_media_type(&parts.headers)?;
        Ok(Self(wire::parse(&read.bytes)?))
    }
}

fn parser_lost(error: &tokio::task::JoinError) -> Failure {
    tracing::error!(%error, "parsing a body did not end");
    Failure::new(Code::Internal, "the body could not be parsed because of a defect of the server")
}

/// Reads a whole body.
///
/// # Errors
/// `too_large`, [`Code::RequestTimeout`] for a body that comes too slowly, [`Code::ServerBusy`] when all bodies together
/// are too large, [`Code::RequestSyntax`] when it breaks off.
pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body, bytes_max: usize, too_large: Code) -> Result<Read, Failure> {
    let announced = content_length(headers);
    if announced.is_some_and(|length| length > bytes_max as u64) {
        drain(body).await;
        return Err(over(bytes_max, too_large));
    }
    let mut pace = Pace::new(app.options.body_time_base, app.options.body_bytes_per_second_min);
    let mut share = Share { pool: Arc::clone(&app.body_kibibytes), held: None };
    let mut stream = body.into_data_stream();
    let mut collected: Vec<u8> = Vec::new();
    let mut only: Option<Bytes> = None;
    let mut length = 0_usize;
    loop {
        let chunk = match pace.next(&mut stream).await? {
            None => break,
            Some(chunk) => chunk,
        };
        length = length.saturating_add(chunk.len());
        let fault = if length > bytes_max { Err(over(bytes_max, too_large)) } else { share.grow(length) };
        if let Err(failure) = fault {
            drain(Body::from_stream(stream)).await;
            return Err(failure);
        }
        pace.received = length as u64;
        match only.take() {
            // Most bodies come in one piece, which need not be copied.
            None if collected.is_empty() => only = Some(chunk),
            None => collected.extend_from_slice(&chunk),
            Some(first) => {
                collected.reserve(first.len() + chunk.len());
                collected.extend_from_slice(&first);
                collected.extend_from_slice(&chunk);
            }
        }
    }
    Ok(Read { bytes: only.unwrap_or_else(|| Bytes::from(collected)), _share: share.held })
}

fn over(bytes_max: usize, code: Code) -> Failure {
    let limit = if bytes_max >= 1 << 20 { format!("{} MiB", bytes_max >> 20) } else { format!("{bytes_max} bytes") };
    let failure = Failure::new(code, format!("the body is larger than {limit}"));
    match code {
        Code::RequestTooLarge => failure.hint("put the rows into a file and ingest it as a dataset"),
        _ => failure,
    }
}

/// A share of the memory for bodies, in steps of a KiB.
struct Share {
    pool: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = u32::try_from(bytes.div_ceil(1 << 10).saturating_sub(held)).unwrap_or(u32::MAX);
        if missing == 0 {
            return Ok(());
        }
        match Arc::clone(&self.pool).try_acquire_many_owned(missing) {
            Ok(more) => {
                match &mut self.held {
                    Some(held) => held.merge(more),
                    None => self.held = Some(more),
                }
                Ok(())
            }
            Err(_) => Err(Failure::new(Code::ServerBusy, "too many large bodies are in flight, try again")),
        }
    }
}

/// How long a body may take, growing with what came so far.
struct Pace {
    started: Instant,
    base: Duration,
    bytes_per_second_min: u64,
    received: u64,
}

impl Pace {
    fn new(base: Duration, bytes_per_second_min: u64) -> Self {
        Self { started: Instant::now(), base, bytes_per_second_min: bytes_per_second_min.max(1), received: 0 }
    }

    async fn next(&self, stream: &mut axum::body::BodyDataStream) -> Result<Option<Bytes>, Failure> {
        let deadline = self.started + self.base + Duration::from_secs(self.received / self.bytes_per_second_min);
        match timeout_at(deadline, stream.next()).await {
            Err(_) => Err(Failure::new(Code::RequestTimeout, "the body came too slowly")),
            Ok(None) => Ok(None),
            Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a body broke off");
                Err(Failure::new(Code::RequestSyntax, "the body broke off"))
            }
        }
    }
}

/// Takes what is left of a refused body from the connection, within bounds.
pub(crate) async fn drain(body: Body) {
    let mut stream = body.into_data_stream();
    let mut left = DRAIN_BYTES_MAX;
    let whole = async {
        while let Some(Ok(chunk)) = stream.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    if timeout(DRAIN_TIME_MAX, whole).await.is_err() {
        tracing::debug!("a refused body was not drained in time");
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The media type without its parameters, in lower case; none where the header is missing.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Failure> {
    match media_type(headers).as_deref() {
        None | Some("application/json" | "text/json") => Ok(()),
        Some(other) if other.starts_with("application/") && other.ends_with("+json") => Ok(()),
        Some(_) => Err(Failure::new(Code::RequestMediaType, "the body's media type must be application/json")
            .hint("send the header 'content-type: application/json'")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, Share};
    use axum::body::Body;
    use azora_spec::Code;
    use bytes::Bytes;
    use futures::{StreamExt, stream};
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn a_body_that_stalls_is_given_up() {
        let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"[1,")) });
        let mut body = Body::from_stream(first.chain(stream::pending())).into_data_stream();
        let pace = Pace::new(Duration::from_millis(20), 1 << 20);
        assert_eq!(pace.next(&mut body).await, Ok(Some(Bytes::from_static(b"[1,"))));
        assert_eq!(pace.next(&mut body).await.expect_err("nothing comes").code, Code::RequestTimeout);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_a_mistake_of_the_caller() {
        let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]);
        let mut body = Body::from_stream(broken).into_data_stream();
        let pace = Pace::new(Duration::from_secs(60), 1);
        assert_eq!(pace.next(&mut body).await.expect_err("broken").code, Code::RequestSyntax);
    }

    #[test]
    fn bodies_share_a_bounded_memory_and_give_it_back() {
        let pool = Arc::new(Semaphore::new(4));
        let share = || Share { pool: Arc::clone(&pool), held: None };
        let (mut one, mut two) = (share(), share());
        assert!(one.grow(1).is_ok() && one.grow(3 << 10).is_ok() && two.grow(1 << 10).is_ok());
        assert_eq!(two.grow((1 << 10) + 1).expect_err("none is left").code, Code::ServerBusy);
        drop(one);
        assert!(two.grow(4 << 10).is_ok());
    }
}
