//! A job that has not ended, as everybody sees it: its board, its events, its cancel token, and what it holds on to.

use crate::board::Board;
use crate::events::{EventLog, PROGRESS};
use crate::views::{JobView, OutputView};
use azora_connect::Token;
use azora_engine::{JobResult, Planned, Progress, Refused, StageUpdate};
use azora_spec::{DatasetName, Digest, Failure, JobId, JobSpec, JobState, Sink, WriteMode, milestone};
use azora_store::{ContextRecord, Event, RefusedRecord, StageRecord, Store};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

/// Shortest time between two progress events of one job.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Kind of the event that says that a job is planned again.
const REPLANNED: &str = "replanned";

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How a live job ended, for whoever waits.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// It succeeded. A collected answer is handed over without reading it back.
    Succeeded(Option<Box<JobResult>>),
    /// It failed or was cancelled.
    Failed(Box<Failure>),
    /// It stays for the next start of the server.
    Left,
}

/// The job.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: JobId,
    pub(crate) name: Option<String>,
    pub(crate) accepted_at_ms: u64,
    pub(crate) context: ContextRecord,
    pub(crate) is_waited_for: bool,
    pub(crate) cancel: CancellationToken,
    pub(crate) board: Mutex<Board>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) uses: Mutex<Uses>,
    /// Set once, by the job's task.
    pub(crate) outcome: watch::Sender<Option<Outcome>>,
    /// Its place among the jobs that have not ended; recovered jobs need none.
    pub(crate) _place: Option<OwnedSemaphorePermit>,
}

/// What must not go away while the job lives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uses {
    pub(crate) plugins: Vec<Digest>,
    /// Names and versions of the datasets that it reads.
    pub(crate) datasets: Vec<(String, String)>,
    /// The datasets whose present versions it adds to.
    pub(crate) appends_to: Vec<DatasetName>,
    /// Not known yet: a recovered job before it is planned.
    pub(crate) is_unknown: bool,
}

impl Uses {
    /// What a plan holds.
    pub(crate) fn of(planned: &Planned, spec: &JobSpec) -> Result<Self, Failure> {
        let mut appends_to: Vec<DatasetName> = planned.dead_letters().cloned().into_iter().collect();
        if let Sink::Dataset { name, mode: WriteMode::Append, .. } = &spec.sink {
            appends_to.push(name.clone());
        }
        let pins = planned.pins();
        let datasets = pins.datasets().map(|(name, version)| (name.to_owned(), version.to_owned())).collect();
        Ok(Self { plugins: pins.plugins()?, datasets, appends_to, is_unknown: false })
    }
}

impl Live {
    /// What callers see.
    pub(crate) fn view(&self) -> JobView {
        let board = self.board.lock();
        JobView {
            id: self.id,
            name: self.name.clone(),
            state: board.state,
            attempts: board.attempts,
            accepted_at_ms: self.accepted_at_ms,
            planned_at_ms: board.planned_at_ms,
            started_at_ms: board.started_at_ms,
            ended_at_ms: board.ended_at_ms,
            is_cancel_requested: board.is_cancel_requested,
            partitions: board.partitions,
            partitions_prepared: board.partitions_prepared,
            lambdas: Vec::new(),
            warnings: Vec::new(),
            stages: board.stages.views(),
            refused: board.refused.clone(),
            dead_letters: board.dead_letters.clone(),
            failure: board.failure.clone(),
            output: board.output.clone(),
            has_result: board.has_result,
        }
    }

    /// Progress and what was left out, as they are kept with an ended job.
    pub(crate) fn records(&self) -> (Vec<StageRecord>, Vec<RefusedRecord>) {
        let board = self.board.lock();
        (board.stages.records(), board.refused_records())
    }

    /// Notes a state and tells readers.
    pub(crate) fn enter(&self, state: JobState, data: Value, change: impl FnOnce(&mut Board)) {
        let at_ms = now_ms();
        {
            let mut board = self.board.lock();
            board.state = state;
            change(&mut board);
        }
        self.events.push(at_ms, state.as_str(), data);
    }

