//! One commit: everything that was staged, in one transaction, at most once.

use super::encode::Headers;
use super::staging::{Prepared, Staging};
use crate::client::{Client, Context, Entered, make, reason};
use crate::config::Writing;
use crate::error::{Error, words};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use azora_spec::{JobId, milestone};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tries of one commit, each with a producer of its own.
const TRIES_MAX: u32 = 5;
/// Pause before the second try; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest wait for room in the producer's queue before looking at the time.
const POLL: Duration = Duration::from_millis(100);
/// Messages between two looks at what was delivered.
const POLL_ROWS: u64 = 1024;
/// The header that says which row of which job a message is.
const RECORD_ID: &str = "azora-record-id";
/// How long a transaction may take.
const TRANSACTION_MS: &str = "600000";
/// Largest message that the producer takes; the topic's own limit decides.
const MESSAGE_BYTES_MAX: &str = "100000000";

type Sender = BaseProducer<Context>;

/// What is committed, and where.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) entered: Entered,
    pub(crate) writing: Arc<Writing>,
    pub(crate) staging: Staging,
    pub(crate) job: JobId,
    pub(crate) epoch: u64,
}

/// How a try ended that did not succeed.
enum Broken {
    /// Nothing was written, or it is not known: a new producer finds out.
    Again(Error),
    /// It would end in the same way again.
    For(Error),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::For(error)
    }
}

/// The headers of a message, with the row's number behind its own.
fn headers_of(own: &Headers, id: Option<&str>) -> OwnedHeaders {
    let id = id.map(|id| (RECORD_ID, Some(id)));
    let all = own.iter().map(|(name, value)| (name.as_str(), value.as_deref())).chain(id);
    all.fold(OwnedHeaders::new_with_capacity(own.len() + 1), |headers, (key, value)| headers.insert(Header { key, value }))
}

impl Commit {
    /// Commits, or finds that it was committed before.
    pub(crate) fn run(&self, prepared: &[Prepared]) -> Result<(), Error> {
        let mut pause = PAUSE;
        let mut tries = 1;
        loop {
            match self.once(prepared) {
                Ok(()) => return Ok(()),
                Err(Broken::For(error)) => return Err(error),
                Err(Broken::Again(error)) if tries >= TRIES_MAX => return Err(error),
                Err(Broken::Again(_)) => std::thread::sleep(pause),
            }
            tries += 1;
            pause *= 2;
        }
    }

    /// Ends what a commit that died may have left open.
    pub(crate) fn fence(&self) -> Result<(), Error> {
        match self.producer() {
            Ok(_) => Ok(()),
            Err(Broken::Again(error) | Broken::For(error)) => Err(error),
        }
    }

    fn once(&self, prepared: &[Prepared]) -> Result<(), Broken> {
        let producer = self.producer()?;
        // Only now, when no transaction of this commit is open any more, does the marker tell the truth.
        let marker = self.marker()?;
        if self.is_committed(&marker)? {
            return Ok(());
        }
        self.staging.begin(self.job, self.epoch)?;
        milestone::pass("kafka transaction?");
        producer.begin_transaction().map_err(|error| self.broken(&producer, &error, "beginning a transaction"))?;
        milestone::pass("kafka transaction begun");
        match self.fill(&producer, &marker, prepared) {
            Ok(()) => Ok(()),
            Err(broken) => {
                // Where this does not work the next producer does it, or the cluster when time is over.
                producer.abort_transaction(self.time()).ok();
                Err(broken)
            }
        }
    }

    /// A producer that has ended whatever one of the same commit had begun, and shut it out.
    fn producer(&self) -> Result<Sender, Broken> {
        let mut config = self.entered.client();
        for (name, value) in [
            ("transaction.timeout.ms", TRANSACTION_MS),
            ("message.max.bytes", MESSAGE_BYTES_MAX),
            ("linger.ms", "20"),
            ("queue.buffering.max.messages", "200000"),
            ("queue.buffering.max.kbytes", "131072"),
        ] {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        }
        config.set("transactional.id", format!("azora-{}-{}", self.job, self.epoch)).set("enable.idempotence", "true");
        let producer: Sender = make(&config)?;
        self.again(&producer, "starting a transaction", || producer.init_transactions(self.time()))?;
        Ok(producer)
    }

    fn fill(&self, producer: &Sender, marker: &Client, prepared: &[Prepared]) -> Result<(), Broken> {
        for part in prepared.iter().filter(|part| part.rows > 0) {
            let mut ordinal = 0;
            for batch in self.staging.read(self.job, self.epoch, part)? {
                let batch = batch.map_err(|_| Error::StagedMissing { what: format!("a part of partition {}", part.partition) })?;
                self.send(producer, part.partition, &mut ordinal, &batch)?;
            }
            if ordinal != part.rows {
                return Err(Error::StagedMissing { what: format!("rows of partition {}", part.partition) }.into());
            }
        }
        let group = marker.group_metadata().ok_or(Error::Client("a consumer group"))?;
        let mut offsets = TopicPartitionList::new();
        let committed = i64::try_from(self.epoch).unwrap_or(i64::MAX - 1) + 1;
        offsets
            .add_partition_offset(&self.writing.topic, 0, Offset::Offset(committed))
            .map_err(|error| self.broken(producer, &error, "marking a commit"))?;
        producer.flush(self.time()).map_err(|error| self.broken(producer, &error, "sending messages"))?;
        if let Some(code) = producer.context().undelivered() {
            return Err(self.undelivered(code));
        }
        milestone::pass("kafka sent");
        self.again(producer, "marking a commit", || producer.send_offsets_to_transaction(&offsets, &group, self.time()))?;
        milestone::pass("kafka marked");
        self.again(producer, "committing a transaction", || producer.commit_transaction(self.time()))?;
        milestone::pass("kafka committed");
        Ok(())
    }

