//! Records of a source that cannot be read as rows: what happens to them, how many they were, and why.
//!
//! A reader hands each one to the [`Rejects`] of its request. Whether the job then fails, counts it, or keeps it is decided
//! there and not in the connector.

use azora_spec::wire::shown;
use azora_spec::{Code, Failure, OnError};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Longest reason that is kept, in characters.
pub const REASON_CHARS_MAX: usize = 300;
/// Longest name of a place that is kept, in characters.
pub const PLACE_CHARS_MAX: usize = 300;
/// Most bytes of a record that are kept.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// Most rejected records that wait to be written; a reader that is ahead of it fails.
pub const WAITING_MAX: usize = 65_536;
/// Most bytes of rejected records that wait to be written.
pub const WAITING_BYTES_MAX: usize = 64 << 20;

/// One record that is no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Where it is, for people: `topic/3/1042`, `orders.json, line 7`.
    pub place: String,
    /// Why it is no row.
    pub reason: String,
    /// Its bytes, cut at [`PAYLOAD_BYTES_MAX`].
    pub payload: Vec<u8>,
}

/// Takes rejected records over as they come.
pub trait Receive: Send + Sync + Debug {
    /// Takes one. Its payload is empty where records are only counted.
    ///
    /// # Errors
    /// Where the job has to fail: too many of them, for example.
    fn receive(&self, rejected: Rejected) -> Result<(), Failure>;
}

/// Where readers put rejected records. Clones share everything.
#[derive(Debug, Clone)]
pub struct Rejects {
    policy: OnError,
    /// The server and what is read there, as failures name them.
    from: Option<Arc<str>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    count: AtomicU64,
    waiting: Mutex<Waiting>,
    /// Who takes them; without anybody they wait.
    receiver: Option<Arc<dyn Receive>>,
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<Rejected>,
    bytes: usize,
}

impl Default for Rejects {
    fn default() -> Self {
        Self::new(OnError::Fail)
    }
}

impl Rejects {
    /// A place for rejected records that treats them so.
    #[must_use]
    pub fn new(policy: OnError) -> Self {
        Self { policy, from: None, shared: Arc::default() }
    }

    /// The same, with somebody who takes records over in place of letting them wait.
    #[must_use]
    pub fn handed_to(policy: OnError, receiver: Arc<dyn Receive>) -> Self {
        Self { policy, from: None, shared: Arc::new(Shared { receiver: Some(receiver), ..Shared::default() }) }
    }

    /// The same for records of this server and object; a failure names them, since the place of a record is one within.
    #[must_use]
    pub fn named(self, from: Arc<str>) -> Self {
        Self { from: Some(from), ..self }
    }

    /// What happens to records.
    #[must_use]
    pub const fn policy(&self) -> OnError {
        self.policy
    }

    /// Takes a record that is no row.
    ///
    /// # Errors
    /// [`Code::RecordBad`] where the job has to fail: bad records are not allowed, or more of them wait than fit.
    pub fn reject(&self, place: &str, reason: &str, payload: &[u8]) -> Result<(), Failure> {
        let (place, reason) = (cut(place, PLACE_CHARS_MAX), cut(reason, REASON_CHARS_MAX));
        if self.policy == OnError::Fail {
            let from = self.from.as_deref().filter(|from| !from.is_empty() && !place.contains(*from));
            let from = from.map(|from| format!(" (in {from})")).unwrap_or_default();
            return Err(Failure::new(Code::RecordBad, format!("{place}: {reason}{from}"))
                .hint("set badRecords to 'skip' or 'dead-letter' to read the others"));
        }
        self.shared.count.fetch_add(1, Ordering::Relaxed);
        let kept = if self.policy == OnError::Skip { &[][..] } else { payload.get(..PAYLOAD_BYTES_MAX).unwrap_or(payload) };
        let payload = kept.to_vec();
        if let Some(receiver) = &self.shared.receiver {
            return receiver.receive(Rejected { place, reason, payload });
        }
        if self.policy == OnError::Skip {
            return Ok(());
        }
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.bytes += place.len() + reason.len() + payload.len();
        if waiting.records.len() >= WAITING_MAX || waiting.bytes > WAITING_BYTES_MAX {
            return Err(Failure::new(
                Code::RecordBad,
                format!("more than {WAITING_MAX} bad records in a row; the last is {place}: {reason}"),
            )
            .hint("is the source of the format that its configuration says?"));
        }
        waiting.records.push_back(Rejected { place, reason, payload });
        Ok(())
    }

