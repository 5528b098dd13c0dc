//! A guest's sink as a [`azora_connect::Sink`]: one instance writes a partition and names what it made; others, perhaps
//! after a crash, commit or abort what was named.

use crate::batch::Lowered;
use crate::capabilities::Capabilities;
use crate::component::Component;
use crate::connector::{Bound, Patience, StopOnDrop, call, check_text, joined, run};
use crate::error::{Error, Fault, Result};
use crate::instance::{failed, refused_in, typed};
use crate::store::State;
use crate::{CancelFlag, abi, schema};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::limits::{BATCH_ROWS, GuestLimits};
use azora_spec::{Code, Failure, JobId};
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::Func;

const OPEN: (&str, &str) = ("azora:plugin/sink#open", "open");
const WRITE: (&str, &str) = ("azora:plugin/sink#write", "write");
const PREPARE: (&str, &str) = ("azora:plugin/sink#prepare", "prepare");
const COMMIT: (&str, &str) = ("azora:plugin/sink#commit", "commit");
const ABORT: (&str, &str) = ("azora:plugin/sink#abort", "abort");

/// A guest that is instantiated as a sink.
pub(crate) struct SinkGuest {
    store: Store<State>,
    open: Func,
    write: Func,
    prepare: Func,
    commit: Func,
    abort: Func,
}

impl SinkGuest {
    /// Instantiates and checks the types of the five functions.
    pub(crate) fn instantiate(
        component: &Component,
        limits: GuestLimits,
        cancel: CancelFlag,
        capabilities: Arc<Capabilities>,
    ) -> Result<Self> {
        let exports = component.sink()?;
        let (mut store, instance) = component.instantiate_with(limits, cancel, capabilities)?;
        let mut function = |export| {
            let missing = || Error::Export { name: "azora:plugin/sink".to_owned(), reason: "lacks a function" };
            instance.get_func(&mut store, export).ok_or_else(missing)
        };
        let (open, write, prepare) = (function(&exports.open)?, function(&exports.write)?, function(&exports.prepare)?);
        let (commit, abort) = (function(&exports.commit)?, function(&exports.abort)?);
        typed::<abi::SinkOpenParams<'_>, abi::Answer<()>>(open, &store, OPEN.0)?;
        typed::<abi::WriteParams<'_>, abi::Answer<()>>(write, &store, WRITE.0)?;
        typed::<(), abi::Answer<String>>(prepare, &store, PREPARE.0)?;
        typed::<abi::TokensParams<'_>, abi::Answer<()>>(commit, &store, COMMIT.0)?;
        typed::<abi::TokensParams<'_>, abi::Answer<()>>(abort, &store, ABORT.0)?;
        Ok(Self { store, open, write, prepare, commit, abort })
    }

    fn start(bound: &Bound, cancel: CancelFlag) -> Result<Self> {
        Self::instantiate(&bound.component, bound.limits, cancel, Arc::clone(&bound.capabilities))
    }

    fn open(&mut self, connector: &str, config: &str, input: &abi::Schema, id: WriterId) -> Result<()> {
        let job = id.job.to_string();
        let partition = u32::try_from(id.partition).unwrap_or(u32::MAX);
        let writer = abi::Writer { job: &job, partition, attempt: id.attempt, epoch: id.epoch };
        let params: abi::SinkOpenParams<'_> = (connector, config, input, writer);
        call(&mut self.store, self.open, OPEN, params)?.map_err(|failure| refused_in(&self.store, OPEN.1, failure))
    }

    fn write(&mut self, batch: &RecordBatch, schema: &SchemaRef) -> Result<u64> {
        let mut bytes = 0;
        for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
            let rows = BATCH_ROWS.min(batch.num_rows() - start);
            let lowered = Lowered::of(&batch.slice(start, rows), schema)?;
            bytes += lowered.bytes() as u64;
            let buffers = lowered.slices();
            let params: abi::WriteParams<'_> = (abi::BatchIn { rows: rows as u64, nodes: &lowered.nodes, buffers: &buffers },);
            let answer: std::result::Result<(), abi::Failure> = call(&mut self.store, self.write, WRITE, params)?;
            answer.map_err(|failure| failed(&self.store, WRITE.1, failure))?;
        }
        Ok(bytes)
    }

    fn prepare(&mut self) -> Result<String> {
        let token: String = call(&mut self.store, self.prepare, PREPARE, ())?.map_err(|failure| failed(&self.store, PREPARE.1, failure))?;
        check_text(self.store.data(), "token", &token).map_err(|fault| self.fault(PREPARE.1, fault))?;
        Ok(token)
    }

    fn end(&mut self, name: (&'static str, &'static str), connector: &str, config: &str, tokens: &[String]) -> Result<()> {
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let function = if name == COMMIT { self.commit } else { self.abort };
        let params: abi::TokensParams<'_> = (connector, config, &tokens);
        call(&mut self.store, function, name, params)?.map_err(|failure| failed(&self.store, name.1, failure))
    }

    fn fault(&self, call: &'static str, fault: Fault) -> Error {
        Error::Guest { origin: self.store.data().origin(), call, fault }
    }
}

/// A sink with its configuration.
#[derive(Debug)]
pub(crate) struct GuestSink {
    bound: Arc<Bound>,
    config: Arc<str>,
}

impl GuestSink {
    pub(crate) fn new(bound: Arc<Bound>, config: String) -> Self {
        Self { bound, config: config.into() }
    }

