//! What rows are known by: a hash over what the inputs were when the job was planned, how it runs, and the operations
//! before. Two jobs with the same hash compute the same rows in the same partitions.

use super::Cache;
use crate::Error;
use crate::pins::InputPins;
use azora_spec::{DatasetName, Digest, Failure, Frame, FrameStep, Input, JobSpec, OnError, Operation};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// Which rows are let go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Release {
    /// Those that are known by a hash.
    Key(Digest),
    /// Those that were given a name.
    Name(DatasetName),
    /// All.
    All,
}

/// The part of the hash that all operations of a job share.
#[derive(Debug)]
pub(crate) struct CacheScope {
    pub(crate) cache: Arc<Cache>,
    base: String,
}

impl CacheScope {
    /// The scope of a job; none where it asks for nothing to be kept, or where what its connectors will read is not known
    /// beforehand: a database may answer the same question differently tomorrow.
    pub(crate) fn of(cache: &Arc<Cache>, spec: &JobSpec, input: &InputPins, others: &[InputPins]) -> Result<Option<Self>, Failure> {
        let is_unknown = |pins: &InputPins| matches!(pins, InputPins::Splits { .. });
        // Rows that are left out are counted, or are dead letters, of the job that reads them: each has to meet them itself.
        let leaves_out = spec.options.on_error != OnError::Fail || inputs(spec).any(is_tolerant);
        if !spec.operations.iter().any(asks) || leaves_out || std::iter::once(input).chain(others).any(is_unknown) {
            return Ok(None);
        }
        let written = |value: Result<Vec<u8>, serde_json::Error>| value.map_err(|_| Error::Broken("what is hashed is JSON"));
        let rows = match &spec.input {
            Input::Inline(rows) => Digest::of(&written(serde_json::to_vec(rows))?).to_string(),
            _ => String::new(),
        };
        let pins = Digest::of(&written(serde_json::to_vec(&(input, others)))?);
        Ok(Some(Self { cache: Arc::clone(cache), base: format!("{rows} {pins} {:?}", spec.options.guest) }))
    }

    /// What the rows behind some operations are known by. `partitions` is all that decides how many there are, `plugins` what
    /// references to plugins mean.
    pub(crate) fn key(&self, operations: &[Operation], partitions: (usize, usize), plugins: &BTreeMap<String, String>) -> Digest {
        let mut text = format!("{} {partitions:?} {plugins:?}", self.base);
        for operation in operations.iter().filter(|operation| !matches!(operation, Operation::Cache(_) | Operation::Unpersist(_))) {
            let written = match operation {
                Operation::Frame(frame) => write!(text, "{:?}", bare(frame)),
                other => write!(text, "{other:?}"),
            };
            // Writing to a text does not fail.
            let _is_written = written.is_ok();
        }
        Digest::of(text.as_bytes())
    }
}

/// All inputs of a job that its request names.
fn inputs(spec: &JobSpec) -> impl Iterator<Item = &Input> {
    std::iter::once(&spec.input).chain(spec.operations.iter().flat_map(second_inputs))
}

fn second_inputs(operation: &Operation) -> Vec<&Input> {
    match operation {
        Operation::Combine { other, .. } => vec![&other.input],
        Operation::Frame(frame) => frame.steps.iter().filter_map(FrameStep::other).collect(),
        Operation::Sql(query) => query.tables.values().collect(),
        _ => Vec::new(),
    }
}

/// Whether a source leaves out records that are no rows.
fn is_tolerant(input: &Input) -> bool {
    matches!(input, Input::Source { config, .. } if config.contains_key("badRecords"))
}

/// A frame without what is kept in it.
fn bare(frame: &Frame) -> Frame {
    let is_work = |step: &&FrameStep| !matches!(step, FrameStep::Cache(_) | FrameStep::Unpersist(_));
    let steps = frame.steps.iter().filter(is_work).cloned().collect();
    Frame { schema: frame.schema.clone(), steps, places: Vec::new(), functions: frame.functions.clone() }
}

fn asks(operation: &Operation) -> bool {
    match operation {
        Operation::Cache(_) | Operation::Unpersist(_) => true,
        Operation::Frame(frame) => frame.steps.iter().any(|step| matches!(step, FrameStep::Cache(_) | FrameStep::Unpersist(_))),
        _ => false,
    }
}

/// Whether a plan computes the same rows whenever it runs: no clock, no chance.
pub(crate) fn is_repeatable(plan: &LogicalPlan) -> bool {
    let mut is_repeatable = true;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let volatility = match expr {
                    Expr::ScalarFunction(call) => call.func.signature().volatility,
                    _ => Volatility::Immutable,
                };
                is_repeatable &= volatility == Volatility::Immutable;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.is_ok() && is_repeatable
}
