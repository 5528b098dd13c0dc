//! The events of one live job: a bounded list that readers follow at their own pace.
//!
//! A slow reader holds nothing up and keeps nothing alive: it finds the list as it is when it comes back, with older
//! progress gone. Only progress is ever dropped while the list is full of other things.

use crate::views::JobEvent;
use azora_spec::limits::EVENTS_PER_JOB_MAX;
use futures::stream::{self, Stream};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

pub(crate) const PROGRESS: &str = "progress";

/// Gap in the numbers after a restart, so that a reader who reconnects finds only larger ones.
const SEQ_GAP: u64 = 1_000_000;

/// The list.
#[derive(Debug)]
pub(crate) struct EventLog {
    events: Mutex<VecDeque<JobEvent>>,
    last: watch::Sender<u64>,
}

impl EventLog {
    /// An empty list whose numbers begin behind those of earlier lives.
    pub(crate) fn new(restarts: u32) -> Self {
        Self { events: Mutex::new(VecDeque::new()), last: watch::Sender::new(u64::from(restarts) * SEQ_GAP) }
    }

    /// Adds an event and wakes readers.
    pub(crate) fn push(&self, at_ms: u64, kind: &'static str, data: Value) -> u64 {
        let mut events = self.events.lock();
        if events.len() >= EVENTS_PER_JOB_MAX {
            let oldest = events.iter().position(|event| event.kind == PROGRESS).unwrap_or(0);
            events.remove(oldest);
        }
        let seq = *self.last.borrow() + 1;
        events.push_back(JobEvent { seq, at_ms, kind, data });
        self.last.send_replace(seq);
        seq
    }

    /// Number of the last event.
    pub(crate) fn last_seq(&self) -> u64 {
        *self.last.borrow()
    }

    fn after(&self, seq: u64) -> VecDeque<JobEvent> {
        let events = self.events.lock();
        let from = events.partition_point(|event| event.seq <= seq);
        events.range(from..).cloned().collect()
    }
}

/// Everything after `seq`, then what comes, up to the job's last event.
pub(crate) fn follow(log: Arc<EventLog>, seq: u64) -> impl Stream<Item = JobEvent> + Send + 'static {
    let receiver = log.last.subscribe();
    let state = (log, receiver, VecDeque::new(), seq, false);
    stream::unfold(state, |(log, mut receiver, mut ready, seq, is_over): (_, _, VecDeque<JobEvent>, _, _)| async move {
        if is_over {
            return None;
        }
        while ready.is_empty() {
            receiver.borrow_and_update();
            ready = log.after(seq);
            if ready.is_empty() {
                receiver.changed().await.ok()?;
            }
        }
        let event = ready.pop_front()?;
        let (seq, is_over) = (event.seq, event.is_last());
        Some((event, (log, receiver, ready, seq, is_over)))
    })
}

#[cfg(test)]
mod tests {
    use super::{EVENTS_PER_JOB_MAX, EventLog, PROGRESS, follow};
    use futures::StreamExt as _;
    use serde_json::json;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_reader_gets_the_past_then_the_present_and_ends_with_the_job() {
        let log = Arc::new(EventLog::new(0));
        log.push(1, "accepted", json!({}));
        let second = log.push(2, "running", json!({}));
        let reader = tokio::spawn(follow(Arc::clone(&log), 1).map(|event| (event.seq, event.kind)).collect::<Vec<_>>());
        log.push(3, PROGRESS, json!({}));
        log.push(4, "succeeded", json!({}));
        assert_eq!(reader.await.unwrap(), [(second, "running"), (3, PROGRESS), (4, "succeeded")]);
    }

    #[tokio::test]
    async fn a_full_list_drops_progress_first() {
        let log = Arc::new(EventLog::new(2));
        log.push(1, "accepted", json!({}));
        for _ in 0..2 * EVENTS_PER_JOB_MAX {
            log.push(2, PROGRESS, json!({}));
        }
        let last = log.push(3, "failed", json!({}));
        let events: Vec<_> = follow(Arc::clone(&log), 0).collect().await;
        assert_eq!(events.len(), EVENTS_PER_JOB_MAX);
        assert_eq!((events[0].kind, events[0].seq), ("accepted", 2_000_001));
        assert_eq!(events.last().map(|event| event.seq), Some(last));
    }
}
