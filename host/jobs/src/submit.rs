//! From a submission to a live job: plan, record, register, start its task.

use crate::board::Board;
use crate::error::Error;
use crate::events::EventLog;
use crate::float;
use crate::live::{Live, Outcome, Uses, now_ms};
use crate::shared::{Shared, blocking};
use crate::task::{self, Work};
use crate::turns::Ticket;
use crate::views::{Ended, Idempotency, Submission, Submitted};
use azora_engine::{ContextOptions, Planned};
use azora_spec::{Failure, JobId, JobSpec, JobState, milestone};
use azora_store::{Accepted, Blob, ContextRecord, Event, Keyed, Store};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Where a recorded request comes from, so that a restart reads it the right way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A caller's request; the server's decoder reads it.
    Request,
    /// An ingest; this crate reads it.
    Ingest,
}

impl Origin {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Ingest => "ingest",
        }
    }
}

/// A job on its way in.
pub(crate) struct Incoming {
    pub(crate) spec: JobSpec,
    pub(crate) origin: Origin,
    pub(crate) body: Value,
}

/// A job that was recorded and started.
struct Accept {
    live: Arc<Live>,
    /// Cancels the job where its caller goes away; only for a job that has nobody but its caller.
    guard: Option<DropGuard>,
}

/// The turn of one request among those with its idempotency key.
type KeyTurn = Option<OwnedMutexGuard<()>>;

pub(crate) fn context_record(options: &ContextOptions) -> ContextRecord {
    ContextRecord { parallelism: options.parallelism, threads: options.threads, memory_bytes: options.memory_bytes }
}

pub(crate) fn context_options(record: &ContextRecord) -> ContextOptions {
    ContextOptions { parallelism: record.parallelism, threads: record.threads, memory_bytes: record.memory_bytes }
}

impl Shared {
    /// Records a job durably and starts it.
    pub(crate) async fn submit(self: &Arc<Self>, submission: Submission) -> Result<Submitted, Failure> {
        let Submission { spec, request, idempotency } = submission;
        let incoming = Incoming { spec, origin: Origin::Request, body: request };
        let Some(key) = idempotency else {
            let accepted = self.accept(incoming, None, false).await?;
            return Ok(Submitted { id: accepted.live.id, is_replay: false });
        };
        // Requests with one key come one after the other: the second one finds what the first one recorded.
        let turn = self.lock_key(&key.key).await;
        if let Some(row) = self.store.key(&key.key) {
            if row.body_digest != key.body_digest {
                return Err(Error::KeyMismatch.into());
            }
            return Ok(Submitted { id: row.job, is_replay: true });
        }
        let accepted = self.accept(incoming, Some((key, turn)), false).await?;
        Ok(Submitted { id: accepted.live.id, is_replay: false })
    }

    /// Runs a job and waits for it. Where nothing is visible before the answer, nothing is made durable before it either,
    /// and the job is cancelled where the caller goes away.
    pub(crate) async fn run(self: &Arc<Self>, incoming: Incoming) -> Result<Ended, Failure> {
        let Accept { live, guard } = self.accept(incoming, None, true).await?;
        let outcome = live.wait().await;
        if let Some(guard) = guard {
            guard.disarm();
        }
        match outcome {
            Outcome::Succeeded(result) => Ok(Ended { id: live.id, view: live.view(), result: result.map(|result| *result) }),
            Outcome::Failed(failure) => Err(*failure),
            Outcome::Left => Err(Error::Draining.into()),
        }
    }

    /// Plans, records and starts a job.
    async fn accept(self: &Arc<Self>, incoming: Incoming, key: Option<(Idempotency, KeyTurn)>, may_wait: bool) -> Result<Accept, Failure> {
        let place = self.place()?;
        let context = self.context.options().unwrap_or(self.options.context);
        let ticket = self.retired.begin_plan();
        let planned = self.engine.plan(&incoming.spec, &context, None).await?;
        let is_waited_for = may_wait && planned.is_collected();
        let uses = Uses::of(&planned, &incoming.spec)?;
        let live = Arc::new(Live {
            id: JobId::generate(),
            name: incoming.spec.name.clone(),
            accepted_at_ms: now_ms(),
            context: context_record(&context),
            is_waited_for,
            cancel: CancellationToken::new(),
            board: Mutex::new(Board::new(JobState::Accepted, 0)),
            events: Arc::new(EventLog::new(0)),
            uses: Mutex::new(uses),
            outcome: watch::Sender::new(None),
            _place: Some(place),
        });
        let turn = self.register(&live)?;
        drop(ticket);
        let guard = is_waited_for.then(|| live.cancel.clone().drop_guard());
        // A task of its own: a caller that goes away while the job is written down must not leave half of it behind.
        let begin = self.tasks.spawn(Arc::clone(self).begin(Arc::clone(&live), (planned, turn), incoming, key));
        begin.await.map_err(|error| {
            tracing::error!(%error, "a job was not begun");
            Failure::from(Error::Lost)
        })??;
        Ok(Accept { live, guard })
    }