    /// Records rejected so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Takes out what waits to be written.
    #[must_use]
    pub fn take(&self) -> Vec<Rejected> {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.bytes = 0;
        std::mem::take(&mut waiting.records).into()
    }
}

/// A text of at most so many characters, safe in a line of text. Quotation marks stay as they are: people read it.
fn cut(text: &str, characters_max: usize) -> String {
    let mut out = String::new();
    for (at, character) in text.chars().enumerate() {
        if at == characters_max {
            out.push('…');
            break;
        }
        if matches!(character, '\'' | '"') { out.push(character) } else { out.extend(character.escape_debug()) }
    }
    out
}

/// Reads the word of a request: `fail`, `skip` or `dead-letter`.
///
/// # Errors
/// [`Code::ConnectorConfig`] for any other.
pub fn policy(word: &str) -> Result<OnError, Failure> {
    match word {
        "fail" => Ok(OnError::Fail),
        "skip" => Ok(OnError::Skip),
        "dead-letter" | "deadLetter" => Ok(OnError::DeadLetter),
        other => Err(Failure::new(Code::ConnectorConfig, format!("unknown treatment of bad records '{}'", shown(other)))
            .hint("use 'fail', 'skip' or 'dead-letter'")
            .at("/badRecords")),
    }
}

#[cfg(test)]
mod tests {
    use super::{PAYLOAD_BYTES_MAX, Receive, Rejected, Rejects, WAITING_MAX};
    use azora_spec::{Code, Failure, OnError};
    use std::sync::{Arc, Mutex};

    fn fail_of(place: &str) -> Failure {
        Rejects::new(OnError::Fail).named("kafka://h:1/t".into()).reject(place, "not valid JSON", b"{").unwrap_err()
    }

    #[test]
    fn records_are_refused_counted_or_kept() {
        let fail = Rejects::new(OnError::Fail).reject("t/0/7", "not valid JSON", b"{").unwrap_err();
        assert_eq!((fail.code, fail.message.as_str()), (Code::RecordBad, "t/0/7: not valid JSON"));
        let named = fail_of("t/0/7").message;
        assert_eq!(named, "t/0/7: not valid JSON (in kafka://h:1/t)");
        assert_eq!(fail_of("kafka://h:1/t, record 7").message, "kafka://h:1/t, record 7: not valid JSON");
        let skip = Rejects::new(OnError::Skip);
        skip.reject("a", "b", b"c").unwrap();
        assert_eq!((skip.count(), skip.take().len()), (1, 0));
        let keep = Rejects::new(OnError::DeadLetter);
        keep.clone().reject("a", "'b'\n", &vec![1; PAYLOAD_BYTES_MAX + 5]).unwrap();
        let kept = keep.take();
        assert_eq!((keep.count(), kept.len(), kept[0].payload.len()), (1, 1, PAYLOAD_BYTES_MAX));
        assert_eq!(kept[0].reason, "'b'\\n");
        assert!(keep.take().is_empty());
    }

    #[derive(Debug, Default)]
    struct Hands(Mutex<Vec<Rejected>>);

    impl Receive for Hands {
        fn receive(&self, rejected: Rejected) -> Result<(), Failure> {
            self.0.lock().unwrap().push(rejected);
            Ok(())
        }
    }

    #[test]
    fn somebody_may_take_them_over() {
        for (policy, payload) in [(OnError::Skip, ""), (OnError::DeadLetter, "c")] {
            let hands = Arc::new(Hands::default());
            let rejects = Rejects::handed_to(policy, Arc::clone(&hands) as _);
            rejects.reject("a", "b", b"c").unwrap();
            assert_eq!((rejects.count(), rejects.take().len()), (1, 0));
            let taken = hands.0.lock().unwrap();
            assert_eq!((taken[0].place.as_str(), taken[0].payload.as_slice()), ("a", payload.as_bytes()));
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let keep = Rejects::new(OnError::DeadLetter);
        for _ in 0..WAITING_MAX {
            keep.reject("a", "b", b"").unwrap();
        }
        assert_eq!(keep.reject("a", "b", b"").unwrap_err().code, Code::RecordBad);
    }
}
