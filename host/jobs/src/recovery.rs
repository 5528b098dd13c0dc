//! After a restart: every job that had not ended goes on where it was, without anybody asking.

use crate::board::Board;
use crate::error::Error;
use crate::events::EventLog;
use crate::float;
use crate::ingest;
use crate::live::{Live, Outcome, Uses, now_ms};
use crate::shared::{DatasetTurns, Shared, blocking};
use crate::submit::{Origin, context_options, context_record};
use crate::task::{self, Work};
use crate::turns::Ticket;
use azora_engine::{Pins, Planned};
use azora_spec::{Code, Failure, JobId, JobSpec, JobState, Sink};
use azora_store::{Event, JobRow};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Runs of one job over all lives of the server. A job that takes the server down with it must not do so for ever.
const ATTEMPTS_MAX: u32 = 50;
/// Tries at planning a recovered job again for whose failure the system is to blame: what it reads from or writes to may
/// come up after this server.
const PLANS_MAX: u32 = 8;
/// Longest pause between two of them.
const PLAN_PAUSE_MAX: Duration = Duration::from_secs(10);
/// Recovered jobs that are read and planned at the same time.
const RECOVERIES_MAX: usize = 4;

/// Whether a recovered job may be planned a little later: what it needs is not up yet, or still somebody else's.
const fn is_passing(code: Code) -> bool {
    matches!(code, Code::ConnectorUnavailable | Code::ConnectorBusy)
}

impl Shared {
    /// Registers every job that had not ended and starts to continue them. Returns when they are visible.
    pub(crate) fn recover(self: &Arc<Self>) {
        let unfinished = self.store.unfinished();
        if unfinished.is_empty() {
            return;
        }
        tracing::info!(jobs = unfinished.len(), "jobs that had not ended are continued");
        let planning = Arc::new(Semaphore::new(RECOVERIES_MAX));
        for (id, row) in unfinished {
            let live = Arc::new(self.revived(id, &row));
            self.live.write().insert(id, Arc::clone(&live));
            // In the order in which they were accepted, before anything new is.
            let turn = self.turns.reserve();
            // Likewise its commit: a version that was made before must not become the current one after newer ones.
            let dataset = if row.is_commit_begun { self.turn_of_dataset(id, &row) } else { DatasetTurns::new() };
            let (shared, planning) = (Arc::clone(self), Arc::clone(&planning));
            self.tasks.spawn(async move {
                let Some(recovered) = shared.load_patiently(&live, &row, &planning).await else { return };
                shared.carry_on(live, row, recovered, (turn, dataset)).await;
            });
        }
    }

    fn revived(&self, id: JobId, row: &JobRow) -> Live {
        let uses = Uses { plugins: self.pinned_plugins(row), is_unknown: true, ..Uses::default() };
        let mut board = Board::new(row.state(), row.attempts);
        board.planned_at_ms = row.planned_at_ms;
        board.started_at_ms = row.started_at_ms;
        board.partitions = row.partitions;
        board.is_cancel_requested = row.is_cancel_requested;
        board.revision = row.revision;
        board.partitions_prepared = self.store.n_prepared(id).min(row.partitions.unwrap_or(usize::MAX));
        let events = Arc::new(EventLog::new(row.attempts.saturating_add(1)));
        events.push(now_ms(), JobState::Accepted.as_str(), json!({"isRecovered": true}));
        Live {
            id,
            name: row.name.clone(),
            accepted_at_ms: row.accepted_at_ms,
            context: row.context.unwrap_or_else(|| context_record(&self.options.context)),
            is_waited_for: row.is_waited_for,
            cancel: CancellationToken::new(),
            board: Mutex::new(board),
            events,
            uses: Mutex::new(uses),
            outcome: watch::Sender::new(None),
            _place: None,
        }
    }

    /// The turn of the dataset that a job commits to. Nobody has it, since the job had it when the server died.
    fn turn_of_dataset(&self, id: JobId, row: &JobRow) -> DatasetTurns {
        let spec = self.store.request(row).ok().flatten().and_then(|request| self.spec_of(id, &request).ok());
        match spec.map(|spec| spec.sink) {
            Some(Sink::Dataset { name, .. }) => self.lock_datasets_now(&name),
            _ => DatasetTurns::new(),
        }
    }

    fn pinned_plugins(&self, row: &JobRow) -> Vec<azora_spec::Digest> {
        let pins = self.store.pins(row).ok().flatten().and_then(|text| Pins::from_json(&text).ok());
        pins.and_then(|pins| pins.plugins().ok()).unwrap_or_default()
    }

