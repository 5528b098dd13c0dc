//! A guest's source as a [`azora_connect::Source`]: planned in an instance of its own, each split read by one instance from
//! a position that the host remembers.

use crate::capabilities::Capabilities;
use crate::component::Component;
use crate::connector::{Bound, Patience, StopOnDrop, call, check_text, joined, run};
use crate::error::{Error, Fault, Result};
use crate::instance::{failed, refused_in, typed};
use crate::store::State;
use crate::{CancelFlag, abi, checked, schema};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_connect::{Outcome, Position, ReadRequest, Reader, Source, Split};
use azora_spec::limits::{GuestLimits, PARTITIONS_MAX};
use azora_spec::{Code, Failure};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use wasmtime::Store;
use wasmtime::component::Func;

/// Longest wait that one `idle` may ask for, and the shortest.
const IDLE_WAIT_MAX: Duration = Duration::from_secs(10);
const IDLE_WAIT_MIN: Duration = Duration::from_millis(10);
/// How long a source may have nothing before the job that waits for its end fails.
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

const PLAN: (&str, &str) = ("azora:plugin/source#plan", "plan");
const OPEN: (&str, &str) = ("azora:plugin/source#open", "open");
const READ: (&str, &str) = ("azora:plugin/source#read", "read");

/// A guest that is instantiated as a source.
pub(crate) struct SourceGuest {
    store: Store<State>,
    plan: Func,
    open: Func,
    read: Func,
}

impl SourceGuest {
    /// Instantiates and checks the types of the three functions.
    pub(crate) fn instantiate(
        component: &Component,
        limits: GuestLimits,
        cancel: CancelFlag,
        capabilities: Arc<Capabilities>,
    ) -> Result<Self> {
        let exports = component.source()?;
        let (mut store, instance) = component.instantiate_with(limits, cancel, capabilities)?;
        let mut function = |export| {
            let missing = || Error::Export { name: "azora:plugin/source".to_owned(), reason: "lacks a function" };
            instance.get_func(&mut store, export).ok_or_else(missing)
        };
        let (plan, open, read) = (function(&exports.plan)?, function(&exports.open)?, function(&exports.read)?);
        typed::<abi::SourcePlanParams<'_>, abi::Answer<abi::SourcePlan>>(plan, &store, PLAN.0)?;
        typed::<abi::SourceOpenParams<'_>, abi::Answer<()>>(open, &store, OPEN.0)?;
        typed::<abi::ReadParams, abi::Answer<abi::ReadOutcome>>(read, &store, READ.0)?;
        Ok(Self { store, plan, open, read })
    }

    fn start(bound: &Bound, cancel: CancelFlag) -> Result<Self> {
        Self::instantiate(&bound.component, bound.limits, cancel, Arc::clone(&bound.capabilities))
    }

    fn plan(&mut self, connector: &str, config: &str, parallelism: usize) -> Result<Plan> {
        let parallelism = u32::try_from(parallelism).unwrap_or(u32::MAX);
        let params: abi::SourcePlanParams<'_> = (connector, config, parallelism);
        let answer: abi::SourcePlan =
            call(&mut self.store, self.plan, PLAN, params)?.map_err(|failure| refused_in(&self.store, PLAN.1, failure))?;
        let fault = |fault| self.fault(PLAN.1, fault);
        let schema = schema::lift(&answer.schema).map_err(|reason| fault(Fault::Output { reason }))?;
        if answer.splits.len() > PARTITIONS_MAX {
            let reason = format!("{} splits; at most {PARTITIONS_MAX} are taken", answer.splits.len());
            return Err(fault(Fault::Output { reason }));
        }
        for split in &answer.splits {
            check_text(self.store.data(), "split", &split.payload).map_err(fault)?;
        }
        let splits = answer.splits.into_iter().map(|split| Split { payload: split.payload, rows: split.rows }).collect();
        Ok(Plan { schema, splits })
    }