    /// Notes that the plan is fixed.
    pub(crate) fn planned(&self, planned: &Planned, at_ms: u64) {
        let partitions = planned.partitions();
        self.enter(JobState::Planned, json!({"partitions": partitions}), |board| {
            board.planned_at_ms = Some(at_ms);
            board.partitions = Some(partitions);
            board.dead_letters = planned.dead_letters().cloned();
        });
    }

    /// Notes that another plan takes the place of the one before.
    pub(crate) fn replanned(&self, planned: &Planned, revision: u32, why: &Failure) {
        let partitions = planned.partitions();
        {
            let mut board = self.board.lock();
            board.revision = revision;
            board.partitions = Some(partitions);
            board.partitions_prepared = 0;
        }
        let data = json!({"code": why.code.as_str(), "message": why.message, "pointer": why.pointer, "partitions": partitions});
        self.events.push(now_ms(), REPLANNED, data);
    }

    /// Notes the end. Its event is recorded already.
    pub(crate) fn ended(&self, state: JobState, at_ms: u64, failure: Option<Failure>, output: Option<OutputView>, has_result: bool) {
        let data = match (&failure, &output) {
            (Some(failure), _) => json!({"code": failure.code.as_str(), "message": failure.message}),
            (None, Some(output)) => json!({"rows": output.rows, "bytes": output.bytes}),
            (None, None) => json!({}),
        };
        {
            let mut board = self.board.lock();
            board.state = state;
            board.ended_at_ms = Some(at_ms);
            board.failure = failure;
            board.output = output;
            board.has_result = has_result;
        }
        self.events.push(at_ms, state.as_str(), data);
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> Outcome {
        let mut outcome = self.outcome.subscribe();
        // The sender lives as long as this job does, so waiting cannot fail.
        outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone()).unwrap_or(Outcome::Left)
    }
}

/// Receives what a run reports.
#[derive(Debug)]
pub(crate) struct Reporter {
    live: Arc<Live>,
    store: Store,
    said: Mutex<Option<Instant>>,
}

impl Reporter {
    pub(crate) fn new(live: Arc<Live>, store: Store) -> Self {
        Self { live, store, said: Mutex::new(None) }
    }

    fn is_due(&self) -> bool {
        let mut said = self.said.lock();
        let is_due = said.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY);
        if is_due {
            *said = Some(Instant::now());
        }
        is_due
    }
}

impl Progress for Reporter {
    fn prepared(&self, partition: usize, token: &Token) -> Result<(), Failure> {
        let job = self.live.id;
        let n = u32::try_from(partition).map_err(|_| crate::Error::Tokens { got: partition, want: azora_spec::limits::PARTITIONS_MAX })?;
        // Durable before the commit begins, which is what counts; an earlier crash merely runs the partition again.
        let revision = self.live.board.lock().revision;
        milestone::pass("prepared");
        self.store.append(&[Event::Prepared { job, partition: n, token: token.0.clone(), revision }])?;
        milestone::pass("token written");
        let mut board = self.live.board.lock();
        // One token more than partitions says what was left out.
        let is_partition = board.partitions.is_none_or(|partitions| partition < partitions);
        board.partitions_prepared += usize::from(is_partition);
        Ok(())
    }

    fn refused(&self, refused: Vec<Refused>) {
        self.live.board.lock().refused = refused;
    }

    fn update(&self, update: StageUpdate) {
        let stages = {
            let mut board = self.live.board.lock();
            board.stages.update(update);
            if !self.is_due() {
                return;
            }
            board.stages.views()
        };
        let stages: Vec<Value> = stages
            .into_iter()
            .map(|stage| {
                json!({"stage": stage.stage, "name": stage.name, "partitions": stage.partitions, "partitionsDone": stage.partitions_done,
                    "rowsIn": stage.rows_in, "rowsOut": stage.rows_out, "bytes": stage.bytes, "guestMs": stage.guest_ns / 1_000_000})
            })
            .collect();
        self.live.events.push(now_ms(), PROGRESS, json!({"stages": stages}));
    }
}
