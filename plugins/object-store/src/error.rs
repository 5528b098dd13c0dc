//! Errors of stores and formats as failures that name host and object and never a key.

use crate::client::{Unreached, below};
use crate::provider::Provider;
use azora_spec::{Code, Failure};
use std::fmt;

/// An object, a prefix or a bucket and its server, as failures name them.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) provider: Provider,
    /// `'s3://bucket/key' at host:port`.
    pub(crate) text: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The failure for an error of a store while it did something with an object.
pub(crate) fn store(error: &object_store::Error, what: &Named) -> Failure {
    if let Some(failure) = below::<Failure>(error) {
        return failure.clone();
    }
    // The text may quote the server; it goes to the log only.
    tracing::info!(%error, %what, "an object store refused");
    let of = what.provider;
    if let Some(unreached) = below::<Unreached>(error) {
        return Failure::new(Code::ConnectorUnavailable, format!("{what} cannot be reached: {unreached}"))
            .hint("check 'endpoint', and that the store runs and may be reached from here; 'connectTimeoutMs' is the limit");
    }
    match error {
        // What is not there where a list was asked for is the bucket.
        error if says(error, &["NoSuchBucket", "ContainerNotFound"]) || is_list(error) => {
            let (bucket, pointer) = (of.bucket(), of.bucket_pointer());
            Failure::new(Code::ConnectorMissing, format!("the {bucket} of {what} does not exist"))
                .hint(format!("check '{bucket}'"))
                .at(pointer)
        }
        object_store::Error::NotFound { .. } => Failure::new(Code::ConnectorMissing, format!("{what} does not exist")),
        // A signature or a key is wrong.
        error if says(error, &["SignatureDoesNotMatch", "InvalidAccessKeyId", "AuthenticationFailed", "status: 401"]) => {
            Failure::new(Code::ConnectorDenied, format!("the store does not accept the key for {what}"))
                .hint(format!("check {}", of.keys()))
        }
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => denied(what),
        error if says(error, &["AccessDenied", "status: 403"]) => denied(what),
        object_store::Error::Precondition { .. } | object_store::Error::NotModified { .. } => {
            Failure::new(Code::DataInvalid, format!("{what} was changed after the job had been planned"))
        }
        object_store::Error::AlreadyExists { .. } => Failure::new(Code::SinkExists, format!("{what} is there already")),
        _ => Failure::new(Code::ConnectorUnavailable, format!("the store does not answer as it should for {what}")),
    }
}

fn denied(what: &Named) -> Failure {
    Failure::new(Code::ConnectorDenied, format!("the store does not allow access to {what}"))
        .hint(format!("check {}, and what they may do", what.provider.keys()))
}

/// Whether nothing was there to be listed: the library has no kind of its own for that.
fn is_list(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::Generic { .. }) && says(error, &["status: 404"])
}

/// Whether some error below says one of these.
fn says(error: &object_store::Error, words: &[&str]) -> bool {
    let text = format!("{error:?}");
    words.iter().any(|word| text.contains(word))
}

/// The failure for an object that is not of its format.
pub(crate) fn broken(object: &Named, reason: &str) -> Failure {
    Failure::new(Code::FileFormat, format!("{object}: {reason}"))
}

/// A defect of this crate, or bytes that it did not write.
pub(crate) fn internal(what: &str) -> Failure {
    Failure::new(Code::Internal, what)
}
