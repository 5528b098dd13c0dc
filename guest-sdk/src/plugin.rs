//! The plugin as the host sees it: its manifest, and the calls of the contract for functions. What a function does is in
//! `function.rs` and `aggregate.rs`; the calls for connectors are in `connector.rs`.

use crate::aggregate::OpenedAggregate;
use crate::bindings::azora::plugin::{batch_types as wire, failures};
use crate::bindings::exports::azora::plugin::{aggregate, describe, transform};
use crate::connector::{Capability, ConnectorDeclaration, capability};
use crate::failure::{Failure, Result};
use crate::function::{Declaration, Kind, Opened};
use crate::log;
use crate::rows::Output;
use crate::schema::Schema;
use crate::sink::{End, OpenedSink, Writer};
use crate::source::{OpenedSource, Split};
use crate::wire::{failure, read_schema, schema};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Once;

/// Functions, or connectors, under one name. Made by [`plugin!`](crate::plugin!).
pub trait Plugin {
    /// Lower-case letters, digits and `-`, a letter first, at most 64.
    const NAME: &'static str;
    /// A semantic version.
    const VERSION: &'static str;
    /// Markdown.
    const DOC: &'static str;

    /// What it offers.
    fn declarations() -> Vec<Declaration>;

    /// Opens the function of that name; none where there is none.
    fn open(function: &str, input: &Schema, config: &str) -> Option<Result<Opened>>;

    /// Opens the aggregate of that name; none where there is none.
    fn open_aggregate(function: &str, input: &Schema, config: &str) -> Option<Result<OpenedAggregate>>;

    /// The connectors that it offers.
    fn connectors() -> Vec<ConnectorDeclaration>;

    /// What its connectors ask of the operator.
    fn capabilities() -> Vec<Capability>;

    /// Plans the source of that name; none where there is none.
    fn plan_source(connector: &str, config: &str, parallelism: usize) -> Option<Result<(Schema, Vec<Split>)>>;

    /// Opens the source of that name; none where there is none.
    fn open_source(connector: &str, config: &str, split: &str, position: Option<&str>) -> Option<Result<OpenedSource>>;

    /// Opens the sink of that name; none where there is none.
    fn open_sink(connector: &str, config: &str, input: Schema, writer: Writer) -> Option<Result<OpenedSink>>;

    /// Ends a transaction of the sink of that name; none where there is none.
    fn end_sink(connector: &str, config: &str, tokens: &[String], end: End) -> Option<Result<()>>;
}

/// Says why a manifest would be refused.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check<P: Plugin>() -> std::result::Result<(), String> {
    let is_name = |name: &str, allowed: fn(u8) -> bool| {
        (1..=64).contains(&name.len()) && name.as_bytes()[0].is_ascii_alphabetic() && name.bytes().all(allowed)
    };
    if !is_name(P::NAME, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err(format!("plugin name '{}' is not made of lower-case letters, digits and '-'", P::NAME));
    }
    let declarations = P::declarations();
    for (at, declaration) in declarations.iter().enumerate() {
        if !is_name(&declaration.name, |byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(format!("function name '{}' is not made of letters, digits, '_' and '-'", declaration.name));
        }
        if declarations[..at].iter().any(|other| other.name == declaration.name) {
            return Err(format!("function '{}' is listed twice", declaration.name));
        }
        if declaration.doc.len() > 4096 {
            return Err(format!("the comment on function '{}' is longer than 4 KiB", declaration.name));
        }
    }
    let connectors = P::connectors();
    for (at, declaration) in connectors.iter().enumerate() {
        if !is_name(&declaration.name, |byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(format!("connector name '{}' is not made of letters, digits, '_' and '-'", declaration.name));
        }
        if connectors[..at].iter().any(|other| other.name == declaration.name && other.is_source == declaration.is_source) {
            return Err(format!("connector '{}' is listed twice", declaration.name));
        }
        if declaration.doc.len() > 4096 {
            return Err(format!("the text on connector '{}' is longer than 4 KiB", declaration.name));
        }
    }
    Ok(())
}

/// Carries a [`Plugin`] over the contract.
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

// An instance serves one partition of one job, one call at a time.
thread_local! {
    static OPENED: RefCell<Option<Opened>> = const { RefCell::new(None) };
    static AGGREGATE: RefCell<Option<OpenedAggregate>> = const { RefCell::new(None) };
}

/// Without it a panic would reach the host as a bare trap.
pub(crate) fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::error(panic.to_string())));
    });
}

fn unknown<P: Plugin>(function: &str) -> Failure {
    let names: Vec<String> = P::declarations().into_iter().map(|declaration| declaration.name).collect();
    Failure::invalid_input(format!("plugin '{}' has no function '{function}'; it has {}", P::NAME, names.join(", ")))
}

fn not_open() -> Failure {
    Failure::internal("called before open")
}

