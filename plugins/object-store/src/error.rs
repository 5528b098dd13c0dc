//! Errors of stores and formats as failures that name the object and never a key.

use azora_spec::{Code, Failure};
use std::error::Error as StdError;

/// The failure for an error of a store while it did something with an object.
pub(crate) fn store(error: &object_store::Error, what: &str) -> Failure {
    if let Some(failure) = inner(error) {
        return failure;
    }
    // The text may quote the server; it goes to the log only.
    tracing::info!(%error, what, "an object store refused");
    match error {
        object_store::Error::NotFound { .. } => Failure::new(Code::ConnectorMissing, format!("{what} does not exist")),
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            Failure::new(Code::ConnectorDenied, format!("the store does not allow access to {what}"))
                .hint("check accessKeyId and secretAccessKey, and what they may do")
        }
        object_store::Error::Precondition { .. } | object_store::Error::NotModified { .. } => {
            Failure::new(Code::DataInvalid, format!("{what} was changed after the job had been planned"))
        }
        object_store::Error::AlreadyExists { .. } => Failure::new(Code::SinkExists, format!("{what} is there already")),
        // What is not there where a list was asked for is the bucket.
        other if says(other, &["NoSuchBucket", "ContainerNotFound", "status: 404"]) => {
            Failure::new(Code::ConnectorMissing, format!("the bucket of {what} does not exist"))
        }
        // A signature or a key is wrong.
        other if says(other, &["SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied", "status: 403", "status: 401"]) => {
            Failure::new(Code::ConnectorDenied, format!("the store does not accept the key for {what}"))
                .hint("check accessKeyId, secretAccessKey and region")
        }
        _ => Failure::new(Code::ConnectorUnavailable, format!("the store does not answer as it should for {what}")),
    }
}

/// Whether some error below says one of these.
fn says(error: &object_store::Error, words: &[&str]) -> bool {
    let text = format!("{error:?}");
    words.iter().any(|word| text.contains(word))
}

/// A failure of ours that travelled through the store's client.
fn inner(error: &object_store::Error) -> Option<Failure> {
    let mut at: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = at {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(failure.clone());
        }
        at = error.source();
    }
    None
}

/// The failure for an object that is not of its format.
pub(crate) fn broken(object: &str, reason: &str) -> Failure {
    Failure::new(Code::FileFormat, format!("'{}': {reason}", object.escape_debug()))
}

/// A defect of this crate, or bytes that it did not write.
pub(crate) fn internal(what: &str) -> Failure {
    Failure::new(Code::Internal, what)
}
