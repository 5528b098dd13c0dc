//! Reading topics: which offsets, in which splits, as which columns.

pub(crate) mod avro;
mod chunk;
mod fetch;
mod offsets;
mod rows;
mod sample;

use crate::client::{Entered, blocking};
use crate::config::Reading;
use crate::error::Error;
use crate::groups::{Claim, Claims};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_connect::{Finish, Outcome, Position, ReadRequest, Reader, Source, Split};
use azora_spec::Failure;
use fetch::{Fetched, Limits, Part};
use rows::{Layout, Rows};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// Chunks that the thread which fetches may be ahead of the one that decodes.
const AHEAD_CHUNKS: usize = 2;
/// Pause of a source that is followed, where nothing new is there.
const IDLE: Duration = Duration::from_millis(100);

/// The topics of one request.
#[derive(Debug)]
pub(crate) struct KafkaSource {
    reading: Arc<Reading>,
    entered: Arc<Entered>,
    layout: Layout,
    claims: Claims,
    /// The group, where it is this source's, until its job has ended; and whether others may have had it since the job
    /// was planned.
    claim: Mutex<Option<(Claim, bool)>>,
}

impl KafkaSource {
    /// Finds the columns, by a sample where the request does not tell them.
    pub(crate) async fn new(reading: Reading, entered: Entered, claims: Claims) -> Result<Self, Failure> {
        // A job that a restart found has read already; its group is its own before new jobs ask for it.
        let claim = if reading.is_committed { claims.claim_now(&reading).map(|claim| (claim, false)) } else { None };
        let (reading, entered) = (Arc::new(reading), Arc::new(entered));
        let of_sample = if Layout::needs_sample(&reading) {
            let (reading, entered) = (Arc::clone(&reading), Arc::clone(&entered));
            Some(blocking(move || sample::infer(&reading, &entered)).await??)
        } else {
            None
        };
        let layout = Layout::new(&reading, of_sample)?;
        Ok(Self { reading, entered, layout, claims, claim: Mutex::new(claim) })
    }

    /// Makes the group this source's, where it is to be moved. Answers whether others may have had it since the job was
    /// planned.
    async fn claim(&self, is_planned: bool) -> Result<bool, Error> {
        if !self.reading.is_committed {
            return Ok(false);
        }
        let mut claim = self.claim.lock().await;
        if let Some((_, is_late)) = &*claim {
            return Ok(*is_late);
        }
        *claim = Some((self.claims.claim(&self.reading).await?, is_planned));
        Ok(is_planned)
    }
}

#[async_trait]
impl Source for KafkaSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.layout.schema())
    }

    fn is_bounded(&self) -> bool {
        !self.reading.is_followed
    }

    async fn plan(&self, parallelism: usize) -> Result<Vec<Split>, Failure> {
        self.claim(false).await?;
        let (reading, entered) = (Arc::clone(&self.reading), Arc::clone(&self.entered));
        let parts = blocking(move || offsets::parts(&reading, &entered)).await??;
        let parts = if self.reading.is_followed { parts } else { offsets::cut(parts, parallelism) };
        Ok(parts.iter().map(Part::split).collect())
    }

    async fn open(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let is_late = self.claim(true).await?;
        let mut part = Part::of(split)?;
        if is_late {
            let (reading, entered, part) = (Arc::clone(&self.reading), Arc::clone(&self.entered), part.clone());
            blocking(move || offsets::check_unread(&reading, &entered, &part)).await??;
        }
        if let Some(Position(text)) = position {
            part.start = text.parse().map_err(|_| Error::Foreign("a position"))?;
        }
        let rows = Rows::new(&self.layout, &part, &request)?;
        let limits = Limits {
            rows: self.reading.batch_rows.unwrap_or(usize::MAX).min(request.batch_rows).max(1),
            bytes: request.batch_bytes,
            has_around: self.layout.has_around(),
            has_headers: self.reading.has_headers,
        };
        let (sender, chunks) = mpsc::channel(AHEAD_CHUNKS);
        let (entered, group) = (Arc::clone(&self.entered), self.reading.group.clone());
        // A thread of its own: it waits for the network most of the time, and decoding goes on beside it.
        std::thread::Builder::new()
            .name("kafka-fetch".to_owned())
            .spawn(move || fetch::run(&entered, &group, part, limits, &sender))
            .map_err(|_| Error::Ended)?;
        Ok(Box::new(KafkaReader { chunks, rows, has_ended: false }))
    }

    async fn finished(&self, splits: &[Split], finish: Finish) -> Result<(), Failure> {
        // Given up when the group has moved, or has not and will not.
        let _claim = self.claim.lock().await.take();
        if finish != Finish::Succeeded || !self.reading.is_committed {
            return Ok(());
        }
        let parts = splits.iter().map(Part::of).collect::<Result<Vec<_>, _>>()?;
        let (reading, entered) = (Arc::clone(&self.reading), Arc::clone(&self.entered));
        Ok(blocking(move || offsets::commit(&reading, &entered, &parts)).await??)
    }
}

/// One split being read.
#[derive(Debug)]
struct KafkaReader {
    chunks: mpsc::Receiver<Result<Fetched, Error>>,
    rows: Rows,
    has_ended: bool,
}

#[async_trait]
impl Reader for KafkaReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        match self.chunks.recv().await {
            Some(Ok(Fetched::Chunk(chunk))) => {
                let position = Position(chunk.next.to_string());
                Ok(Outcome::Batch(self.rows.batch(*chunk)?, position))
            }
            Some(Ok(Fetched::Idle)) => Ok(Outcome::Idle(IDLE)),
            Some(Ok(Fetched::End)) => {
                self.has_ended = true;
                Ok(Outcome::End)
            }
            Some(Err(error)) => Err(error.into()),
            None if self.has_ended => Ok(Outcome::End),
            // A channel that was closed without an end means that the thread broke.
            None => Err(Error::Ended.into()),
        }
    }
}
