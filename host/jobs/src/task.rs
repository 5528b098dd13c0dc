//! One job from its plan to its end. The task owns the job's state; nobody else moves it.

use crate::error::Error;
use crate::live::{Live, Outcome, Reporter, now_ms};
use crate::shared::{DatasetTurns, Shared};
use crate::submit::{context_options, keep};
use crate::turns::Ticket;
use crate::views::OutputView;
use azora_connect::{Finish, Receipt, Token};
use azora_engine::{Planned, RunContext};
use azora_spec::{Blame, Code, DatasetName, Failure, JobSpec, JobState, Sink, WriteMode, milestone};
use azora_store::{DatasetCommitted, Ending, Event, WarningRecord};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long a run that was told to stop may take before it is dropped.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Tries at a commit for whose failure the system is to blame.
const COMMITS_MAX: u32 = 10;
/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How often a full disk is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// How long the sources of an ended job may take to note what was read.
const FINISH_TIME: Duration = Duration::from_secs(30);
/// Warnings that are kept with an ended job.
const WARNINGS_MAX: usize = 16;

/// What is left to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Everything.
    Run,
    /// A restart found it with these partitions prepared.
    Resume(BTreeMap<usize, Token>),
    /// A restart found its commit begun, with these tokens; the turn of its dataset is its own already.
    Commit(BTreeMap<usize, Token>, DatasetTurns),
}

/// Why a job does not go on.
#[derive(Debug)]
enum Stop {
    Failed(Failure),
    Cancelled,
    /// The server goes down; the next start continues.
    Halted,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Drives a job to its end and lets everybody know.
/// `ticket` is its place among those that wait for a runner.
pub(crate) async fn drive(shared: Arc<Shared>, live: Arc<Live>, (spec, planned): (JobSpec, Planned), work: Work, mut ticket: Ticket) {
    let mut job = Job { shared: Arc::clone(&shared), live: Arc::clone(&live), spec, planned, turns: Vec::new() };
    let outcome = job.run(work, &mut ticket).await;
    shared.leave(&live, outcome);
}

struct Job {
    shared: Arc<Shared>,
    live: Arc<Live>,
    spec: JobSpec,
    planned: Planned,
    /// The turn of its dataset, where it has had it from the start.
    turns: DatasetTurns,
}

/// What a successful job leaves behind.
struct Success {
    receipt: Receipt,
    datasets: Vec<DatasetCommitted>,
    result: Option<azora_engine::JobResult>,
}

impl Job {
    async fn run(&mut self, work: Work, ticket: &mut Ticket) -> Outcome {
        let (mut prepared, is_commit_begun) = match work {
            Work::Run => (BTreeMap::new(), false),
            Work::Resume(prepared) => (prepared, false),
            Work::Commit(prepared, turns) => {
                self.turns = turns;
                (prepared, true)
            }
        };
        let stop = match self.try_run(&mut prepared, is_commit_begun, ticket).await {
            Ok(outcome) => return outcome,
            Err(stop) => stop,
        };
        let (state, failure) = match stop {
            Stop::Halted => return Outcome::Left,
            Stop::Cancelled => (JobState::Cancelled, Failure::from(Error::Cancelled)),
            Stop::Failed(failure) => (JobState::Failed, failure),
        };
        // Aborted before the end is recorded: a crash in between runs or aborts it again, and leaves nothing behind.
        let tokens: Vec<Token> = prepared.into_values().collect();
        if let Err(error) = self.shared.engine.abort(&self.planned, self.live.id, &tokens).await {
            tracing::warn!(job = %self.live.id, %error, "what a job had prepared could not be removed");
        }
        let outcome = self.shared.fail(&self.live, state, failure).await;
        if !matches!(outcome, Outcome::Left) {
            self.finish(Finish::Dropped).await;
        }
        outcome
    }