    fn open(&mut self, connector: &str, config: &str, split: &str, position: Option<&str>) -> Result<()> {
        let params: abi::SourceOpenParams<'_> = (connector, config, split, position);
        call(&mut self.store, self.open, OPEN, params)?.map_err(|failure| refused_in(&self.store, OPEN.1, failure))
    }

    fn read(&mut self, schema: &SchemaRef, rows_max: usize, bytes_max: usize) -> Result<Read> {
        let rows = u32::try_from(rows_max).unwrap_or(u32::MAX);
        let answer: abi::ReadOutcome =
            call(&mut self.store, self.read, READ, (rows, bytes_max as u64))?.map_err(|failure| failed(&self.store, READ.1, failure))?;
        let (batch, position) = match answer {
            abi::ReadOutcome::Batch(read) => read,
            abi::ReadOutcome::Idle(wait) => return Ok(Read::Idle(Duration::from_millis(u64::from(wait)))),
            abi::ReadOutcome::End => return Ok(Read::End),
        };
        let fault = |fault| self.fault(READ.1, fault);
        check_text(self.store.data(), "position", &position).map_err(fault)?;
        let batch = checked::batch(schema, batch, self.store.data().limits()).map_err(fault)?;
        if batch.num_rows() > rows_max {
            return Err(fault(Fault::Output { reason: format!("{} rows where at most {rows_max} were asked for", batch.num_rows()) }));
        }
        Ok(Read::Batch(batch, position))
    }

    fn fault(&self, call: &'static str, fault: Fault) -> Error {
        Error::Guest { origin: self.store.data().origin(), call, fault }
    }
}

#[derive(Debug)]
struct Plan {
    schema: SchemaRef,
    splits: Vec<Split>,
}

enum Read {
    Batch(RecordBatch, String),
    Idle(Duration),
    End,
}

/// A source that has been planned once, which is how its schema is known.
#[derive(Debug)]
pub(crate) struct GuestSource {
    bound: Arc<Bound>,
    config: Arc<str>,
    parallelism: usize,
    planned: Plan,
}

impl GuestSource {
    /// Plans for as many splits as there are processors; another number is asked for again.
    pub(crate) async fn plan(bound: Arc<Bound>, config: String) -> std::result::Result<Self, Failure> {
        let parallelism = std::thread::available_parallelism().map_or(1, usize::from);
        let config: Arc<str> = config.into();
        let planned = plan(&bound, &config, parallelism).await?;
        Ok(Self { bound, config, parallelism, planned })
    }
}

async fn plan(bound: &Arc<Bound>, config: &Arc<str>, parallelism: usize) -> std::result::Result<Plan, Failure> {
    let mut patience = Patience::new();
    loop {
        let (bound, config) = (Arc::clone(bound), Arc::clone(config));
        let planned = run(move |cancel| SourceGuest::start(&bound, cancel)?.plan(&bound.export, &config, parallelism)).await;
        match planned {
            Ok(planned) => return Ok(planned),
            Err(error) => patience.after(error).await?,
        }
    }
}

#[async_trait]
impl Source for GuestSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.planned.schema)
    }

    async fn plan(&self, parallelism: usize) -> std::result::Result<Vec<Split>, Failure> {
        if parallelism == self.parallelism {
            return Ok(self.planned.splits.clone());
        }
        let planned = plan(&self.bound, &self.config, parallelism).await?;
        if planned.schema != self.planned.schema {
            let message = format!("'{}' planned two different schemas for one configuration", self.bound.label());
            return Err(Failure::new(Code::PluginOutput, message));
        }
        Ok(planned.splits)
    }

    async fn open(
        &self,
        split: &Split,
        position: Option<&Position>,
        request: ReadRequest,
    ) -> std::result::Result<Box<dyn Reader>, Failure> {
        let flag = CancelFlag::new();
        Ok(Box::new(GuestReader {
            reading: Arc::new(Reading {
                bound: Arc::clone(&self.bound),
                config: Arc::clone(&self.config),
                schema: Arc::clone(&self.planned.schema),
                split: split.payload.clone(),
                request,
            }),
            position: position.map(|position| position.0.clone()),
            guest: None,
            pending: None,
            idle: Duration::ZERO,
            patience: Patience::new(),
            has_ended: false,
            stop: StopOnDrop(flag),
        }))
    }
}

