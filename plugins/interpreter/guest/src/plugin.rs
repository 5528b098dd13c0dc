//! The calls of the contract: open an instance, rows through it, its end.

use crate::chain::{Chain, Halt, Probe, Sink};
use crate::config::{Config, Element, Output};
use crate::engine;
use crate::input::{Array, Columns, Parts};
use crate::kind::{Kind, Seen, quote};
use crate::value::Value;
use azora_guest::bindings::azora::plugin::{batch_types as wire, failures};
use azora_guest::bindings::exports::azora::plugin::{describe, transform};
use azora_guest::{Failure, FailureCode};
use std::cell::RefCell;
use std::ops::Range;

/// Rows per call: each may take microseconds, and a call has a time limit.
const BATCH_ROWS: u32 = 2048;
/// Characters of an element that a failure shows.
const ELEMENT_CHARACTERS_MAX: usize = 160;
/// Longest text of wider columns: the host keeps 4 KiB of a failure's message.
const WIDER_BYTES_MAX: usize = 2 << 10;

/// The plugin.
#[derive(Debug)]
pub struct Interpreter;

struct Opened {
    config: Config,
    columns: Columns,
    chain: Chain,
    /// Rows of the partition before the batch in hand.
    rows: u64,
    /// In a probe: rows that went through, and what the first that did not said.
    passed: u64,
    failed: Option<String>,
}

// An instance serves one partition of one job, one call at a time.
thread_local! {
    static OPENED: RefCell<Option<Opened>> = const { RefCell::new(None) };
}

/// A failure's message for the host: JSON with the lambda at fault and, where a value does not fit its columns, what
/// columns would hold it and the others.
pub(crate) fn report(lambda: u32, message: &str, element: &str, wider: Option<&str>) -> String {
    let mut text = format!("{{\"lambda\":{lambda},\"wider\":{},\"message\":", wider.unwrap_or("null"));
    quote(message, &mut text);
    text.push_str(",\"element\":");
    quote(element, &mut text);
    text.push('}');
    text
}

fn failure(failure: Failure) -> failures::Failure {
    let code = match failure.code {
        FailureCode::InvalidInput => failures::FailureCode::InvalidInput,
        FailureCode::Unsupported => failures::FailureCode::Unsupported,
        FailureCode::Overflow => failures::FailureCode::Overflow,
        FailureCode::User => failures::FailureCode::User,
        FailureCode::Retryable => failures::FailureCode::Retryable,
        FailureCode::Internal => failures::FailureCode::Internal,
    };
    failures::Failure { code, message: failure.message, row: failure.row }
}

impl describe::Guest for Interpreter {
    fn describe() -> describe::Manifest {
        describe::Manifest {
            name: "interpreter".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            doc: "Runs lambdas that are not compiled. Its configuration is the engine's own.".to_owned(),
            functions: Vec::new(),
            connectors: Vec::new(),
            capabilities: Vec::new(),
        }
    }
}

impl Opened {
    fn new(input: &wire::Schema, text: &str) -> Result<(Self, transform::Plan), Failure> {
        std::panic::set_hook(Box::new(|panic| azora_guest::log::error(panic.to_string())));
        engine::enter()?;
        let config = Config::read(text)?;
        let count = top_level(input);
        // In runs of equal keys only the values count.
        let columns = match config.has_runs() {
            true => Columns::new(input, Element::Scalar, 1..2)?,
            false => Columns::new(input, config.element, 0..count)?,
        };
        let chain = Chain::new(&config)?;
        let plan = plan(&config, input, &chain, count);
        Ok((Self { config, columns, chain, rows: 0, passed: 0, failed: None }, plan))
    }

