//! Sources and sinks over the contract. What they do is in `source.rs` and `sink.rs`.

use crate::bindings::azora::plugin::{batch_types as wire, failures};
use crate::bindings::exports::azora::plugin::{describe, sink as sink_wire, source as source_wire};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::plugin::{Exported, Plugin, report_panics};
use crate::sink::{End, OpenedSink, Sink, Writer};
use crate::source::{Next, OpenedSource, Source, Split, Wanted};
use crate::wire::{failure, read_schema, schema};
use std::cell::RefCell;

/// What connectors ask of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// [`http`](crate::http).
    HttpClient,
    /// [`clock`](crate::clock).
    Clock,
    /// [`random`](crate::random).
    Random,
    /// [`state`](crate::state).
    KeyValue,
    /// [`secrets`](crate::secrets).
    Secrets,
}

/// What `describe` says of a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorDeclaration {
    pub(crate) name: String,
    pub(crate) is_source: bool,
    pub(crate) doc: String,
    config_schema: String,
}

impl ConnectorDeclaration {
    /// That of a source.
    #[must_use]
    pub fn source<S: Source>() -> Self {
        Self { name: S::NAME.to_owned(), is_source: true, doc: S::DOC.to_owned(), config_schema: S::Config::schema() }
    }

    /// That of a sink.
    #[must_use]
    pub fn sink<S: Sink>() -> Self {
        Self { name: S::NAME.to_owned(), is_source: false, doc: S::DOC.to_owned(), config_schema: S::Config::schema() }
    }

    pub(crate) fn wire(self) -> describe::Connector {
        let kind = if self.is_source { describe::ConnectorKind::Source } else { describe::ConnectorKind::Sink };
        describe::Connector { name: self.name, kind, doc: self.doc, config_schema: self.config_schema }
    }
}

pub(crate) fn capability(capability: Capability) -> describe::Capability {
    match capability {
        Capability::HttpClient => describe::Capability::HttpClient,
        Capability::Clock => describe::Capability::Clock,
        Capability::Random => describe::Capability::Random,
        Capability::KeyValue => describe::Capability::KeyValue,
        Capability::Secrets => describe::Capability::Secrets,
    }
}

// An instance reads one split or writes one partition.
thread_local! {
    static SOURCE: RefCell<Option<OpenedSource>> = const { RefCell::new(None) };
    static SINK: RefCell<Option<OpenedSink>> = const { RefCell::new(None) };
}

fn unknown<P: Plugin>(connector: &str) -> Failure {
    let names: Vec<String> = P::connectors().into_iter().map(|declaration| declaration.name).collect();
    Failure::invalid_input(format!("plugin '{}' has no connector '{connector}' of this kind; it has {}", P::NAME, names.join(", ")))
}

fn not_open() -> Failure {
    Failure::internal("called before open")
}

impl<P: Plugin> source_wire::Guest for Exported<P> {
    fn plan(connector: String, config: String, parallelism: u32) -> Result<source_wire::SourcePlan, failures::Failure> {
        report_panics();
        let planned = P::plan_source(&connector, &config, parallelism as usize).unwrap_or_else(|| Err(unknown::<P>(&connector)));
        let (columns, splits) = planned.map_err(failure)?;
        let split = |split: Split| source_wire::Split { payload: split.payload, rows: split.rows };
        Ok(source_wire::SourcePlan { schema: schema(&columns), splits: splits.into_iter().map(split).collect() })
    }

    fn open(connector: String, config: String, split: String, position: Option<String>) -> Result<(), failures::Failure> {
        report_panics();
        let opened = P::open_source(&connector, &config, &split, position.as_deref()).unwrap_or_else(|| Err(unknown::<P>(&connector)));
        SOURCE.set(Some(opened.map_err(failure)?));
        Ok(())
    }

    fn read(max_rows: u32, max_bytes: u64) -> Result<source_wire::ReadOutcome, failures::Failure> {
        let wanted = Wanted { rows: max_rows as usize, bytes: max_bytes };
        let next = SOURCE.with_borrow_mut(|opened| opened.as_mut().ok_or_else(not_open)?.read(wanted)).map_err(failure)?;
        Ok(match next {
            Next::Rows(mut batch, position) => match batch.pop() {
                Some(batch) => source_wire::ReadOutcome::Batch((batch, position)),
                None => source_wire::ReadOutcome::End,
            },
            Next::Idle(wait) => source_wire::ReadOutcome::Idle(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)),
            Next::End => source_wire::ReadOutcome::End,
        })
    }
}

impl<P: Plugin> sink_wire::Guest for Exported<P> {
    fn open(connector: String, config: String, input: wire::Schema, writer: sink_wire::Writer) -> Result<(), failures::Failure> {
        report_panics();
        let input = read_schema(input).map_err(failure)?;
        let sink_wire::Writer { job, partition, attempt, epoch } = writer;
        let writer = Writer { job, partition, attempt, epoch };
        let opened = P::open_sink(&connector, &config, input, writer).unwrap_or_else(|| Err(unknown::<P>(&connector)));
        SINK.set(Some(opened.map_err(failure)?));
        Ok(())
    }

    fn write(batch: wire::RecordBatch) -> Result<(), failures::Failure> {
        SINK.with_borrow_mut(|opened| opened.as_mut().ok_or_else(not_open)?.write(&batch)).map_err(failure)
    }

    fn prepare() -> Result<String, failures::Failure> {
        SINK.with_borrow_mut(|opened| opened.as_mut().ok_or_else(not_open)?.prepare()).map_err(failure)
    }

    fn commit(connector: String, config: String, tokens: Vec<String>) -> Result<(), failures::Failure> {
        end::<P>(&connector, &config, &tokens, End::Commit)
    }

    fn abort(connector: String, config: String, tokens: Vec<String>) -> Result<(), failures::Failure> {
        end::<P>(&connector, &config, &tokens, End::Abort)
    }
}

fn end<P: Plugin>(connector: &str, config: &str, tokens: &[String], end: End) -> Result<(), failures::Failure> {
    report_panics();
    P::end_sink(connector, config, tokens, end).unwrap_or_else(|| Err(unknown::<P>(connector))).map_err(failure)
}
