//! Every bound that a caller can meet, with its default. What an operator may change is in the server's configuration
//! and starts from these.

use std::time::Duration;

/// Longest life that a dataset may be given, in seconds: a hundred years.
pub const TTL_SECONDS_MAX: u64 = 100 * 366 * 24 * 3600;
/// Largest request body with inline data.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// Largest uploaded component.
pub const PLUGIN_BYTES_MAX: usize = 32 << 20;
/// Deepest nesting of a JSON body or of inline data.
pub const JSON_DEPTH_MAX: usize = 64;
/// Largest memory that a JSON body may take once it is parsed, by a careful estimate.
pub const JSON_COST_BYTES_MAX: usize = 512 << 20;
/// Most operations in one job.
pub const OPERATIONS_MAX: usize = 256;
/// Most second inputs (`join`, `union`, …) of one job.
pub const OTHER_INPUTS_MAX: usize = 16;
/// Most pairs that one `cartesian` makes.
pub const CARTESIAN_ROWS_MAX: u64 = 1_000_000_000;
/// Longest lambda, in bytes.
pub const LAMBDA_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of brackets and operators in a lambda; counted before parsing.
pub const LAMBDA_DEPTH_MAX: usize = 200;
/// Longest SQL text or expression, in bytes.
pub const SQL_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of brackets and `CASE` in SQL; counted before parsing.
pub const SQL_DEPTH_MAX: usize = 64;
/// Most operators one upon the other in a SQL expression; counted before parsing.
pub const SQL_CHAIN_MAX: usize = 500;
/// Most places of all operators of a SQL text in their chains, added up: what planning takes grows with it.
pub const SQL_CHAIN_SUM_MAX: usize = 1_000_000;
/// Most set operations in a SQL statement.
pub const SQL_UNIONS_MAX: usize = 200;
/// Most joins in a SQL statement, and in a frame.
pub const SQL_JOINS_MAX: usize = 64;
/// Most tables that a text reads once its `WITH` queries stand wherever they are named.
pub const SQL_READS_MAX: usize = 1024;
/// Most groupings that `CUBE`, `ROLLUP` and `GROUPING SETS` of a text come to.
pub const SQL_GROUPINGS_MAX: usize = 4096;
/// Most parameters of a query, and most functions that a job or a context names.
pub const SQL_NAMES_MAX: usize = 1000;
/// Most tables that a query's request names beside datasets and files.
pub const SQL_TABLES_MAX: usize = 64;
/// Longest dataset name.
pub const DATASET_NAME_BYTES_MAX: usize = 128;
/// Longest plugin name.
pub const PLUGIN_NAME_BYTES_MAX: usize = 64;
/// Longest `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Longest request id that is taken from a caller.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_KEEP: Duration = Duration::from_secs(24 * 3600);
/// Most partitions of a job.
pub const PARTITIONS_MAX: usize = 4096;
/// Rows in a batch that the engine makes.
pub const BATCH_ROWS: usize = 8192;
/// Most bytes of what a function of SQL that answers as much as it is asked for (`repeat`, `range`, …) makes of one batch.
pub const VALUES_BYTES_MAX: usize = 256 << 20;
/// Most bytes of what such a function makes of constants, which stands beside every row.
pub const CONSTANT_BYTES_MAX: usize = 8 << 20;
/// Most bytes of a list that stands beside more than one row of a query.
pub const LIST_BYTES_MAX: usize = 256 << 10;
/// Jobs that wait for a runner.
pub const QUEUE_JOBS_MAX: usize = 1024;
/// Jobs that run at the same time.
pub const RUNNING_JOBS_MAX: usize = 16;
/// Events kept for one job.
pub const EVENTS_PER_JOB_MAX: usize = 1000;
/// Largest result that a waiting endpoint puts into its JSON answer.
pub const RESULT_INLINE_BYTES_MAX: usize = 64 << 20;
/// Largest page of a listing.
pub const PAGE_ROWS_MAX: usize = 1000;
/// Default page of a listing.
pub const PAGE_ROWS_DEFAULT: usize = 50;
/// Longest run of a job where it does not ask for less.
pub const JOB_TIME_MAX: Duration = Duration::from_secs(3600);

/// Most dead letters of one job: bad records of its sources and rows on which its functions fail. One more fails it.
pub const DEAD_LETTERS_MAX: usize = 100_000;
/// Most bytes of all dead letters of one job, which are held in memory until it ends.
pub const DEAD_LETTERS_BYTES_MAX: usize = 64 << 20;
/// Most bytes of a record that its dead letter repeats.
pub const DEAD_LETTER_RECORD_BYTES_MAX: usize = 64 << 10;

/// What one instance of a guest may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestLimits {
    /// Linear memory, all of them together.
    pub memory_bytes_max: usize,
    /// Elements of all tables together.
    pub table_elements_max: usize,
    /// Wall time of one call.
    pub call_time_max: Duration,
    /// Rows that one call may return.
    pub output_rows_max: usize,
    /// Bytes that one call may return.
    pub output_bytes_max: usize,
    /// Calls of the host during one call of the guest.
    pub host_calls_max: u64,
    /// Bytes of log text that are kept of one instance.
    pub log_bytes_max: usize,
}

impl Default for GuestLimits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 64 << 20,
            table_elements_max: 100_000,
            call_time_max: Duration::from_secs(10),
            output_rows_max: 4 << 20,
            output_bytes_max: 64 << 20,
            host_calls_max: 100_000,
            log_bytes_max: 64 << 10,
        }
    }
}