    fn process(&mut self, batch: &wire::RecordBatch) -> Result<transform::Output, Failure> {
        engine::enter()?;
        let rows = batch.rows as usize;
        let mut parts = Parts::new(batch);
        let arrays = self.columns.arrays(&mut parts)?;
        let flags = if self.config.has_runs() { Some(parts.flags()?) } else { None };
        if let Sink::Kept { bits, .. } = &mut self.chain.sink {
            *bits = vec![0; rows.div_ceil(8)];
        }
        for at in 0..rows {
            if let Sink::Kept { row, .. } = &mut self.chain.sink {
                *row = at;
            }
            let element = self.columns.element(&arrays, at);
            if element.is_exception() {
                return Err(Failure::internal(engine::exception().message));
            }
            match self.push(element, flags.as_ref(), at) {
                Ok(()) => self.passed += 1,
                Err(mut halt) => {
                    let row = self.rows + at as u64;
                    let is_probe = matches!(self.chain.sink, Sink::Probe(_));
                    let wider = halt.saw.take().map(|saw| self.wider(saw, &arrays, flags.as_ref(), at + 1..rows));
                    let said = self.said(halt, &arrays, at, wider.as_deref());
                    if !is_probe {
                        return Err(Failure { row: Some(row), ..said });
                    }
                    self.failed.get_or_insert(said.message);
                }
            }
        }
        self.rows += rows as u64;
        Ok(self.output())
    }

    fn push(&mut self, element: Value, flags: Option<&Array<'_>>, at: usize) -> Result<(), Halt> {
        match flags {
            Some(flags) => self.chain.push_run(element, flags.flag(at)),
            None => self.chain.push(0, element),
        }
    }

