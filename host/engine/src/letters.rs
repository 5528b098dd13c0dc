//! What a run could not use: bad records of sources and rows on which functions fail, counted by reason and, where the job
//! keeps them, collected as dead letters.
//!
//! Operators may run their input twice, and both runs see the same rows; so what one partition of one operator refuses is
//! counted and kept once, however often it is run. Where dead letters go is in `keeper`.

mod keeper;

pub(crate) use keeper::{Keeper, Tolerance, refused};

use crate::failure_of;
use azora_connect::{Receive, Rejected};
use azora_spec::{Code, Failure, OnError, limits};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Different reasons that are told apart, of one partition and in a job's view.
const REASONS_MAX: usize = 20;
/// Characters of a reason that are kept.
const REASON_CHARS_MAX: usize = 300;
/// What stands for the reasons beyond.
const OTHERS: &str = "other reasons";
/// Bytes of a letter beside its texts.
const LETTER_BYTES: usize = 128;

/// How many rows or records were left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The code of the failure.
    #[serde(with = "code")]
    pub code: Code,
    /// Why, for people; the rest of the reasons of a code together where there are many.
    pub reason: String,
    /// How many.
    pub rows: u64,
}

/// One row or record that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Where it was, for people.
    pub(crate) position: Option<String>,
    /// The row of the partition, counted from 0; none for records of sources, which have a position.
    pub(crate) row: Option<u64>,
    pub(crate) code: Code,
    pub(crate) message: String,
    /// The record, or the row as JSON.
    pub(crate) record: String,
}

/// Who refuses: a connector's name or an operation's pointer, the partition, and which of the operators of that name.
type Place = (String, usize, usize);
type Counts = BTreeMap<(&'static str, String), u64>;

/// Everything that one run refused.
#[derive(Debug)]
pub(crate) struct Ledger {
    letters_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<Place, Counts>,
    /// By place and the number of the refusal there.
    letters: BTreeMap<(Place, u64), Letter>,
    bytes: usize,
    memory: Option<MemoryReservation>,
}

impl Ledger {
    /// An empty one, which takes the memory of letters from a pool.
    pub(crate) fn new(letters_max: usize, pool: &Arc<dyn MemoryPool>) -> Self {
        let memory = Some(MemoryConsumer::new("dead letters").register(pool));
        Self { letters_max, state: Mutex::new(State { memory, ..State::default() }) }
    }

    /// What one partition of an operator writes. `operator` tells those apart that have the same name.
    pub(crate) fn slot(self: &Arc<Self>, source: &str, operator: usize, partition: usize) -> Slot {
        let own = Mutex::new((0, Counts::new()));
        Slot { ledger: Arc::clone(self), place: (source.to_owned(), partition, operator), own }
    }

    /// The counts so far, the most frequent reason first.
    pub(crate) fn refused(&self) -> Vec<Refused> {
        let mut all = Counts::new();
        for counts in self.state.lock().counts.values() {
            for ((code, reason), rows) in counts {
                *all.entry((code, reason.clone())).or_default() += rows;
            }
        }
        let mut sorted: Vec<_> = all.into_iter().collect();
        sorted.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
        let rest = sorted.split_off(sorted.len().min(REASONS_MAX));
        for ((code, _), rows) in rest {
            match sorted.iter_mut().find(|((of, reason), _)| *of == code && reason == OTHERS) {
                Some((_, sum)) => *sum += rows,
                None => sorted.push(((code, OTHERS.to_owned()), rows)),
            }
        }
        let refused = |((code, reason), rows)| Refused { code: Code::parse(code).unwrap_or(Code::Internal), reason, rows };
        sorted.into_iter().map(refused).collect()
    }

    /// The letters in the order of source, partition and row, with source and partition.
    pub(crate) fn take(&self) -> Vec<(String, usize, Letter)> {
        let letters = std::mem::take(&mut self.state.lock().letters);
        letters.into_iter().map(|(((source, partition, _), _), letter)| (source, partition, letter)).collect()
    }

    fn keep(&self, place: &Place, number: u64, letter: Letter) -> Result<(), Failure> {
        let mut state = self.state.lock();
        let key = (place.clone(), number);
        if state.letters.contains_key(&key) {
            return Ok(());
        }
        let bytes = LETTER_BYTES + letter.message.len() + letter.record.len() + letter.position.as_ref().map_or(0, String::len);
        state.bytes += bytes;
        let bytes_max = limits::DEAD_LETTERS_BYTES_MAX;
        if state.letters.len() >= self.letters_max || state.bytes > bytes_max {
            let message = format!(
                "more than {} dead letters or {bytes_max} bytes of them; the last is from {}: {}",
                self.letters_max, place.0, letter.message
            );
            let failure = Failure::new(Code::DeadLettersLimit, message);
            return Err(failure.hint("are source and functions what was meant? 'skip' leaves out any number of them"));
        }
        if let Some(memory) = &state.memory {
            memory.try_grow(bytes).map_err(failure_of)?;
        }
        state.letters.insert(key, letter);
        Ok(())
    }
}

/// Where one partition of one operator notes what it leaves out.
#[derive(Debug)]
pub(crate) struct Slot {
    ledger: Arc<Ledger>,
    place: Place,
    /// How many it noted in this run, and why.
    own: Mutex<(u64, Counts)>,
}

impl Slot {
    /// Notes a row or record that is left out, and keeps it where the policy says so.
    ///
    /// # Errors
    /// [`Code::DeadLettersLimit`], and [`Code::MemoryLimit`].
    pub(crate) fn refuse(&self, policy: OnError, letter: impl FnOnce() -> Letter) -> Result<(), Failure> {
        let letter = letter();
        let number = self.count(letter.code, &letter.message);
        if policy == OnError::DeadLetter { self.ledger.keep(&self.place, number, letter) } else { Ok(()) }
    }

    /// Counts a reason and answers the number of this refusal.
    fn count(&self, code: Code, reason: &str) -> u64 {
        let mut own = self.own.lock();
        let (number, counts) = &mut *own;
        let at = *number;
        *number += 1;
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let mut key = (code.as_str(), reason);
        if counts.len() >= REASONS_MAX && !counts.contains_key(&key) {
            key.1 = OTHERS.to_owned();
        }
        let count = counts.entry(key.clone()).or_default();
        *count += 1;
        let mut state = self.ledger.state.lock();
        let shared = state.counts.entry(self.place.clone()).or_default().entry(key).or_default();
        // A second run over the same rows counts the same again.
        *shared = (*shared).max(*count);
        at
    }
}

/// Bad records of a source as they come.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) slot: Slot,
    pub(crate) policy: OnError,
}