fn kind(kind: Kind) -> describe::FunctionKind {
    match kind {
        Kind::Map => describe::FunctionKind::Map,
        Kind::Filter => describe::FunctionKind::Filter,
        Kind::FlatMap => describe::FunctionKind::FlatMap,
        Kind::MapPartitions => describe::FunctionKind::MapPartitions,
        Kind::Aggregate => describe::FunctionKind::Aggregate,
    }
}

impl<P: Plugin> describe::Guest for Exported<P> {
    fn describe() -> describe::Manifest {
        report_panics();
        let function = |declaration: Declaration| describe::Function {
            kind: kind(declaration.kind),
            params: schema(&Schema { fields: declaration.params, metadata: Vec::new() }),
            output: schema(&declaration.output),
            name: declaration.name,
            doc: declaration.doc,
            config_schema: declaration.config_schema,
        };
        describe::Manifest {
            name: P::NAME.to_owned(),
            version: P::VERSION.to_owned(),
            doc: P::DOC.to_owned(),
            functions: P::declarations().into_iter().map(function).collect(),
            connectors: P::connectors().into_iter().map(ConnectorDeclaration::wire).collect(),
            capabilities: P::capabilities().into_iter().map(capability).collect(),
        }
    }
}

fn plan(opened: &Opened) -> transform::Plan {
    let made = (0..opened.made.fields.len() as u32).map(transform::Column::Made);
    let passed = opened
        .passes
        .iter()
        .enumerate()
        .map(|(input, field)| transform::Column::Passed(transform::PassedColumn { input: input as u32, name: field.name.clone() }));
    transform::Plan {
        columns: made.chain(passed).collect(),
        made: schema(&opened.made),
        needs: opened.binding.needs.iter().map(|&at| at as u32).collect(),
        batch_rows: 0,
    }
}

fn output(made: Output) -> transform::Output {
    let kept = made.kept.map_or(wire::RowsKept::All, wire::RowsKept::Bitmap);
    transform::Output { batch: made.parts.batch(made.rows), kept }
}

impl<P: Plugin> transform::Guest for Exported<P> {
    fn open(function: String, input: wire::Schema, config: String) -> Result<transform::Plan, failures::Failure> {
        report_panics();
        let input = read_schema(input).map_err(failure)?;
        let opened = P::open(&function, &input, &config).unwrap_or_else(|| Err(unknown::<P>(&function))).map_err(failure)?;
        let plan = plan(&opened);
        OPENED.set(Some(opened));
        Ok(plan)
    }

    fn process(batch: wire::RecordBatch) -> Result<transform::Output, failures::Failure> {
        OPENED.with_borrow_mut(|opened| opened.as_mut().ok_or_else(not_open)?.process(&batch).map(output)).map_err(failure)
    }

    fn finish() -> Result<Option<wire::RecordBatch>, failures::Failure> {
        let rest = OPENED.with_borrow_mut(|opened| opened.as_mut().ok_or_else(not_open)?.finish()).map_err(failure)?;
        Ok(rest.filter(|rest| rest.rows > 0).map(|rest| rest.parts.batch(rest.rows)))
    }
}

fn with_aggregate<T>(call: impl FnOnce(&mut OpenedAggregate) -> Result<T>) -> Result<T, failures::Failure> {
    AGGREGATE.with_borrow_mut(|opened| call(opened.as_mut().ok_or_else(not_open)?)).map_err(failure)
}

impl<P: Plugin> aggregate::Guest for Exported<P> {
    fn open(function: String, input: wire::Schema, config: String) -> Result<aggregate::AggregatePlan, failures::Failure> {
        report_panics();
        let input = read_schema(input).map_err(failure)?;
        let opened = P::open_aggregate(&function, &input, &config).unwrap_or_else(|| Err(unknown::<P>(&function))).map_err(failure)?;
        let plan = aggregate::AggregatePlan { state: schema(&opened.state), result: schema(&opened.result) };
        AGGREGATE.set(Some(opened));
        Ok(plan)
    }

    fn update(batch: wire::RecordBatch, groups: Vec<u32>, total_groups: u32) -> Result<(), failures::Failure> {
        with_aggregate(|opened| opened.update(&batch, &groups, total_groups))
    }

    fn merge(states: wire::RecordBatch, groups: Vec<u32>, total_groups: u32) -> Result<(), failures::Failure> {
        with_aggregate(|opened| opened.merge(&states, &groups, total_groups))
    }

    fn state(first: Option<u32>) -> Result<wire::RecordBatch, failures::Failure> {
        with_aggregate(|opened| opened.state(first)).map(|made| made.parts.batch(made.rows))
    }

    fn evaluate(first: Option<u32>) -> Result<wire::RecordBatch, failures::Failure> {
        with_aggregate(|opened| opened.evaluate(first)).map(|made| made.parts.batch(made.rows))
    }
}