    /// Lets the sources note what was read. Where that does not work the job has ended as it has, with a warning, and the
    /// next one that asks for what was not read yet reads it again.
    async fn finish(&self, finish: Finish) {
        let told = tokio::select! {
            biased;
            () = self.shared.halt.cancelled() => return,
            told = timeout(FINISH_TIME, self.shared.engine.finish(&self.planned, finish)) => told,
        };
        let failed = told
            .unwrap_or_else(|_| vec![Failure::new(Code::ConnectorUnavailable, format!("no answer within {} s", FINISH_TIME.as_secs()))]);
        if failed.is_empty() {
            return;
        }
        for failure in &failed {
            tracing::warn!(job = %self.live.id, %failure, "a source did not note what was read");
        }
        self.shared.warn(&self.live, failed.into_iter().map(not_noted).take(WARNINGS_MAX).collect()).await;
    }

    async fn try_run(
        &mut self,
        prepared: &mut BTreeMap<usize, Token>,
        is_commit_begun: bool,
        ticket: &mut Ticket,
    ) -> Result<Outcome, Stop> {
        // Who has the turn of a dataset waits for no runner: all of them may be with jobs that wait for that turn.
        let has_runner = async { if self.turns.is_empty() { ticket.turn().await.map(Some) } else { Some(None) } };
        let _runner = tokio::select! {
            biased;
            () = self.shared.halt.cancelled() => return Err(Stop::Halted),
            () = self.live.cancel.cancelled(), if !is_commit_begun => return Err(Stop::Cancelled),
            runner = has_runner => runner.ok_or(Stop::Halted)?,
        };
        if !is_commit_begun {
            let deadline = Instant::now() + self.spec.options.time_max;
            if prepared.is_empty() && self.live.board.lock().revision > 0 {
                // The server died between the record of this plan and the removal of what another one had prepared.
                self.clear(BTreeMap::new()).await?;
            }
            self.run_all(prepared, deadline).await?;
        }
        let want = self.planned.tokens();
        if prepared.len() != want {
            return Err(Failure::from(Error::Tokens { got: prepared.len(), want }).into());
        }
        let tokens: Vec<Token> = prepared.values().cloned().collect();
        self.commit(&tokens, is_commit_begun).await
    }

