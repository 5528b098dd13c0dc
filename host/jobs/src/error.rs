//! What can go wrong with a job outside of its own plan and run.

use azora_spec::{Code, Failure, JobId};

/// Why the service refused or ended something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// As many jobs as allowed have not ended yet.
    #[error("the queue is full: {limit} jobs have not ended yet")]
    QueueFull {
        /// The limit.
        limit: usize,
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Draining,
    /// No such job.
    #[error("no job {0}")]
    JobUnknown(JobId),
    /// The job has not ended.
    #[error("job {0} has not ended yet")]
    NotFinished(JobId),
    /// The job has no result to fetch.
    #[error("job {0} has no result: {1}")]
    NoResult(JobId, &'static str),
    /// The job was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// A restart found the job, and nobody waits for it any more.
    #[error("the server was restarted while the caller waited")]
    CallerGone,
    /// The job ran longer than allowed.
    #[error("the job ran longer than its {seconds} s")]
    Timeout {
        /// The limit.
        seconds: u64,
    },
    /// The job was begun again and again and never ended.
    #[error("the job was started {attempts} times and never ended")]
    AttemptsSpent {
        /// How often.
        attempts: u32,
    },
    /// A job's record is gone or wrong.
    #[error("the record of the job is damaged")]
    RecordDamaged,
    /// The engine's answer does not fit the plan.
    #[error("the run gave {got} tokens for {want} partitions")]
    Tokens {
        /// As many as there were.
        got: usize,
        /// As many as there should be.
        want: usize,
    },
    /// The same key came with another request.
    #[error("this Idempotency-Key was used with another request")]
    KeyMismatch,
    /// Other bytes have the name and version.
    #[error("plugin {0} is here already with other bytes")]
    PluginExists(String),
    /// No such plugin.
    #[error("no plugin {0}")]
    PluginUnknown(String),
    /// A job that has not ended uses the plugin.
    #[error("plugin {plugin} is used by job {job}, which has not ended")]
    PluginInUse {
        /// The plugin.
        plugin: String,
        /// The job.
        job: JobId,
    },
    /// Too many uploads at the same time.
    #[error("{limit} uploads are being checked already")]
    UploadsFull {
        /// The limit.
        limit: usize,
    },
    /// No such dataset.
    #[error("no dataset '{0}'")]
    DatasetUnknown(String),
    /// Another job made the dataset first.
    #[error("dataset '{0}' is there already")]
    DatasetExists(String),
    /// A field of a request is wrong.
    #[error("{message}")]
    Field {
        /// JSON Pointer of the field.
        pointer: &'static str,
        /// What is wrong and what is right.
        message: String,
    },
    /// A thread ended without an answer.
    #[error("a part of the server stopped unexpectedly")]
    Lost,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::QueueFull { .. } => Self::new(Code::JobQueueFull, message).hint("try again when some have ended"),
            Error::UploadsFull { .. } => Self::new(Code::JobQueueFull, message).hint("try again in a few seconds"),
            Error::Draining => Self::new(Code::ServerDraining, message).hint("try again in a minute"),
            Error::JobUnknown(_) => Self::new(Code::JobUnknown, message),
            Error::NotFinished(_) => Self::new(Code::JobNotFinished, message),
            Error::NoResult(..) => Self::new(Code::JobNoResult, message),
            Error::Cancelled | Error::CallerGone => Self::new(Code::JobCancelled, message),
            Error::Timeout { .. } => Self::new(Code::JobTimeout, message).hint("give the job a longer time limit in its options"),
            Error::KeyMismatch => Self::new(Code::IdempotencyMismatch, message).hint("use a fresh key for a new request"),
            Error::PluginExists(_) => Self::new(Code::PluginExists, message).hint("give the new bytes another version"),
            Error::PluginUnknown(_) => Self::new(Code::PluginUnknown, message),
            Error::PluginInUse { .. } => Self::new(Code::PluginInUse, message).hint("cancel the job or wait for its end"),
            Error::DatasetUnknown(_) => Self::new(Code::DatasetUnknown, message).hint("GET /api/v1/datasets lists those that are there"),
            Error::DatasetExists(_) => {
                Self::new(Code::DatasetExists, message).hint("use another name, or write with mode overwrite or append")
            }
            Error::Field { pointer, .. } => Self::new(Code::RequestField, message).at(pointer),
            Error::AttemptsSpent { .. } | Error::RecordDamaged | Error::Tokens { .. } | Error::Lost => Self::new(Code::Internal, message),
        }
    }
}