/// What a reader needs on the other thread.
#[derive(Debug)]
struct Reading {
    bound: Arc<Bound>,
    config: Arc<str>,
    schema: SchemaRef,
    split: String,
    request: ReadRequest,
}

impl Reading {
    fn next(&self, guest: Option<SourceGuest>, position: Option<&str>, cancel: CancelFlag) -> Result<(SourceGuest, Read)> {
        let mut guest = match guest {
            Some(guest) => guest,
            None => {
                let mut guest = SourceGuest::start(&self.bound, cancel)?;
                guest.open(&self.bound.export, &self.config, &self.split, position)?;
                guest
            }
        };
        let read = guest.read(&self.schema, self.request.batch_rows.max(1), self.request.batch_bytes.max(1))?;
        Ok((guest, read))
    }
}

type Pending = JoinHandle<Result<(SourceGuest, Read)>>;

/// One split being read. A read whose future is dropped goes on, and the next read gets its answer.
struct GuestReader {
    reading: Arc<Reading>,
    /// Behind the rows that were handed on.
    position: Option<String>,
    guest: Option<SourceGuest>,
    pending: Option<Pending>,
    idle: Duration,
    patience: Patience,
    has_ended: bool,
    stop: StopOnDrop,
}

impl std::fmt::Debug for GuestReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestReader").field("connector", &self.reading.bound.label()).finish_non_exhaustive()
    }
}

impl GuestReader {
    fn begin(&mut self) -> Pending {
        let (reading, guest, position) = (Arc::clone(&self.reading), self.guest.take(), self.position.clone());
        let cancel = self.stop.0.clone();
        tokio::task::spawn_blocking(move || reading.next(guest, position.as_deref(), cancel))
    }

    fn idle(&mut self, wait: Duration) -> std::result::Result<Outcome, Failure> {
        let wait = wait.clamp(IDLE_WAIT_MIN, IDLE_WAIT_MAX);
        self.idle += wait;
        if self.idle > IDLE_TIME_MAX {
            let fault = Fault::Idle { limit: IDLE_TIME_MAX };
            return Err(Error::Guest { origin: self.reading.bound.component.origin(), call: READ.1, fault }.into());
        }
        Ok(Outcome::Idle(wait))
    }

    fn batch(&mut self, batch: RecordBatch, position: String) -> std::result::Result<Outcome, Failure> {
        self.idle = Duration::ZERO;
        self.patience.reset();
        self.position = Some(position.clone());
        let batch = match &self.reading.request.projection {
            Some(columns) => batch.project(columns).map_err(|error| Error::Input { reason: error.to_string() })?,
            None => batch,
        };
        Ok(Outcome::Batch(batch, Position(position)))
    }
}

#[async_trait]
impl Reader for GuestReader {
    async fn read(&mut self) -> std::result::Result<Outcome, Failure> {
        if self.has_ended {
            return Ok(Outcome::End);
        }
        loop {
            if self.pending.is_none() {
                self.pending = Some(self.begin());
            }
            let Some(pending) = &mut self.pending else { continue };
            let answer = joined(pending.await);
            self.pending = None;
            let (guest, read) = match answer {
                Ok(answer) => answer,
                // The instance is gone; a fresh one goes on behind the last rows.
                Err(error) => {
                    self.patience.after(error).await?;
                    continue;
                }
            };
            return match read {
                Read::Batch(batch, position) => {
                    self.guest = Some(guest);
                    self.batch(batch, position)
                }
                Read::Idle(wait) => {
                    self.guest = Some(guest);
                    self.idle(wait)
                }
                Read::End => {
                    self.has_ended = true;
                    Ok(Outcome::End)
                }
            };
        }
    }
}
