//! Fetching one part of a partition, on a thread of its own: from an offset to an offset, over whatever gaps there are.

use super::chunk::{Chunk, Filling};
use crate::client::{Client, Entered, make, reason};
use crate::error::{Error, is_denied, words};
use azora_connect::Split;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long one look for records may take; how soon the thread sees that nobody reads any more.
const POLL: Duration = Duration::from_millis(100);
/// Most bytes for which room is made before they come.
const CHUNK_BYTES_KEPT: usize = 16 << 20;
/// Longest wait for the answer where a partition ends.
const WATERMARK_TIME: Duration = Duration::from_secs(10);

/// Offsets of one partition, from `start` to before `end`; without an end where the topic is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) start: i64,
    pub(crate) end: Option<i64>,
}

impl Part {
    /// Offsets in it, an upper bound of its records.
    pub(crate) fn len(&self) -> u64 {
        self.end.map_or(0, |end| u64::try_from(end.saturating_sub(self.start)).unwrap_or(0))
    }

    pub(crate) fn split(&self) -> Split {
        let payload = serde_json::to_string(self).unwrap_or_default();
        Split { payload, rows: self.end.map(|_| self.len()) }
    }

    pub(crate) fn of(split: &Split) -> Result<Self, Error> {
        serde_json::from_str(&split.payload).map_err(|_| Error::Foreign("a split"))
    }
}

/// How much makes a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    /// Whether keys and times are wanted.
    pub(crate) has_around: bool,
    pub(crate) has_headers: bool,
}

/// What was fetched.
#[derive(Debug)]
pub(crate) enum Fetched {
    Chunk(Box<Chunk>),
    Idle,
    End,
}

/// Fetches and hands over until the end, an error, or nobody listens.
pub(crate) fn run(entered: &Entered, group: &str, part: Part, limits: Limits, to: &mpsc::Sender<Result<Fetched, Error>>) {
    let mut fetch = match Fetch::new(entered, group, part, limits) {
        Ok(fetch) => fetch,
        Err(error) => {
            // Where nobody listens any more there is nobody to tell.
            to.blocking_send(Err(error)).ok();
            return;
        }
    };
    loop {
        let next = fetch.next(|| to.is_closed());
        let is_last = matches!(next, Err(_) | Ok(Fetched::End));
        if to.blocking_send(next).is_err() || is_last {
            return;
        }
    }
}

/// A consumer of one part.
pub(crate) struct Fetch {
    client: Client,
    cluster: String,
    outage: Duration,
    part: Part,
    limits: Limits,
    /// The next offset to expect.
    next: i64,
    is_over: bool,
    heard: Instant,
    /// Why records do not come, as it was last said.
    reason: Option<String>,
    last_bytes: usize,
}

impl Fetch {
    pub(crate) fn new(entered: &Entered, group: &str, part: Part, limits: Limits) -> Result<Self, Error> {
        let mut config = entered.consumer(group);
        for (name, value) in [
            ("enable.partition.eof", "true"),
            ("fetch.wait.max.ms", "100"),
            ("fetch.error.backoff.ms", "100"),
            ("fetch.message.max.bytes", "4194304"),
            ("queued.min.messages", "200000"),
            // How long a full queue is left alone: with the default of a second it ran empty before more was asked for.
            ("fetch.queue.backoff.ms", "5"),
            ("queued.max.messages.kbytes", "32768"),
        ] {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        }
        let client: Client = make(&config)?;
        let cluster = entered.cluster.label();
        let mut assignment = TopicPartitionList::with_capacity(1);
        assignment
            .add_partition_offset(&part.topic, part.partition, Offset::Offset(part.start))
            .and_then(|()| client.assign(&assignment))
            .map_err(|error| Error::of(&error, &cluster, "assigning a partition"))?;
        let (next, outage) = (part.start, entered.cluster.outage_time);
        Ok(Self { client, cluster, outage, limits, next, is_over: false, heard: Instant::now(), reason: None, last_bytes: 0, part })
    }