    /// Commits or aborts, in fresh instances, until it is done or the guest says that it is no use.
    async fn end(&self, name: (&'static str, &'static str), tokens: &[Named]) -> std::result::Result<(), Failure> {
        let tokens: Arc<[String]> = tokens.iter().map(|token| token.token.clone()).collect();
        let mut patience = Patience::new();
        loop {
            let (bound, config, tokens) = (Arc::clone(&self.bound), Arc::clone(&self.config), Arc::clone(&tokens));
            let ended = run(move |cancel| SinkGuest::start(&bound, cancel)?.end(name, &bound.export, &config, &tokens)).await;
            match ended {
                Ok(()) => return Ok(()),
                Err(error) => patience.after(error).await?,
            }
        }
    }
}

/// What the host keeps of a partition: the guest's token, and how much went into it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    rows: u64,
    bytes: u64,
    token: String,
}

impl Named {
    fn write(&self) -> Token {
        Token(format!("{} {} {}", self.rows, self.bytes, self.token))
    }

    fn read(token: &Token) -> std::result::Result<Self, Failure> {
        let mut parts = token.0.splitn(3, ' ');
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        let (rows, bytes) = (number(), number());
        match (rows, bytes, parts.next()) {
            (Some(rows), Some(bytes), Some(token)) => Ok(Self { rows, bytes, token: token.to_owned() }),
            _ => Err(Failure::new(Code::Internal, "the token of a plugin's sink is damaged")),
        }
    }

    fn read_all(tokens: &[Token]) -> std::result::Result<Vec<Self>, Failure> {
        tokens.iter().map(Self::read).collect()
    }
}

#[async_trait]
impl Sink for GuestSink {
    /// The contract has no look at the target before the job: `open` is where a guest refuses.
    async fn check(&self) -> std::result::Result<(), Failure> {
        let bound = Arc::clone(&self.bound);
        run(move |cancel| SinkGuest::start(&bound, cancel).map(drop)).await.map_err(Failure::from)
    }

    async fn open(&self, id: WriterId, input: SchemaRef) -> std::result::Result<Box<dyn Writer>, Failure> {
        let plain = schema::plain_schema(&input)?;
        let lowered = Arc::new(schema::lower(&plain)?);
        let flag = CancelFlag::new();
        let stop = StopOnDrop(flag.clone());
        let mut patience = Patience::new();
        loop {
            let (bound, config, lowered) = (Arc::clone(&self.bound), Arc::clone(&self.config), Arc::clone(&lowered));
            let cancel = flag.clone();
            let opened = tokio::task::spawn_blocking(move || {
                let mut guest = SinkGuest::start(&bound, cancel)?;
                guest.open(&bound.export, &config, &lowered, id)?;
                Ok(guest)
            });
            match joined(opened.await) {
                Ok(guest) => return Ok(Box::new(GuestWriter { guest: Some(guest), schema: plain, rows: 0, bytes: 0, _stop: stop })),
                Err(error) => patience.after(error).await?,
            }
        }
    }

    async fn commit(&self, _: JobId, _: u64, _: SchemaRef, tokens: &[Token]) -> std::result::Result<Receipt, Failure> {
        let named = Named::read_all(tokens)?;
        self.end(COMMIT, &named).await?;
        Ok(Receipt {
            rows: named.iter().map(|token| token.rows).sum(),
            bytes: named.iter().map(|token| token.bytes).sum(),
            outputs: vec![self.bound.label().to_owned()],
        })
    }

    async fn abort(&self, _: JobId, _: u64, tokens: &[Token]) -> std::result::Result<(), Failure> {
        self.end(ABORT, &Named::read_all(tokens)?).await
    }
}

/// One partition being written. After a failure, and where a call's future was dropped, it is not used again.
struct GuestWriter {
    guest: Option<SinkGuest>,
    schema: SchemaRef,
    rows: u64,
    bytes: u64,
    _stop: StopOnDrop,
}

impl std::fmt::Debug for GuestWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestWriter").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl GuestWriter {
    fn take(&mut self) -> Result<SinkGuest> {
        self.guest.take().ok_or_else(|| Error::Input { reason: "the instance failed before".to_owned() })
    }
}

#[async_trait]
impl Writer for GuestWriter {
    async fn write(&mut self, batch: RecordBatch) -> std::result::Result<(), Failure> {
        let (mut guest, schema) = (self.take()?, Arc::clone(&self.schema));
        let rows = batch.num_rows() as u64;
        let written = tokio::task::spawn_blocking(move || {
            let bytes = guest.write(&batch, &schema)?;
            Ok((guest, bytes))
        });
        let (guest, bytes) = joined(written.await)?;
        self.guest = Some(guest);
        self.rows += rows;
        self.bytes += bytes;
        Ok(())
    }

    async fn prepare(mut self: Box<Self>) -> std::result::Result<Token, Failure> {
        let mut guest = self.take()?;
        let token = joined(tokio::task::spawn_blocking(move || guest.prepare()).await)?;
        Ok(Named { rows: self.rows, bytes: self.bytes, token }.write())
    }
}

#[cfg(test)]
mod tests {
    use super::{Named, Token};

    #[test]
    fn tokens_of_any_text_read_back() {
        for token in ["", "a b  c", "{\"x\": 1}\n"] {
            let named = Named { rows: 3, bytes: 4, token: token.to_owned() };
            assert_eq!(Named::read(&named.write()).unwrap(), named);
        }
        for damaged in ["", "1", "1 2", "x 2 y"] {
            assert!(Named::read(&Token(damaged.to_owned())).is_err(), "{damaged}");
        }
    }
}
