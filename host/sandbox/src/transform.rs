//! A function bound to a schema: its plan, and how passed and made columns become one batch again.

use crate::component::Component;
use crate::error::{Error, Fault, Result};
use crate::instance::{Guest, Instance};
use crate::{CancelFlag, abi, schema};
use arrow::array::{Array as _, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{FilterBuilder, take};
use arrow::datatypes::{Field, FieldRef, Fields, Schema, SchemaRef};
use azora_spec::limits::GuestLimits;
use std::collections::HashSet;
use std::sync::Arc;

/// A function bound to an input schema and a configuration. Clones are cheap; any number of instances may run.
#[derive(Debug, Clone)]
pub struct Transform(Arc<Bound>);

/// Everything that a fresh instance needs to be opened as the first one was.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) component: Component,
    pub(crate) function: String,
    pub(crate) config: String,
    pub(crate) limits: GuestLimits,
    /// The whole input, as the guest sees it.
    pub(crate) input: abi::Schema,
    /// The needed columns in plain types.
    pub(crate) needed: SchemaRef,
    pub(crate) answer: abi::Plan,
    pub(crate) plan: Plan,
}

impl Transform {
    pub(crate) fn bind(component: &Component, function: &str, input: &SchemaRef, config: &str, limits: GuestLimits) -> Result<Self> {
        let plain = schema::plain_schema(input)?;
        let lowered = schema::lower(&plain)?;
        let limits = component.clamp(limits);
        let mut guest = Guest::instantiate(component, limits, CancelFlag::new())?;
        let answer = guest.open(function, &lowered, config)?;
        let plan = Plan::check(&answer, input).map_err(|fault| Error::Guest { origin: component.origin(), call: "open", fault })?;
        let needed = plan.needs.iter().filter_map(|at| plain.fields().get(*at).cloned()).collect::<Fields>();
        Ok(Self(Arc::new(Bound {
            component: component.clone(),
            function: function.to_owned(),
            config: config.to_owned(),
            limits,
            input: lowered,
            needed: Arc::new(Schema::new(needed)),
            answer,
            plan,
        })))
    }

    /// What binding decided.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// A fresh instance for one partition.
    ///
    /// # Errors
    /// When the guest fails to start, or all instances are in use.
    pub fn start(&self) -> Result<Instance> {
        self.start_with(CancelFlag::new())
    }

    /// A fresh instance for one partition that stops when the flag is set.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(&self, cancel: CancelFlag) -> Result<Instance> {
        Instance::start(Arc::clone(&self.0), cancel)
    }
}

/// What a function does with columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The columns after the function: passed and made, in order.
    pub output: SchemaRef,
    /// The columns that the guest makes.
    pub made: SchemaRef,
    /// Where each output column comes from.
    pub columns: Vec<Column>,
    /// Indices of the input columns that the guest gets, in order.
    pub needs: Vec<usize>,
    /// Rows per call that the guest likes best; 0 for no wish.
    pub batch_rows: usize,
}

/// Where an output column comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// Index into the made columns.
    Made(usize),
    /// Index of an input column, and the name it gets.
    Passed {
        /// The input column.
        input: usize,
        /// Its name in the output.
        name: String,
    },
}

impl Plan {
    /// A guest's answer as a plan over `input`, if it is one.
    fn check(answer: &abi::Plan, input: &SchemaRef) -> std::result::Result<Self, Fault> {
        let flaw = |reason: String| Fault::Output { reason };
        let made = schema::lift(&answer.made).map_err(flaw)?;
        if answer.columns.len() > schema::FIELDS_MAX || answer.needs.len() > input.fields().len() {
            return Err(flaw("a plan with too many columns".to_owned()));
        }
        let needs: Vec<usize> = answer.needs.iter().map(|index| *index as usize).collect();
        if let Some(index) = needs.iter().find(|index| **index >= input.fields().len()) {
            return Err(flaw(format!("a plan that needs column {index} of {}", input.fields().len())));
        }
        let mut columns = Vec::with_capacity(answer.columns.len());
        let mut fields: Vec<FieldRef> = Vec::with_capacity(answer.columns.len());
        let mut names = HashSet::with_capacity(answer.columns.len());
        for column in &answer.columns {
            let (column, field) = match column {
                abi::Column::Made(index) => (Column::Made(*index as usize), made.fields().get(*index as usize).cloned()),
                abi::Column::Passed(abi::PassedColumn { input: index, name }) => {
                    let field = input.fields().get(*index as usize);
                    let is_name = (1..=schema::NAME_BYTES_MAX).contains(&name.len());
                    let field = field.filter(|_| is_name).map(|field| Arc::new(Field::clone(field).with_name(name.clone())));
                    (Column::Passed { input: *index as usize, name: name.clone() }, field)
                }
            };
            let field = field.ok_or_else(|| flaw("a plan with a column that is not there, or has no name".to_owned()))?;
            if !names.insert(field.name().clone()) {
                return Err(flaw(format!("a plan with two columns '{}'", field.name().escape_debug())));
            }
            columns.push(column);
            fields.push(field);
        }
        let output = Arc::new(Schema::new_with_metadata(fields, made.metadata().clone()));
        Ok(Self { output, made, columns, needs, batch_rows: answer.batch_rows as usize })
    }