    fn send(&self, producer: &Sender, partition: usize, ordinal: &mut u64, batch: &RecordBatch) -> Result<(), Broken> {
        let columns = (batch.column(0).as_binary::<i32>(), batch.column(1).as_binary::<i32>());
        let (partitions, times) = (batch.column(2).as_primitive::<Int64Type>(), batch.column(3).as_primitive::<Int64Type>());
        // What was staged by a version before there were any has none.
        let headers = batch.columns().get(4).map(|column| column.as_binary::<i32>());
        for row in 0..batch.num_rows() {
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.writing.topic);
            if columns.0.is_valid(row) {
                record = record.key(columns.0.value(row));
            }
            if columns.1.is_valid(row) {
                record = record.payload(columns.1.value(row));
            }
            if partitions.is_valid(row) {
                record = record.partition(self.target(partitions.value(row))?);
            }
            if times.is_valid(row) {
                record = record.timestamp(times.value(row));
            }
            let id = self.writing.has_record_ids.then(|| format!("{}/{}/{partition}/{ordinal}", self.job, self.epoch));
            let own = match headers.filter(|headers| headers.is_valid(row)) {
                Some(headers) => serde_json::from_slice(headers.value(row)).map_err(|_| Error::Foreign("staged headers"))?,
                None => Headers::new(),
            };
            if id.is_some() || !own.is_empty() {
                record = record.headers(headers_of(&own, id.as_deref()));
            }
            self.hand_over(producer, record)?;
            *ordinal += 1;
            if ordinal.is_multiple_of(POLL_ROWS) {
                milestone::pass("kafka some sent");
                producer.poll(Duration::ZERO);
                if let Some(code) = producer.context().undelivered() {
                    return Err(self.undelivered(code));
                }
            }
        }
        Ok(())
    }

    fn target(&self, partition: i64) -> Result<i32, Error> {
        let count = self.entered.topics.first().map_or(0, |(_, count)| *count);
        i32::try_from(partition).ok().filter(|number| *number < count).ok_or_else(|| Error::PartitionMissing {
            cluster: self.entered.cluster.label(),
            topic: self.writing.topic.clone(),
            partition,
            count: usize::try_from(count).unwrap_or_default(),
        })
    }

    /// Waits while the queue is full, as long as something of it is delivered now and then.
    fn hand_over(&self, producer: &Sender, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), Broken> {
        let deadline = Instant::now() + self.time();
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    producer.poll(POLL);
                    if Instant::now() > deadline {
                        let reason = reason(producer.context()).unwrap_or_else(|| "messages are not taken".to_owned());
                        let (cluster, seconds) = (self.entered.cluster.label(), self.time().as_secs());
                        return Err(Broken::Again(Error::Silent { cluster, seconds, doing: "writing", reason }));
                    }
                }
                Err((error, _)) => return Err(self.broken(producer, &error, "writing")),
            }
        }
    }

    /// Longest wait for one answer.
    const fn time(&self) -> Duration {
        self.entered.cluster.outage_time
    }

    /// The consumer whose group's offset is the marker.
    fn marker(&self) -> Result<Client, Error> {
        make(&self.entered.consumer(&format!("azora-commit-{}", self.job)))
    }

    fn is_committed(&self, marker: &Client) -> Result<bool, Broken> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.writing.topic, 0);
        let found = marker
            .committed_offsets(list, self.time())
            .map_err(|error| Broken::Again(Error::of(&error, &self.entered.cluster.label(), "asking whether it was committed before")))?;
        let offset = found.find_partition(&self.writing.topic, 0).map(|partition| partition.offset());
        Ok(matches!(offset, Some(Offset::Offset(at)) if u64::try_from(at).is_ok_and(|at| at > self.epoch)))
    }

    /// Calls again what the client says can be called again.
    fn again(&self, producer: &Sender, doing: &'static str, call: impl Fn() -> KafkaResult<()>) -> Result<(), Broken> {
        let deadline = Instant::now() + self.time();
        loop {
            match call() {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => producer.poll(POLL),
                Err(error) => return Err(self.broken(producer, &error, doing)),
            }
        }
    }

    /// What an error means for the commit. Fencing means that another one is at it; a refusal stays one; after all others
    /// nobody knows what became of the transaction, so a new producer has to find out.
    fn broken(&self, producer: &Sender, error: &KafkaError, doing: &'static str) -> Broken {
        producer.poll(Duration::ZERO);
        if let Some(code) = producer.context().undelivered() {
            return self.undelivered(code);
        }
        let label = self.entered.cluster.label();
        match Error::of(error, &label, doing) {
            end @ (Error::Fenced { .. } | Error::Denied { .. }) => Broken::For(end),
            Error::Unreachable { cluster, reason: said } => {
                Broken::Again(Error::Unreachable { cluster, reason: reason(producer.context()).unwrap_or(said) })
            }
            other => Broken::Again(other),
        }
    }

    fn undelivered(&self, code: RDKafkaErrorCode) -> Broken {
        use RDKafkaErrorCode as K;
        let error = Error::Answer { cluster: self.entered.cluster.label(), doing: "writing", reason: words(code) };
        match code {
            K::MessageSizeTooLarge | K::InvalidRecord | K::UnknownPartition | K::InvalidTimestamp => Broken::For(error),
            K::TopicAuthorizationFailed => Broken::For(Error::Denied { cluster: self.entered.cluster.label(), reason: words(code) }),
            _ => Broken::Again(error),
        }
    }
}