    /// Writes a registered job down and starts its task.
    async fn begin(
        self: Arc<Self>,
        live: Arc<Live>,
        (planned, turn): (Planned, Ticket),
        incoming: Incoming,
        key: Option<(Idempotency, KeyTurn)>,
    ) -> Result<(), Failure> {
        let (key, _turn) = key.unzip();
        if let Err(failure) = self.write_down(&live, &planned, &incoming, key).await {
            self.live.write().remove(&live.id);
            return Err(failure);
        }
        live.events.push(live.accepted_at_ms, JobState::Accepted.as_str(), json!({}));
        live.planned(&planned, live.accepted_at_ms);
        self.start(live, (incoming.spec, planned), turn);
        Ok(())
    }

    /// Makes a job known, unless a plugin that it uses has just been deleted, and gives it its place in the order of runs.
    fn register(&self, live: &Arc<Live>) -> Result<Ticket, Failure> {
        let _registering = self.registering.lock();
        for digest in &live.uses.lock().plugins {
            if self.store.plugin(digest).is_none() {
                return Err(Error::PluginUnknown(digest.to_string()).into());
            }
        }
        self.live.write().insert(live.id, Arc::clone(live));
        Ok(self.turns.reserve())
    }

    /// Writes the job down; durably, where somebody may rely on it.
    async fn write_down(&self, live: &Live, planned: &Planned, incoming: &Incoming, key: Option<Idempotency>) -> Result<(), Failure> {
        let request = if live.is_waited_for {
            None
        } else {
            let body = json!({"from": incoming.origin.as_str(), "body": float::freeze(&incoming.body)});
            Some(keep(&self.store, live.id, "request", self.seal.seal(live.id, &body)?).await?)
        };
        let pins = keep(&self.store, live.id, "pins", planned.pins().to_json()?).await?;
        let (job, at_ms) = (live.id, live.accepted_at_ms);
        let mut events = vec![Event::Accepted(Accepted {
            job,
            at_ms,
            name: live.name.clone(),
            request,
            context: live.context,
            is_waited_for: live.is_waited_for,
        })];
        if let Some(Idempotency { key, body_digest }) = key {
            events.push(Event::Keyed(Keyed { key, body_digest, job, at_ms }));
        }
        events.push(Event::Planned { job, at_ms, pins, partitions: planned.partitions(), revision: 0 });
        let lsn = self.store.append(&events)?;
        if live.is_waited_for {
            return Ok(());
        }
        if let Err(error) = self.store.flush(lsn).await {
            // The caller gets an error, so the job must not come up again once there is room.
            if let Err(second) = self.store.append(&[Event::Deleted { job }]) {
                tracing::error!(%job, error = %second, "a job that could not be recorded may come up after a restart");
            }
            return Err(error.into());
        }
        milestone::pass("accepted");
        Ok(())
    }

    /// Starts the task that owns the job from here on.
    pub(crate) fn start(self: &Arc<Self>, live: Arc<Live>, job: (JobSpec, Planned), mut turn: Ticket) {
        // Here and not in the task: who answers first has its job ready first.
        turn.ready();
        self.tasks.spawn(task::drive(Arc::clone(self), live, job, Work::Run, turn));
    }
}

/// Keeps a text of a job, a long one where waiting for the disk is allowed.
pub(crate) async fn keep(store: &Store, job: JobId, kind: impl Into<String>, text: String) -> Result<Blob, Failure> {
    let kind = kind.into();
    if !Store::is_blob_filed(text.len()) {
        return Ok(store.keep_blob(job, &kind, text)?);
    }
    let store = store.clone();
    Ok(blocking(move || store.keep_blob(job, &kind, text)).await??)
}