    /// Runs until every partition is prepared, more than once where the system was to blame or where what a lambda answers
    /// was not what its first answers promised.
    async fn run_all(&mut self, prepared: &mut BTreeMap<usize, Token>, deadline: Instant) -> Result<(), Stop> {
        let mut pause = self.shared.options.retry_pause;
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match self.run_once(prepared, deadline).await {
                Ok(()) => return Ok(()),
                Err(Stop::Failed(failure)) => failure,
                Err(stop) => return Err(stop),
            };
            if failure.code == Code::LambdaResultType {
                self.replan(prepared, failure).await?;
                tries -= 1;
                continue;
            }
            if failure.blame() != Blame::System || tries >= self.shared.options.retries_max {
                return Err(failure.into());
            }
            tracing::warn!(job = %self.live.id, tries, %failure, "a run failed and is tried again");
            self.live.events.push(now_ms(), "retry", json!({"code": failure.code.as_str(), "message": failure.message, "tries": tries}));
            self.pause(pause, deadline).await?;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Plans the job again, with columns that take what the run that failed met. The new plan is durable before anything of
    /// it runs, and from then on nothing that was prepared counts; so no restart ever mixes the two. How often this may
    /// happen is bounded by the engine.
    async fn replan(&mut self, prepared: &mut BTreeMap<usize, Token>, why: Failure) -> Result<(), Stop> {
        let (shared, live) = (Arc::clone(&self.shared), Arc::clone(&self.live));
        let planned = match shared.engine.replan(&self.spec, &context_options(&live.context), &self.planned).await {
            Ok(Some(planned)) => planned,
            Err(failure) if failure.blame() == Blame::System => return Err(failure.into()),
            Err(failure) => {
                // What follows the lambda takes no other type, so the value is at fault after all.
                tracing::debug!(job = %live.id, %failure, "no wider columns");
                return Err(why.into());
            }
            Ok(None) => return Err(why.into()),
        };
        tracing::info!(job = %live.id, %why, "a job is planned again with wider columns");
        let revision = live.board.lock().revision + 1;
        let pins = keep(&shared.store, live.id, format!("pins{revision}"), planned.pins().to_json()?).await?;
        let event = Event::Planned { job: live.id, at_ms: now_ms(), pins, partitions: planned.partitions(), revision };
        if live.is_waited_for {
            shared.store.append(&[event]).map_err(Failure::from)?;
        } else {
            shared.record(&[event], &live).await.ok_or(Stop::Halted)?;
        }
        live.replanned(&planned, revision, &why);
        self.clear(std::mem::take(prepared)).await?;
        self.planned = planned;
        Ok(())
    }

    /// Removes what an earlier plan had prepared.
    async fn clear(&self, prepared: BTreeMap<usize, Token>) -> Result<(), Failure> {
        let tokens: Vec<Token> = prepared.into_values().collect();
        self.shared.engine.abort(&self.planned, self.live.id, &tokens).await
    }

    async fn run_once(&self, prepared: &mut BTreeMap<usize, Token>, deadline: Instant) -> Result<(), Stop> {
        let live = &self.live;
        let attempt = live.board.lock().attempts;
        let at_ms = now_ms();
        self.shared.store.append(&[Event::Started { job: live.id, at_ms, attempt }]).map_err(Failure::from)?;
        milestone::pass("running");
        live.enter(JobState::Running, json!({"attempt": attempt}), |board| {
            board.attempts = attempt + 1;
            board.started_at_ms = Some(at_ms);
            board.partitions_prepared = prepared.len();
            board.stages.clear();
        });
        // Its own token: a deadline stops this run and is no wish of the caller to cancel.
        let cancel = live.cancel.child_token();
        let context = RunContext {
            job: live.id,
            attempt,
            prepared: prepared.clone(),
            progress: Arc::new(Reporter::new(Arc::clone(live), self.shared.store.clone())),
            cancel: cancel.clone(),
        };
        let mut run = Box::pin(self.shared.engine.run(&self.planned, context));
        let reason = tokio::select! {
            biased;
            result = &mut run => return self.ran(result, prepared),
            () = self.shared.halt.cancelled() => Stop::Halted,
            () = live.cancel.cancelled() => Stop::Cancelled,
            () = sleep_until(deadline) => Failure::from(Error::Timeout { seconds: self.spec.options.time_max.as_secs() }).into(),
        };
        cancel.cancel();
        if timeout(STOP_GRACE, run).await.is_err() {
            tracing::warn!(job = %live.id, "a run did not stop in time and was dropped");
        }
        self.recall(prepared)?;
        Err(reason)
    }

    fn ran(&self, result: Result<Vec<Token>, Failure>, prepared: &mut BTreeMap<usize, Token>) -> Result<(), Stop> {
        match result {
            Ok(tokens) => {
                *prepared = tokens.into_iter().enumerate().collect();
                Ok(())
            }
            Err(failure) => {
                self.recall(prepared)?;
                Err(if failure.code == Code::JobCancelled && self.live.cancel.is_cancelled() { Stop::Cancelled } else { failure.into() })
            }
        }
    }

    /// The partitions that were prepared although the run failed.
    fn recall(&self, prepared: &mut BTreeMap<usize, Token>) -> Result<(), Stop> {
        *prepared = self.shared.tokens(self.live.id)?;
        Ok(())
    }

    async fn pause(&self, pause: Duration, deadline: Instant) -> Result<(), Stop> {
        tokio::select! {
            biased;
            () = self.shared.halt.cancelled() => Err(Stop::Halted),
            () = self.live.cancel.cancelled() => Err(Stop::Cancelled),
            () = sleep_until(deadline) => Err(Failure::from(Error::Timeout { seconds: self.spec.options.time_max.as_secs() }).into()),
            () = sleep(pause) => Ok(()),
        }
    }

    /// Makes the output visible and records that. From here on the job cannot be cancelled.
    async fn commit(&mut self, tokens: &[Token], is_commit_begun: bool) -> Result<Outcome, Stop> {
        let turns = std::mem::take(&mut self.turns);
        let (shared, live) = (&self.shared, &self.live);
        if live.cancel.is_cancelled() && !is_commit_begun {
            return Err(Stop::Cancelled);
        }
        let own = if let Sink::Dataset { name, .. } = &self.spec.sink { Some(name) } else { None };
        let _turns = match self.planned.dead_letters() {
            None if !turns.is_empty() => turns,
            letters => {
                // Several turns are taken in one order only.
                drop(turns);
                shared.lock_datasets(&own.into_iter().chain(letters).collect::<Vec<&DatasetName>>()).await
            }
        };
        if !is_commit_begun {
            self.check_target()?;
        }
        milestone::pass("commit?");
        if !live.is_waited_for && !is_commit_begun {
            // The tokens lie before it in the journal, so they are durable with it.
            shared.record(&[Event::CommitBegun { job: live.id, at_ms: now_ms() }], live).await.ok_or(Stop::Halted)?;
        }
        milestone::pass("commit begun");
        let receipt = self.commit_tokens(tokens).await?;
        milestone::pass("committed");
        let own = shared.committed(&self.planned, live.id, &self.spec.sink).await?;
        let dead_letters = shared.dead_letters(&self.planned, live.id, tokens).await?;
        // A restart may have found the commit begun, and then nothing was counted in this life.
        live.board.lock().refused = azora_engine::Engine::refused(&self.planned, tokens)?;
        let datasets = dead_letters.into_iter().chain(own).collect();
        let result =
            if self.planned.is_collected() { Some(shared.engine.result(live.id, self.planned.description(), tokens)?) } else { None };
        self.succeed(Success { receipt, datasets, result }).await
    }

    /// Another job may have made the dataset since this one was planned.
    fn check_target(&self) -> Result<(), Failure> {
        match &self.spec.sink {
            Sink::Dataset { name, mode: WriteMode::ErrorIfExists, .. } if self.shared.catalog.current(name).is_some() => {
                Err(Error::DatasetExists(name.to_string()).into())
            }
            _ => Ok(()),
        }
    }

    async fn commit_tokens(&self, tokens: &[Token]) -> Result<Receipt, Stop> {
        let mut pause = self.shared.options.retry_pause;
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match self.shared.engine.commit(&self.planned, self.live.id, tokens).await {
                Ok(receipt) => return Ok(receipt),
                Err(failure) => failure,
            };
            if failure.blame() != Blame::System || tries >= COMMITS_MAX {
                return Err(failure.into());
            }
            tracing::warn!(job = %self.live.id, tries, %failure, "a commit failed and is tried again");
            tokio::select! {
                biased;
                () = self.shared.halt.cancelled() => return Err(Stop::Halted),
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn succeed(&self, success: Success) -> Result<Outcome, Stop> {
        let (shared, live) = (&self.shared, &self.live);
        let Success { receipt, datasets, result } = success;
        let old: Vec<_> = datasets.iter().filter_map(|dataset| shared.store.dataset(&dataset.name)).collect();
        let at_ms = now_ms();
        let has_result = result.is_some();
        let (stages, refused) = live.records();
        let ending = Ending {
            job: live.id,
            at_ms,
            state: JobState::Succeeded,
            failure: None,
            rows: receipt.rows,
            bytes: receipt.bytes,
            outputs: receipt.outputs.clone(),
            result: has_result.then(|| self.planned.description().to_owned()),
            stages,
            refused,
            dead_letters: self.planned.dead_letters().map(ToString::to_string),
            warnings: Vec::new(),
            last_seq: live.events.last_seq() + 1,
        };
        let events: Vec<Event> = datasets.into_iter().map(Event::DatasetCommitted).chain([Event::Ended(ending)]).collect();
        milestone::pass("success?");
        shared.record(&events, live).await.ok_or(Stop::Halted)?;
        milestone::pass("success");
        old.iter().for_each(|old| shared.retire(old));
        self.finish(if self.spec.options.is_look { Finish::Dropped } else { Finish::Succeeded }).await;
        milestone::pass("sources told");
        let output = OutputView { rows: receipt.rows, bytes: receipt.bytes, outputs: receipt.outputs };
        live.ended(JobState::Succeeded, at_ms, None, Some(output), has_result);
        Ok(Outcome::Succeeded(result.map(Box::new)))
    }
}

/// What callers are told of a source that did not note how the job ended.
fn not_noted(failure: Failure) -> WarningRecord {
    WarningRecord {
        code: failure.code.as_str().to_owned(),
        message: format!("a source did not note what was read: {}", failure.message),
        hint: Some("the job ended as it says; a later job that asks for what was not read yet may read the same again".to_owned()),
        pointer: failure.pointer,
    }
}

impl Shared {
    /// Adds warnings to the record of a job that has ended: it is written again with them. Where that is not possible the log
    /// has them.
    async fn warn(&self, live: &Live, warnings: Vec<WarningRecord>) {
        let Some(row) = self.store.job(live.id) else { return };
        match self.store.ending(&row) {
            Ok(Some(ending)) => drop(self.record(&[Event::Ended(Ending { warnings, ..ending })], live).await),
            Ok(None) => {}
            Err(error) => tracing::error!(job = %live.id, %error, "the record of an ended job cannot be read"),
        }
    }

    /// Records events of a job durably, however long the disk is full. `None` where the server goes down before.
    pub(crate) async fn record(&self, events: &[Event], live: &Live) -> Option<()> {
        let mut appended = None;
        loop {
            let error = match appended {
                None => match self.store.append(events) {
                    Ok(lsn) => {
                        appended = Some(lsn);
                        continue;
                    }
                    Err(error) => error,
                },
                Some(lsn) => match self.store.flush(lsn).await {
                    Ok(()) => return Some(()),
                    Err(error) => error,
                },
            };
            if !matches!(error, azora_store::Error::Full) {
                tracing::error!(job = %live.id, %error, "a job's state cannot be recorded; a restart will continue it");
                return None;
            }
            tokio::select! {
                biased;
                () = self.halt.cancelled() => return None,
                () = sleep(FULL_PAUSE) => {}
            }
        }
    }

    /// Records that a job failed or was cancelled. What it prepared is gone already.
    pub(crate) async fn fail(&self, live: &Live, state: JobState, failure: Failure) -> Outcome {
        let at_ms = now_ms();
        let (stages, refused) = live.records();
        let ending = Ending {
            job: live.id,
            at_ms,
            state,
            failure: Some(failure.clone()),
            rows: 0,
            bytes: 0,
            outputs: Vec::new(),
            result: None,
            stages,
            refused,
            // What a job that fails had left out is not kept.
            dead_letters: None,
            warnings: Vec::new(),
            last_seq: live.events.last_seq() + 1,
        };
        if self.record(&[Event::Ended(ending)], live).await.is_none() {
            return Outcome::Left;
        }
        live.ended(state, at_ms, Some(failure.clone()), None, false);
        Outcome::Failed(Box::new(failure))
    }

    /// Takes a job out of the living and tells those who wait.
    pub(crate) fn leave(&self, live: &Arc<Live>, outcome: Outcome) {
        if !matches!(outcome, Outcome::Left) {
            self.live.write().remove(&live.id);
        }
        live.outcome.send_replace(Some(outcome));
        self.sweep_retired();
    }

    /// The tokens of a job's prepared partitions.
    pub(crate) fn tokens(&self, id: azora_spec::JobId) -> Result<BTreeMap<usize, Token>, Failure> {
        let tokens = self.store.tokens(id)?;
        Ok(tokens.into_iter().map(|(partition, token)| (partition as usize, Token(token))).collect())
    }
}
