//! What a run reports while it lasts. Whoever started it hands the receiver down.

use crate::Refused;
use azora_connect::Token;
use azora_spec::Failure;
use std::fmt::Debug;

/// Receives what happens in one run. Called from many threads; must not block for long.
pub trait Progress: Send + Sync + Debug {
    /// A partition is durable and need not run again. The caller stores the token with the job. The number behind the last
    /// partition's names what a job that may leave out rows has left out.
    ///
    /// # Errors
    /// Whatever kept the token from being stored; the run fails with it.
    fn prepared(&self, partition: usize, token: &Token) -> Result<(), Failure>;

    /// What the run left out so far, by reason. Each call replaces the one before.
    fn refused(&self, refused: Vec<Refused>) {
        drop(refused);
    }

    /// Counters of one partition of one stage. Each update replaces the one before; losing some is harmless.
    fn update(&self, update: StageUpdate);
}

/// Counters of one partition of one stage, from the run's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageUpdate {
    /// 0 for the stage that reads the input; each exchange between partitions begins another.
    pub stage: usize,
    /// What the stage does, for people, for example `scan, transform`.
    pub stage_name: String,
    /// Which partition of it.
    pub partition: usize,
    /// Partitions of the stage.
    pub partitions: usize,
    /// Rows that went in.
    pub rows_in: u64,
    /// Rows that came out.
    pub rows_out: u64,
    /// Bytes in memory of the rows that came out, where they are counted.
    pub bytes: u64,
    /// Time inside guests, in nanoseconds.
    pub guest_ns: u64,
    /// Calls of guests that failed and were tried again with fewer rows.
    pub traps: u64,
    /// Rows that were left out because a function failed on them.
    pub skipped: u64,
    /// Whether the partition has ended.
    pub is_done: bool,
}
