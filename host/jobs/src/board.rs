//! What a live job shows of itself: state, times, counters. Written by its task and its run, read by anybody.

use crate::options::PARTITIONS_SHOWN_MAX;
use crate::views::{OutputView, PartitionView, StageView};
use azora_engine::{Refused, StageUpdate};
use azora_spec::{DatasetName, Failure, JobState};
use azora_store::{PartitionRecord, RefusedRecord, StageRecord};
use std::collections::BTreeMap;

/// Partitions whose counters are kept; what comes beyond it is left out of the totals.
const PARTITIONS_TRACKED_MAX: usize = 65_536;
/// Partitions of all stages together that are kept with an ended job.
const PARTITIONS_KEPT_MAX: usize = 256;

/// The board.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) state: JobState,
    pub(crate) attempts: u32,
    pub(crate) planned_at_ms: Option<u64>,
    pub(crate) started_at_ms: Option<u64>,
    pub(crate) ended_at_ms: Option<u64>,
    pub(crate) is_cancel_requested: bool,
    pub(crate) partitions: Option<usize>,
    pub(crate) partitions_prepared: usize,
    /// How often the plan was replaced by another one.
    pub(crate) revision: u32,
    pub(crate) failure: Option<Failure>,
    pub(crate) output: Option<OutputView>,
    pub(crate) has_result: bool,
    pub(crate) stages: Stages,
    /// What was left out so far.
    pub(crate) refused: Vec<Refused>,
    /// The dataset that keeps it.
    pub(crate) dead_letters: Option<DatasetName>,
}

impl Board {
    pub(crate) fn new(state: JobState, attempts: u32) -> Self {
        Self {
            state,
            attempts,
            planned_at_ms: None,
            started_at_ms: None,
            ended_at_ms: None,
            is_cancel_requested: false,
            partitions: None,
            partitions_prepared: 0,
            revision: 0,
            failure: None,
            output: None,
            has_result: false,
            stages: Stages::default(),
            refused: Vec::new(),
            dead_letters: None,
        }
    }
}

impl Board {
    /// What was left out, as it is kept with an ended job.
    pub(crate) fn refused_records(&self) -> Vec<RefusedRecord> {
        let record = |refused: &Refused| RefusedRecord {
            code: refused.code.as_str().to_owned(),
            reason: refused.reason.clone(),
            rows: refused.rows,
        };
        self.refused.iter().map(record).collect()
    }
}

/// Counters by stage and partition.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    stages: BTreeMap<usize, Stage>,
    n_tracked: usize,
}

#[derive(Debug, Default)]
struct Stage {
    name: String,
    n_partitions: usize,
    partitions: BTreeMap<usize, PartitionView>,
}

impl Stages {
    /// Takes an update in place of the one before it.
    pub(crate) fn update(&mut self, update: StageUpdate) {
        let stage = self.stages.entry(update.stage).or_default();
        stage.name = update.stage_name;
        stage.n_partitions = update.partitions;
        if !stage.partitions.contains_key(&update.partition) {
            if self.n_tracked >= PARTITIONS_TRACKED_MAX {
                return;
            }
            self.n_tracked += 1;
        }
        let view = PartitionView {
            partition: update.partition,
            is_done: update.is_done,
            rows_in: update.rows_in,
            rows_out: update.rows_out,
            bytes: update.bytes,
            guest_ns: update.guest_ns,
            traps: update.traps,
            skipped: update.skipped,
        };
        stage.partitions.insert(update.partition, view);
    }

    /// Forgets everything, for a run that begins anew.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Totals and the first partitions of each stage.
    pub(crate) fn views(&self) -> Vec<StageView> {
        self.stages.iter().map(|(at, stage)| stage.view(*at)).collect()
    }

    /// As they are kept with an ended job: totals, and partitions within a bound.
    pub(crate) fn records(&self) -> Vec<StageRecord> {
        let mut left = PARTITIONS_KEPT_MAX;
        let record = |view: StageView| StageRecord {
            details: {
                let details: Vec<_> = view.partition_views.iter().take(left).map(partition_record).collect();
                left -= details.len();
                details
            },
            traps: view.traps,
            skipped: view.skipped,
            stage: view.stage,
            name: view.name,
            partitions: view.partitions,
            partitions_done: view.partitions_done,
            rows_in: view.rows_in,
            rows_out: view.rows_out,
            bytes: view.bytes,
            guest_ns: view.guest_ns,
        };
        self.views().into_iter().map(record).collect()
    }
}

impl Stage {
    fn view(&self, at: usize) -> StageView {
        let mut view = StageView { stage: at, name: self.name.clone(), partitions: self.n_partitions, ..StageView::default() };
        for partition in self.partitions.values() {
            view.partitions_done += usize::from(partition.is_done);
            view.rows_in += partition.rows_in;
            view.rows_out += partition.rows_out;
            view.bytes += partition.bytes;
            view.guest_ns += partition.guest_ns;
            view.traps += partition.traps;
            view.skipped += partition.skipped;
        }
        view.partition_views = self.partitions.values().take(PARTITIONS_SHOWN_MAX).cloned().collect();
        view
    }
}

/// A stage that was kept with an ended job.
pub(crate) fn view_of(record: StageRecord) -> StageView {
    StageView {
        stage: record.stage,
        name: record.name,
        partitions: record.partitions,
        partitions_done: record.partitions_done,
        rows_in: record.rows_in,
        rows_out: record.rows_out,
        bytes: record.bytes,
        guest_ns: record.guest_ns,
        traps: record.traps,
        skipped: record.skipped,
        partition_views: record.details.into_iter().map(partition_view).collect(),
    }
}

fn partition_record(view: &PartitionView) -> PartitionRecord {
    PartitionRecord {
        partition: view.partition,
        is_done: view.is_done,
        rows_in: view.rows_in,
        rows_out: view.rows_out,
        bytes: view.bytes,
        guest_ns: view.guest_ns,
        traps: view.traps,
        skipped: view.skipped,
    }
}

fn partition_view(record: PartitionRecord) -> PartitionView {
    PartitionView {
        partition: record.partition,
        is_done: record.is_done,
        rows_in: record.rows_in,
        rows_out: record.rows_out,
        bytes: record.bytes,
        guest_ns: record.guest_ns,
        traps: record.traps,
        skipped: record.skipped,
    }
}
