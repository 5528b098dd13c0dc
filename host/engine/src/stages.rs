//! A plan seen as stages: the operators between two exchanges, and what their metrics say.

use crate::concat::ConcatExec;
use crate::stops::is_stoppable;
use crate::{Progress, StageUpdate};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::ExecutionPlanProperties;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The counter of time inside guests that transform nodes keep, in nanoseconds.
pub(crate) const GUEST_NS: &str = "guest_ns";

/// The counter of failed calls that transform nodes keep where a job goes on behind them.
pub(crate) const TRAPS: &str = "guest_traps";
/// The counter of rows that they left out.
pub(crate) const SKIPPED: &str = "skipped_rows";

/// The stages of one plan, the one that reads the input first.
#[derive(Debug)]
pub(crate) struct Stages {
    stages: Vec<Stage>,
    /// Rows and bytes that went into the sink, by partition.
    written: Mutex<BTreeMap<usize, (u64, u64)>>,
}

#[derive(Debug, Default)]
struct Stage {
    /// The highest operator first.
    nodes: Vec<Arc<dyn ExecutionPlan>>,
    /// Where rows come in: sources and exchanges.
    inputs: Vec<Arc<dyn ExecutionPlan>>,
}

impl Stages {
    pub(crate) fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        let mut stages = vec![Stage::default()];
        walk(plan, 0, &mut stages);
        stages.reverse();
        Self { stages, written: Mutex::default() }
    }

    /// Notes what a partition gave to the sink.
    pub(crate) fn wrote(&self, partition: usize, rows: u64, bytes: u64) {
        self.written.lock().insert(partition, (rows, bytes));
    }

    pub(crate) fn len(&self) -> usize {
        self.stages.len()
    }

    pub(crate) fn last_name(&self) -> &'static str {
        "output"
    }

    /// Sends the counters of all partitions. Those of the last stage's end are the runner's to send.
    pub(crate) fn report(&self, progress: &dyn Progress, is_done: bool) {
        for (at, stage) in self.stages.iter().enumerate() {
            let is_last = at + 1 == self.stages.len();
            let partitions = stage.partitions();
            let mut all = stage.counters();
            if is_last {
                for (partition, (rows, bytes)) in self.written.lock().iter() {
                    let counters = all.entry(*partition).or_default();
                    (counters.rows_out, counters.bytes) = (*rows, *bytes);
                }
            }
            for (partition, counters) in all {
                let update = StageUpdate {
                    stage: at,
                    stage_name: if is_last { self.last_name().to_owned() } else { stage.name() },
                    partition,
                    partitions,
                    rows_in: counters.rows_in,
                    rows_out: counters.rows_out,
                    bytes: counters.bytes,
                    guest_ns: counters.guest_ns,
                    traps: counters.traps,
                    skipped: counters.skipped,
                    is_done,
                };
                progress.update(update);
            }
        }
    }
}

fn walk(node: &Arc<dyn ExecutionPlan>, at: usize, stages: &mut Vec<Stage>) {
    let is_exchange = node.is::<RepartitionExec>()
        || node.is::<CoalescePartitionsExec>()
        || node.is::<SortPreservingMergeExec>()
        || node.is::<ConcatExec>()
        || crate::node::is_gather(node.as_ref());
    let children = node.children();
    // It counts nothing and does nothing to rows.
    let is_mere = is_stoppable(node.as_ref());
    if let Some(stage) = stages.get_mut(at).filter(|_| !is_mere) {
        if is_exchange || children.is_empty() {
            stage.inputs.push(Arc::clone(node));
        }
        if !is_exchange || stage.nodes.is_empty() {
            stage.nodes.push(Arc::clone(node));
        }
    }
    for child in children {
        let mut below = at;
        if is_exchange {
            below = stages.len();
            stages.push(Stage::default());
        }
        walk(child, below, stages);
    }
}

#[derive(Debug, Default)]
struct Counters {
    rows_in: u64,
    rows_out: u64,
    bytes: u64,
    guest_ns: u64,
    traps: u64,
    skipped: u64,
}

impl Stage {
    fn partitions(&self) -> usize {
        self.nodes.first().map_or(1, |node| node.output_partitioning().partition_count())
    }

    /// Operators from the input up, without repeating one.
    fn name(&self) -> String {
        let mut names: Vec<&str> = self.nodes.iter().rev().map(|node| plain_name(node.name())).collect();
        names.dedup();
        names.truncate(8);
        names.join(", ")
    }

    fn counters(&self) -> BTreeMap<usize, Counters> {
        let mut counters: BTreeMap<usize, Counters> = BTreeMap::new();
        if let Some(top) = self.nodes.first() {
            each(top, &mut counters, |value, counters| match value {
                MetricValue::OutputRows(rows) => counters.rows_out += rows.value() as u64,
                MetricValue::OutputBytes(bytes) => counters.bytes += bytes.value() as u64,
                _ => {}
            });
        }
        for input in &self.inputs {
            each(input, &mut counters, |value, counters| {
                if let MetricValue::OutputRows(rows) = value {
                    counters.rows_in += rows.value() as u64;
                }
            });
        }
        for node in &self.nodes {
            each(node, &mut counters, |value, counters| {
                let number = value.as_usize() as u64;
                match value.name() {
                    GUEST_NS => counters.guest_ns += number,
                    TRAPS => counters.traps += number,
                    SKIPPED => counters.skipped += number,
                    _ => {}
                }
            });
        }
        counters
    }
}

fn each(node: &Arc<dyn ExecutionPlan>, counters: &mut BTreeMap<usize, Counters>, add: impl Fn(&MetricValue, &mut Counters)) {
    for metric in node.metrics().iter().flat_map(|set| set.iter()) {
        if let Some(partition) = metric.partition() {
            add(metric.value(), counters.entry(partition).or_default());
        }
    }
}

/// A word for people in place of the name of a node.
fn plain_name(name: &str) -> &str {
    match name {
        "DataSourceExec" | "SourceExec" => "scan",
        "Transform" => "transform",
        "Reshape" | "ProjectionExec" => "select",
        "FilterExec" => "filter",
        "Total" | "Histogram" | "AggregateExec" => "aggregate",
        "FoldByKey" => "fold by key",
        "Sort" | "SortExec" => "sort",
        "Index" => "index",
        "Glom" => "glom",
        "Gather" | "ConcatExec" | "CoalescePartitionsExec" | "SortPreservingMergeExec" => "gather",
        "Exchange" | "RepartitionExec" => "exchange",
        "GlobalLimitExec" | "LocalLimitExec" => "take",
        other => other.strip_suffix("Exec").unwrap_or(other),
    }
}
