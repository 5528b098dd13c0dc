//! What every living guest keeps of its calls, whatever it exports: counters, and whether one of them failed.

use crate::error::{Error, Result};
use crate::store::State;
use crate::transform::Stats;
use std::time::Instant;

/// The counters of one guest. After a call that failed the guest is dead: what it holds cannot be trusted any more.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    stats: Stats,
    is_dead: bool,
}

impl Calls {
    /// One call, which may add to the counters. A dead guest is not entered.
    pub(crate) fn run<T>(&mut self, body: impl FnOnce(&mut Stats) -> Result<T>) -> Result<T> {
        if self.is_dead {
            return Err(Error::Input { reason: "the instance failed before".to_owned() });
        }
        let begun = Instant::now();
        let result = body(&mut self.stats);
        self.stats.calls += 1;
        self.stats.guest_ns = self.stats.guest_ns.saturating_add(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        self.is_dead = result.is_err();
        result
    }

    /// Notes rows that are handed in.
    pub(crate) fn hand_in(&mut self, rows: usize, bytes: usize) {
        self.stats.rows_in += rows as u64;
        self.stats.bytes_in += bytes as u64;
    }

    /// The counters, with what the store knows.
    pub(crate) fn stats(&self, state: &State) -> Stats {
        Stats { memory_bytes: state.memory_bytes(), log_lines_dropped: state.log_lines_dropped(), ..self.stats }
    }
}
