//! What can go wrong with Kafka, and what the caller is told of it: host and topic, never a secret.

use azora_spec::{Code, Failure};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A failure of this connector.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot reach {cluster}: {reason}")]
    Unreachable { cluster: String, reason: String },
    #[error("connections to {host} are not allowed")]
    Refused { host: String },
    #[error("{cluster} refuses: {reason}")]
    Denied { cluster: String, reason: String },
    #[error("the topic '{topic}' does not exist on {cluster}")]
    TopicMissing { cluster: String, topic: String },
    #[error("the topic '{topic}' on {cluster} has no partition {partition}; it has {count}")]
    PartitionMissing { cluster: String, topic: String, partition: i64, count: usize },
    #[error("offset {offset} of {topic}/{partition} on {cluster} is not there: it has {low} to {high}")]
    OffsetMissing { cluster: String, topic: String, partition: i32, offset: i64, low: i64, high: i64 },
    #[error("records of {topic}/{partition} on {cluster} are gone: they were to be read up to offset {end}, and it ends at {high}")]
    Truncated { cluster: String, topic: String, partition: i32, end: i64, high: i64 },
    #[error("the group '{group}' on {cluster} is in use: {reason}")]
    GroupInUse { cluster: String, group: String, reason: String },
    #[error("{cluster} did not answer for {seconds} s while {doing}: {reason}")]
    Silent { cluster: String, seconds: u64, doing: &'static str, reason: String },
    #[error("{cluster} failed while {doing}: {reason}")]
    Answer { cluster: String, doing: &'static str, reason: String },
    #[error("another writer of the same job has taken over {cluster}")]
    Fenced { cluster: String },
    #[error("{0} cannot be used as a configuration of the client")]
    Client(&'static str),
    #[error("rows that were prepared are not there any more: {what}")]
    StagedMissing { what: String },
    #[error("cannot stage rows for Kafka")]
    Staging(#[source] std::io::Error),
    #[error("{0} was not made by this connector")]
    Foreign(&'static str),
    #[error("a thread of this connector ended early")]
    Ended,
}

impl Error {
    /// Tells what an error of the client means. `cluster` is its name for people.
    pub(crate) fn of(error: &KafkaError, cluster: &str, doing: &'static str) -> Self {
        let cluster = cluster.to_owned();
        let Some(code) = error.rdkafka_error_code() else {
            return Self::Answer { cluster, doing, reason: "the client gave no reason".to_owned() };
        };
        let reason = words(code);
        match code {
            RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch => {
                Self::Fenced { cluster }
            }
            _ if is_denied(code) => Self::Denied { cluster, reason },
            _ if is_unreachable(code) => Self::Unreachable { cluster, reason },
            _ => Self::Answer { cluster, doing, reason },
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Fenced { .. } => Code::ConnectorUnavailable,
            Self::Refused { .. } => Code::NetworkRefused,
            Self::Denied { .. } => Code::ConnectorDenied,
            Self::TopicMissing { .. } | Self::PartitionMissing { .. } | Self::OffsetMissing { .. } => Code::ConnectorMissing,
            Self::GroupInUse { .. } => Code::ConnectorBusy,
            Self::Truncated { .. } | Self::Answer { .. } => Code::ConnectorAnswer,
            Self::Client(_) => Code::ConnectorConfig,
            Self::Staging(source) if source.kind() == std::io::ErrorKind::StorageFull => Code::StorageFull,
            Self::StagedMissing { .. } | Self::Staging(_) | Self::Foreign(_) | Self::Ended => Code::Internal,
        }
    }

    const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => Some("is the broker running, and does it speak this protocol on this port?"),
            Self::Refused { .. } => Some("the operator can allow it with the setting network_allow"),
            Self::Denied { .. } => Some("check 'security', and what the user may do on this cluster"),
            Self::TopicMissing { .. } => Some("create the topic first; it is not created by reading or writing"),
            Self::GroupInUse { .. } => Some("wait until nobody else reads for it, or give the job a 'groupId' of its own"),
            Self::OffsetMissing { .. } => Some("older records were deleted by retention, or newer ones are not written yet"),
            _ => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::new(error.code(), error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// Whether the cluster knows who asks and says no.
pub(crate) const fn is_denied(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as K;
    matches!(
        code,
        K::Authentication
            | K::SaslAuthenticationFailed
            | K::UnsupportedSASLMechanism
            | K::TopicAuthorizationFailed
            | K::GroupAuthorizationFailed
            | K::ClusterAuthorizationFailed
            | K::TransactionalIdAuthorizationFailed
    )
}

/// Whether a group's offsets are its members' to move.
pub(crate) const fn is_of_members(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as K;
    matches!(code, K::UnknownMemberId | K::IllegalGeneration | K::RebalanceInProgress)
}

/// Whether there is nobody to talk to.
pub(crate) const fn is_unreachable(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as K;
    matches!(
        code,
        K::BrokerTransportFailure
            | K::AllBrokersDown
            | K::Resolve
            | K::SSL
            | K::OperationTimedOut
            | K::RequestTimedOut
            | K::NetworkException
            | K::BrokerNotAvailable
            | K::CoordinatorNotAvailable
            | K::CoordinatorLoadInProgress
            | K::WaitingForCoordinator
    )
}

/// A reason in words. The client's own texts say "Local" and "Broker" in front and repeat themselves.
pub(crate) fn words(code: RDKafkaErrorCode) -> String {
    use RDKafkaErrorCode as K;
    match code {
        K::BrokerTransportFailure | K::AllBrokersDown => "no broker can be connected to".to_owned(),
        K::Resolve => "the name of a broker has no address".to_owned(),
        K::SSL => "the TLS handshake failed".to_owned(),
        K::OperationTimedOut | K::RequestTimedOut => "no answer in time".to_owned(),
        K::Authentication | K::SaslAuthenticationFailed => "user or password is wrong".to_owned(),
        K::TopicAuthorizationFailed => "the user may not use this topic".to_owned(),
        K::GroupAuthorizationFailed => "the user may not use this consumer group".to_owned(),
        K::MessageSizeTooLarge => "a message is larger than the topic allows".to_owned(),
        other => {
            let text = other.to_string();
            text.rsplit_once('(').map_or_else(|| text.clone(), |(_, rest)| rest.trim_end_matches(')').to_lowercase())
        }
    }
}