    /// [`Self::load`], more than once where the system is to blame. `None` where the server goes down before.
    async fn load_patiently(&self, live: &Arc<Live>, row: &JobRow, planning: &Semaphore) -> Option<Result<(JobSpec, Planned), Failure>> {
        let mut pause = self.options.retry_pause;
        let mut tries = 0;
        loop {
            tries += 1;
            let permit = planning.acquire().await.ok()?;
            let failure = match self.load(live, row).await {
                Err(failure) if is_passing(failure.code) && tries < PLANS_MAX => failure,
                ended => return Some(ended),
            };
            drop(permit);
            tracing::warn!(job = %live.id, tries, %failure, "a job could not be planned after the restart and is tried again");
            tokio::select! {
                biased;
                () = self.halt.cancelled() => return Some(Err(failure)),
                () = live.cancel.cancelled(), if !row.is_commit_begun => return Some(Err(Error::Cancelled.into())),
                () = sleep(pause) => {}
            }
            pause = (pause * 3).min(PLAN_PAUSE_MAX);
        }
    }

    /// Reads a job's record and plans it again with what was decided before.
    async fn load(&self, live: &Arc<Live>, row: &JobRow) -> Result<(JobSpec, Planned), Failure> {
        if row.is_waited_for {
            return Err(Error::CallerGone.into());
        }
        if row.attempts >= ATTEMPTS_MAX {
            return Err(Error::AttemptsSpent { attempts: row.attempts }.into());
        }
        let (shared_store, read_row) = (self.store.clone(), row.clone());
        let (request, pins) = blocking(move || (shared_store.request(&read_row), shared_store.pins(&read_row))).await?;
        let request = request?.ok_or(Error::RecordDamaged)?;
        let spec = self.spec_of(live.id, &request)?;
        let pins = pins?.map(|text| Pins::from_json(&text)).transpose()?;
        let planned = self.engine.plan(&spec, &context_options(&live.context), pins.as_ref()).await?;
        *live.uses.lock() = Uses::of(&planned, &spec)?;
        if pins.is_none() {
            // It was accepted and the crash came before its plan was durable: this plan is the first one.
            let pins = self.store.keep_blob(live.id, "pins", planned.pins().to_json()?)?;
            let event = Event::Planned { job: live.id, at_ms: now_ms(), pins, partitions: planned.partitions(), revision: row.revision };
            self.store.commit(&[event]).await?;
        }
        Ok((spec, planned))
    }

    fn spec_of(&self, job: JobId, request: &str) -> Result<JobSpec, Failure> {
        let record: Value = self.seal.open(job, request)?;
        let body = float::thaw(record.get("body").cloned().ok_or(Error::RecordDamaged)?);
        match record.get("from").and_then(Value::as_str) {
            Some(from) if from == Origin::Request.as_str() => (self.options.decode)(&body),
            Some(from) if from == Origin::Ingest.as_str() => ingest::spec_of(&body),
            _ => Err(Error::RecordDamaged.into()),
        }
    }

    async fn carry_on(
        self: Arc<Self>,
        live: Arc<Live>,
        row: JobRow,
        recovered: Result<(JobSpec, Planned), Failure>,
        (mut turn, dataset): (Ticket, DatasetTurns),
    ) {
        let outcome = match recovered {
            Ok(job) => {
                live.planned(&job.1, row.planned_at_ms.unwrap_or_else(now_ms));
                match self.work(&live, &row, dataset) {
                    Ok(work) => {
                        turn.ready();
                        return task::drive(self, live, job, work, turn).await;
                    }
                    Err(failure) => self.fail(&live, JobState::Failed, failure).await,
                }
            }
            Err(_) if self.halt.is_cancelled() => Outcome::Left,
            Err(failure) => {
                let is_cancelled = row.is_cancel_requested || failure.code == Code::JobCancelled;
                let state = if is_cancelled { JobState::Cancelled } else { JobState::Failed };
                tracing::warn!(job = %live.id, %failure, %state, "a job could not be continued after the restart");
                self.fail(&live, state, failure).await
            }
        };
        if row.is_waited_for
            && let Err(error) = self.engine.remove_result(live.id)
        {
            tracing::warn!(job = %live.id, %error, "what a job had collected could not be removed");
        }
        self.leave(&live, outcome);
    }

    fn work(&self, live: &Live, row: &JobRow, dataset: DatasetTurns) -> Result<Work, Failure> {
        let prepared = self.tokens(live.id)?;
        if row.is_commit_begun {
            return Ok(Work::Commit(prepared, dataset));
        }
        if row.is_cancel_requested {
            live.cancel.cancel();
        }
        Ok(Work::Resume(prepared))
    }
}