impl Receive for Records {
    fn receive(&self, rejected: Rejected) -> Result<(), Failure> {
        self.slot.refuse(self.policy, || Letter {
            position: Some(rejected.place),
            row: None,
            code: Code::RecordBad,
            message: rejected.reason,
            record: cut(&rejected.payload),
        })
    }
}

/// Bytes as a text of bounded length.
pub(crate) fn cut(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..limits::DEAD_LETTER_RECORD_BYTES_MAX).unwrap_or(bytes)).into_owned()
}

mod code {
    use azora_spec::Code;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &Code, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        // A code of a later version is still a count.
        Ok(Code::parse(&String::deserialize(deserializer)?).unwrap_or(Code::Internal))
    }
}

#[cfg(test)]
mod job_tests;

#[cfg(test)]
mod tests {
    use super::{Ledger, Letter, OTHERS, REASONS_MAX};
    use azora_spec::{Code, OnError};
    use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};
    use std::sync::Arc;

    fn letter(reason: &str) -> Letter {
        Letter { position: None, row: Some(7), code: Code::LambdaThrew, message: reason.to_owned(), record: "{}".to_owned() }
    }

    fn ledger(letters_max: usize) -> Arc<Ledger> {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        Arc::new(Ledger::new(letters_max, &pool))
    }

    #[test]
    fn what_runs_twice_counts_once() {
        let ledger = ledger(10);
        for _ in 0..2 {
            for partition in [1, 0] {
                let slot = ledger.slot("/operations/0", 1, partition);
                slot.refuse(OnError::DeadLetter, || letter("a")).unwrap();
                slot.refuse(OnError::DeadLetter, || letter("b")).unwrap();
            }
        }
        let refused: Vec<_> = ledger.refused().into_iter().map(|refused| (refused.reason, refused.rows)).collect();
        assert_eq!(refused, [("a".to_owned(), 2), ("b".to_owned(), 2)]);
        let places: Vec<_> = ledger.take().into_iter().map(|(_, partition, letter)| (partition, letter.message)).collect();
        assert_eq!(places, [(0, "a".to_owned()), (0, "b".to_owned()), (1, "a".to_owned()), (1, "b".to_owned())]);
        ledger.slot("/operations/0", 2, 0).refuse(OnError::Skip, || letter("a")).unwrap();
        assert_eq!((ledger.refused()[0].rows, ledger.take().len()), (3, 0));
    }

    #[test]
    fn letters_and_reasons_are_bounded() {
        let ledger = ledger(2);
        let slot = ledger.slot("kafka", 0, 0);
        for at in 0..2 {
            slot.refuse(OnError::DeadLetter, || letter(&at.to_string())).unwrap();
        }
        assert_eq!(slot.refuse(OnError::DeadLetter, || letter("c")).unwrap_err().code, Code::DeadLettersLimit);
        for at in 0..1000 {
            slot.refuse(OnError::Skip, || letter(&at.to_string())).unwrap();
        }
        let refused = ledger.refused();
        assert!(refused.len() <= REASONS_MAX + 1, "{refused:?}");
        assert_eq!(refused.iter().map(|refused| refused.rows).sum::<u64>(), 1003);
        assert!(refused.iter().any(|refused| refused.reason == OTHERS && refused.rows > 900), "{refused:?}");
    }
}
