//! Rows of a job as an answer: one JSON text for those who wait, a stream in any format for those who fetch.

use crate::error::Result;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use azora_jobs::{JobResult, format};
use azora_spec::limits::RESULT_INLINE_BYTES_MAX;
use azora_spec::{Failure, FileFormat};
use futures::TryStreamExt;
use serde_json::Value;

/// The whole answer as JSON text, within the limit of answers that somebody waits for.
pub(crate) async fn text(result: &JobResult) -> Result<Vec<u8>, Failure> {
    format::to_json(result, RESULT_INLINE_BYTES_MAX).await
}

/// The whole answer as one value, within the same limit.
pub(crate) async fn value(result: &JobResult) -> Result<Value, Failure> {
    format::to_json_value(result, RESULT_INLINE_BYTES_MAX).await
}

/// The rows as a stream; `held` lives as long as it does. What fails after the first byte can only break it off: the client sees an answer without its end.
pub(crate) fn stream(result: &JobResult, kind: FileFormat, held: impl Send + 'static) -> Result {
    let bytes = format::stream(result, kind)?.inspect_err(move |failure| {
        let _held = &held;
        tracing::warn!(code = %failure.code, message = %failure.message, "a result broke off");
    });
    let mut response: Response = Body::from_stream(bytes).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format::media_type(kind)));
    Ok(response)
}