    /// Whether input columns go to the output unchanged.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.columns.iter().any(|column| matches!(column, Column::Passed { .. }))
    }

    /// Puts the made columns and the input's passed columns together.
    ///
    /// # Errors
    /// When `processed` does not belong to `input`.
    pub fn assemble(&self, input: &RecordBatch, processed: Processed) -> Result<RecordBatch> {
        let Processed { made, kept } = processed;
        let pick = Pick::new(&kept, input.num_rows())?;
        let misfit = |reason: &str| Error::Input { reason: reason.to_owned() };
        let columns = self
            .columns
            .iter()
            .map(|column| match column {
                Column::Made(index) => made.columns().get(*index).cloned().ok_or_else(|| misfit("a made column is missing")),
                Column::Passed { input: index, .. } => {
                    let column = input.columns().get(*index).ok_or_else(|| misfit("a passed column is missing"))?;
                    pick.column(column)
                }
            })
            .collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(made.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options)
            .map_err(|error| Error::Input { reason: error.to_string() })
    }
}

/// How passed columns are picked; made once per batch.
enum Pick<'a> {
    All,
    Filter(arrow::compute::FilterPredicate),
    Take(&'a UInt32Array),
}

impl<'a> Pick<'a> {
    fn new(kept: &'a Kept, rows: usize) -> Result<Self> {
        match kept {
            Kept::All => Ok(Self::All),
            Kept::Bitmap(bits) if bits.len() == rows => {
                Ok(Self::Filter(FilterBuilder::new(&BooleanArray::new(bits.clone(), None)).optimize().build()))
            }
            Kept::Bitmap(_) => Err(Error::Input { reason: "the rows that were kept are another batch's".to_owned() }),
            Kept::Indices(indices) => Ok(Self::Take(indices)),
        }
    }

    fn column(&self, column: &ArrayRef) -> Result<ArrayRef> {
        let picked = match self {
            Self::All => return Ok(Arc::clone(column)),
            Self::Filter(predicate) => predicate.filter(column),
            Self::Take(indices) if indices.is_empty() => Ok(column.slice(0, 0)),
            Self::Take(indices) => take(column, *indices, None),
        };
        picked.map_err(|error| Error::Input { reason: error.to_string() })
    }
}

/// What one call made.
#[derive(Debug, Clone)]
pub struct Processed {
    /// The made columns.
    pub made: RecordBatch,
    /// Which input rows they belong to.
    pub kept: Kept,
}

/// Which input rows the output rows come from.
#[derive(Debug, Clone)]
pub enum Kept {
    /// Row i from row i.
    All,
    /// The rows whose bit is set.
    Bitmap(BooleanBuffer),
    /// For every output row the index of its input row.
    Indices(UInt32Array),
}

/// What an instance used since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls of `process` and `finish`.
    pub calls: u64,
    /// Rows handed in.
    pub rows_in: u64,
    /// Rows made.
    pub rows_out: u64,
    /// Bytes handed in.
    pub bytes_in: u64,
    /// Bytes taken out.
    pub bytes_out: u64,
    /// Wall time of the calls, copies and checks included.
    pub guest_ns: u64,
    /// Linear memory now.
    pub memory_bytes: usize,
    /// Log lines that were dropped for their bound.
    pub log_lines_dropped: u64,
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For the author.
    Debug,
    /// For the operator.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

/// One line that a guest logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// Its text, sanitised.
    pub text: String,
}

#[cfg(test)]
mod tests;