    /// What the columns would have to be for a value that does not fit them, and for the rest of the batch, so that few
    /// runs find all types. The instance is of no use afterwards.
    fn wider(&mut self, saw: Seen, arrays: &[Array<'_>], flags: Option<&Array<'_>>, rest: Range<usize>) -> String {
        let (known, is_whole) = match &self.config.output {
            Some(Output { element: Element::Object, fields }) => (Seen::of_kind(&Kind::Struct(fields.clone())), true),
            Some(Output { element: Element::Tuple, fields }) => {
                (Seen::of_kind(&Kind::Tuple(fields.iter().map(|(_, kind)| kind.clone()).collect())), true)
            }
            Some(Output { fields, .. }) => (fields.first().map_or(Seen::Nothing, |(_, kind)| Seen::of_kind(kind)), false),
            None => (Seen::Nothing, false),
        };
        let has_nulls = !is_whole || saw == Seen::Nothing;
        self.chain.sink = Sink::Probe(Probe::knowing(known.merge(saw), has_nulls));
        for at in rest {
            let element = self.columns.element(arrays, at);
            // What throws here is not what the run failed of.
            if element.is_exception() {
                drop(engine::exception());
                continue;
            }
            drop(self.push(element, flags, at));
        }
        let found = self.found_type();
        if found.len() <= WIDER_BYTES_MAX { found } else { "{\"type\":\"json\",\"nulls\":true}".to_owned() }
    }

    /// What came out, as the host reads it.
    fn found_type(&self) -> String {
        let mut text = String::from("{\"type\":");
        let mut has_nulls = false;
        match &self.chain.sink {
            Sink::Probe(probe) => {
                has_nulls = probe.has_nulls;
                match probe.types() {
                    Some(seen) => seen.settle(self.config.pairs).write(&mut text),
                    None => text.push_str("null"),
                }
            }
            Sink::Rows(_) | Sink::Kept { .. } => text.push_str("null"),
        }
        text.push_str(&format!(",\"nulls\":{has_nulls}}}"));
        text
    }

    fn said(&self, halt: Halt, arrays: &[Array<'_>], row: usize, wider: Option<&str>) -> Failure {
        let mut json = Vec::new();
        self.columns.element(arrays, row).to_json(&mut json);
        let mut element = String::from_utf8_lossy(&json).into_owned();
        if let Some((at, _)) = element.char_indices().nth(ELEMENT_CHARACTERS_MAX) {
            element.truncate(at);
            element.push('…');
        }
        Failure::new(halt.code, report(halt.lambda, &halt.message, &element, wider))
    }

    fn output(&mut self) -> transform::Output {
        match &mut self.chain.sink {
            Sink::Rows(rows) => transform::Output { batch: rows.take(), kept: wire::RowsKept::All },
            Sink::Kept { bits, .. } => {
                let bits = std::mem::take(bits);
                let rows = bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
                transform::Output {
                    batch: wire::RecordBatch { rows, nodes: Vec::new(), buffers: Vec::new() },
                    kept: wire::RowsKept::Bitmap(bits),
                }
            }
            Sink::Probe(_) => transform::Output { batch: self.found(), kept: wire::RowsKept::All },
        }
    }

    /// One row with what a probe found.
    fn found(&self) -> wire::RecordBatch {
        let has_values = matches!(&self.chain.sink, Sink::Probe(probe) if probe.has_values);
        let mut text = self.found_type();
        text.pop();
        text.push_str(&format!(",\"values\":{has_values},\"passed\":{},\"failed\":", self.passed));
        match &self.failed {
            Some(said) => text.push_str(said),
            None => text.push_str("null"),
        }
        text.push('}');
        let ends = [0_u32.to_le_bytes(), (text.len() as u32).to_le_bytes()].concat();
        wire::RecordBatch {
            rows: 1,
            nodes: vec![wire::FieldNode { length: 1, null_count: 0 }],
            buffers: vec![Vec::new(), ends, text.into_bytes()],
        }
    }

    fn finish(&mut self) -> Result<Option<wire::RecordBatch>, Failure> {
        engine::enter()?;
        if let Err(mut halt) = self.chain.finish() {
            let wider = halt.saw.take().map(|saw| self.wider(saw, &[], None, 0..0));
            return Err(Failure::new(halt.code, report(halt.lambda, &halt.message, "", wider.as_deref())));
        }
        Ok(match &mut self.chain.sink {
            Sink::Rows(rows) => Some(rows.take()).filter(|rest| rest.rows > 0),
            Sink::Kept { .. } => None,
            Sink::Probe(_) => Some(self.found()),
        })
    }
}

/// Number of columns that are no part of another.
fn top_level(schema: &wire::Schema) -> usize {
    let inner: u32 = schema.fields.iter().map(|field| field.children).sum();
    schema.fields.len() - inner as usize
}

fn plan(config: &Config, input: &wire::Schema, chain: &Chain, count: usize) -> transform::Plan {
    let mut made = wire::Schema { fields: Vec::new(), metadata: Vec::new() };
    let mut columns = Vec::new();
    let mut says = |word: &str| made.metadata.push(wire::MetadataEntry { key: "azora:element".to_owned(), value: word.to_owned() });
    match (&chain.sink, &config.output) {
        (Sink::Kept { .. }, _) => {
            says(config.element.word());
            let mut inside = 0;
            let mut top = 0;
            for field in &input.fields {
                // Children follow their parent.
                if inside == 0 {
                    columns.push(transform::Column::Passed(transform::PassedColumn { input: top, name: field.name.clone() }));
                    top += 1;
                } else {
                    inside -= 1;
                }
                inside += field.children;
            }
        }
        (Sink::Rows(_), Some(output)) => {
            says(output.element.word());
            for (at, (name, kind)) in output.fields.iter().enumerate() {
                kind.fields(name, &mut made.fields);
                columns.push(transform::Column::Made(at as u32));
            }
        }
        _ => {
            says("scalar");
            Kind::Text.fields("value", &mut made.fields);
            columns.push(transform::Column::Made(0));
        }
    }
    let first = u32::from(config.has_runs());
    transform::Plan { made, columns, needs: (first..count as u32).collect(), batch_rows: BATCH_ROWS }
}

fn with<T>(call: impl FnOnce(&mut Opened) -> Result<T, Failure>) -> Result<T, failures::Failure> {
    OPENED.with_borrow_mut(|opened| call(opened.as_mut().ok_or_else(|| Failure::internal("called before open"))?)).map_err(failure)
}

impl transform::Guest for Interpreter {
    fn open(_: String, input: wire::Schema, config: String) -> Result<transform::Plan, failures::Failure> {
        let (opened, plan) = Opened::new(&input, &config).map_err(failure)?;
        OPENED.set(Some(opened));
        Ok(plan)
    }

    fn process(batch: wire::RecordBatch) -> Result<transform::Output, failures::Failure> {
        with(|opened| opened.process(&batch))
    }

    fn finish() -> Result<Option<wire::RecordBatch>, failures::Failure> {
        with(Opened::finish)
    }
}