    /// The next records.
    pub(crate) fn next(&mut self, is_unwanted: impl Fn() -> bool) -> Result<Fetched, Error> {
        self.is_over |= self.part.end.is_some_and(|end| self.next >= end);
        if self.is_over {
            return Ok(Fetched::End);
        }
        self.heard = Instant::now();
        // The next chunk is about as large as the one before.
        let mut filling = Filling::new(self.limits, self.last_bytes);
        loop {
            match self.client.poll(POLL) {
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if self.part.end.is_some_and(|end| offset >= end) {
                        self.is_over = true;
                        break;
                    }
                    filling.push(&message);
                    self.next = offset + 1;
                    self.is_over = self.part.end.is_some_and(|end| self.next >= end);
                    if self.is_over || filling.rows() >= self.limits.rows || filling.bytes() >= self.limits.bytes {
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.heard = Instant::now();
                    if self.part.end.is_some() {
                        self.check_end()?;
                        self.is_over = true;
                    }
                    break;
                }
                Some(Err(error)) => self.bear(&error)?,
                None if filling.rows() > 0 => break,
                None if is_unwanted() => return Ok(Fetched::End),
                None => self.check_silence()?,
            }
        }
        match (filling.rows(), self.is_over) {
            (0, true) => Ok(Fetched::End),
            (0, false) => Ok(Fetched::Idle),
            _ => {
                self.last_bytes = filling.bytes().min(CHUNK_BYTES_KEPT);
                Ok(Fetched::Chunk(Box::new(filling.finish(self.next))))
            }
        }
    }

    /// The partition ends here. What is left of the part was aborted, compacted away or is a mark of a transaction; but
    /// where the partition ends before the part does, records were lost.
    fn check_end(&self) -> Result<(), Error> {
        let (topic, partition, cluster) = (&self.part.topic, self.part.partition, &self.cluster);
        let (_, high) = self
            .client
            .fetch_watermarks(topic, partition, WATERMARK_TIME)
            .map_err(|error| Error::of(&error, cluster, "asking for the end of a partition"))?;
        match self.part.end {
            Some(end) if high < end => Err(Error::Truncated { cluster: cluster.clone(), topic: topic.clone(), partition, end, high }),
            _ => Ok(()),
        }
    }

    /// Errors that pass are borne for a while; the others end it.
    fn bear(&mut self, error: &KafkaError) -> Result<(), Error> {
        use RDKafkaErrorCode as K;
        let Some(code) = error.rdkafka_error_code() else { return Ok(()) };
        match code {
            K::OffsetOutOfRange | K::AutoOffsetReset => {
                let (low, high) = self.client.fetch_watermarks(&self.part.topic, self.part.partition, WATERMARK_TIME).unwrap_or((-1, -1));
                let (topic, partition, offset) = (self.part.topic.clone(), self.part.partition, self.next);
                Err(Error::OffsetMissing { cluster: self.cluster.clone(), topic, partition, offset, low, high })
            }
            K::UnknownTopicOrPartition | K::UnknownTopic | K::UnknownPartition => {
                Err(Error::TopicMissing { cluster: self.cluster.clone(), topic: self.part.topic.clone() })
            }
            code if is_denied(code) => Err(Error::Denied { cluster: self.cluster.clone(), reason: words(code) }),
            code if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                Err(Error::Answer { cluster: self.cluster.clone(), doing: "reading", reason: words(code) })
            }
            code => {
                self.reason = Some(words(code));
                self.check_silence()
            }
        }
    }

    fn check_silence(&mut self) -> Result<(), Error> {
        if self.heard.elapsed() < self.outage {
            return Ok(());
        }
        let reason = reason(self.client.context()).or_else(|| self.reason.take()).unwrap_or_else(|| "no records came".to_owned());
        Err(Error::Silent { cluster: self.cluster.clone(), seconds: self.outage.as_secs(), doing: "reading", reason })
    }
}
