//! Rows of both sides meet by key. Both are spread by key and sorted by key and place, so that equal keys lie in the same
//! partition of both, side by side, in the order of the input. Sorting spills; what is held beside it are the rows of one
//! key: of the right side for joins, of both for `cogroup`.

mod side;
mod slots;

use super::{KEY, LEFT, Plan, RIGHT, Sides, Two, TwoTask};
use crate::node::glom::lists;
use crate::node::{Exchange, batch};
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::Result;
use datafusion::physical_plan::metrics::BaselineMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlanProperties, SendableRecordBatchStream};
use futures::stream;
use side::Side;
use slots::{NONE, Place, Slots};
use std::cmp::Ordering;
use std::sync::Arc;

/// What becomes of the rows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every row of the left side with every row of the right side.
    Join {
        /// Whether rows of the left side without a partner stay.
        keeps_left: bool,
        /// The same for the right side.
        keeps_right: bool,
    },
    /// One row with a list of either side's values.
    Cogroup,
    /// The rows of the left side, where the right side has none.
    Without,
    /// The key once, where both sides have it.
    Common,
}

/// The operator. Its columns are the key, then, where the sides have them, the left and the right values.
#[derive(Debug)]
pub(crate) struct Meet {
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    /// How both sides are spread and sorted; into as many partitions.
    pub(crate) exchange: Exchange,
    /// The columns that the key is compared by: itself, or the leaves of its struct.
    pub(crate) leaves: Vec<String>,
}

impl Meet {
    fn fitting(&self, left: usize, right: usize) -> Exchange {
        self.exchange.fitting(left.max(right))
    }

    /// The field of a side's values as they come out.
    fn value(&self, side: &Schema, name: &str, is_outer: bool) -> Option<Field> {
        let (_, field) = side.column_with_name(name)?;
        Some(match self.outcome {
            Outcome::Cogroup => Field::new(name, DataType::List(item(field)), false),
            _ => field.clone().with_nullable(field.is_nullable() || is_outer),
        })
    }
}

fn item(value: &Field) -> FieldRef {
    Arc::new(value.clone().with_name("item"))
}

impl Two for Meet {
    fn name(&self) -> &'static str {
        self.name
    }

    fn fields(&self, left: &Schema, right: &Schema) -> Result<Fields> {
        let (key, other) = (left.field_with_name(KEY)?, right.field_with_name(KEY)?);
        let key = key.clone().with_nullable(key.is_nullable() || other.is_nullable());
        let (loses_left, loses_right) = match self.outcome {
            Outcome::Join { keeps_left, keeps_right } => (keeps_right, keeps_left),
            _ => (false, false),
        };
        let values = [self.value(left, LEFT, loses_left), self.value(right, RIGHT, loses_right)];
        Ok(std::iter::once(key).chain(values.into_iter().flatten()).map(Arc::new).collect())
    }

    fn partitions(&self, left: usize, right: usize) -> usize {
        self.fitting(left, right).partitions
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn assemble(&self, left: &Plan, right: &Plan) -> Result<Option<Sides<Plan>>> {
        let count = |plan: &Plan| plan.output_partitioning().partition_count();
        let exchange = self.fitting(count(left), count(right));
        Ok(Some([exchange.over(left)?, exchange.over(right)?]))
    }

    fn open(self: Arc<Self>, task: TwoTask) -> Result<SendableRecordBatchStream> {
        let [left, right] = &task.sides;
        let mut sorts = Vec::with_capacity(self.leaves.len());
        for leaf in &self.leaves {
            let data_type = left.schema().field_with_name(leaf)?.data_type().clone();
            // As the sorts below have it.
            sorts.push(SortField::new_with_options(data_type, SortOptions { descending: false, nulls_first: false }));
        }
        let converter = Arc::new(RowConverter::new(sorts)?);
        let side = |plan: &Plan, value| -> Result<Side> {
            let stream = plan.execute(task.partition, Arc::clone(&task.context))?;
            Side::new(stream, &plan.schema(), &self.leaves, value, Arc::clone(&converter))
        };
        let sides = [side(left, LEFT)?, side(right, RIGHT)?];
        let meeting = Meeting {
            slots: Slots::new(&sides, &task.context)?,
            sides,
            outcome: self.outcome,
            phase: Phase::Align,
            pending: Pending::default(),
            rows_max: task.context.session_config().batch_size().max(1),
            schema: Arc::clone(&task.schema),
            baseline: BaselineMetrics::new(&task.metrics, task.partition),
        };
        let rows = stream::try_unfold(meeting, |mut meeting| async move { Ok(meeting.next().await?.map(|rows| (rows, meeting))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(task.schema, rows)))
    }
}

const L: usize = 0;
const R: usize = 1;

/// Rows that are chosen but not put together.
#[derive(Debug, Default)]
struct Pending {
    keys: Vec<Place>,
    values: Sides<Vec<Place>>,
    /// Lengths of the lists of finished keys.
    lengths: Sides<Vec<usize>>,
}

impl Pending {
    fn rows(&self) -> usize {
        self.keys.len().max(self.values[L].len()).max(self.values[R].len())
    }

    fn push(&mut self, key: Place, left: Place, right: Place) {
        self.keys.push(key);
        self.values[L].push(left);
        self.values[R].push(right);
    }
}

enum Phase {
    /// The rows at which both sides stand are compared.
    Align,
    /// The right side's rows of a key are gathered.
    Run { key: OwnedRow, run: Vec<Place> },
    /// The left side's rows of a key go with all of the run.
    Product { key: OwnedRow, run: Vec<Place>, at: usize },
    /// The rows of a key become lists: values that were pending before it.
    Group { key: OwnedRow, before: Sides<usize> },
    /// The rows of a key are passed over.
    Skip { key: OwnedRow },
}

/// Why [`Meeting::step`] stopped.
enum Step {
    Load(usize),
    Full,
    End,
}

struct Meeting {
    sides: Sides<Side>,
    slots: Slots,
    outcome: Outcome,
    phase: Phase,
    pending: Pending,
    rows_max: usize,
    schema: SchemaRef,
    baseline: BaselineMetrics,
}

impl Meeting {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.step() {
                Step::Full => return self.flush().map(Some),
                Step::End if self.pending.rows() == 0 => return Ok(None),
                Step::End => return self.flush().map(Some),
                Step::Load(at) => {
                    if self.slots.is_crowded() && !matches!(self.phase, Phase::Group { .. }) {
                        if self.pending.rows() > 0 {
                            return self.flush().map(Some);
                        }
                        self.collect()?;
                    }
                    self.sides[at].load(&mut self.slots, at).await?;
                    tokio::task::coop::consume_budget().await;
                }
            }
        }
    }

    /// Goes on until rows are missing, or there are enough of them.
    fn step(&mut self) -> Step {
        loop {
            let [left, right] = &mut self.sides;
            match &mut self.phase {
                Phase::Align => {
                    if self.pending.rows() >= self.rows_max {
                        return Step::Full;
                    }
                    if let Some(at) = waiting(&self.sides) {
                        return Step::Load(at);
                    }
                    if !self.align() {
                        return Step::End;
                    }
                }
                Phase::Run { key, run } => {
                    if right.is_waiting() {
                        return Step::Load(R);
                    }
                    if right.is_at(key) {
                        run.push(right.next());
                    } else {
                        let (key, run) = (key.clone(), std::mem::take(run));
                        self.phase = Phase::Product { key, run, at: 0 };
                    }
                }
                Phase::Product { key, run, at } => {
                    if left.is_waiting() {
                        return Step::Load(L);
                    }
                    if !left.is_at(key) {
                        self.phase = Phase::Align;
                        continue;
                    }
                    let place = left.place();
                    while let Some(&partner) = run.get(*at) {
                        if self.pending.rows() >= self.rows_max {
                            return Step::Full;
                        }
                        self.pending.push(place, place, partner);
                        *at += 1;
                    }
                    left.next();
                    *at = 0;
                }
                Phase::Group { key, before } => {
                    if let Some(at) = follow(&mut self.sides, key, |at, place| self.pending.values[at].push(place)) {
                        return Step::Load(at);
                    }
                    for at in [L, R] {
                        self.pending.lengths[at].push(self.pending.values[at].len() - before[at]);
                    }
                    self.phase = Phase::Align;
                }
                Phase::Skip { key } => {
                    if let Some(at) = follow(&mut self.sides, key, |_, _| {}) {
                        return Step::Load(at);
                    }
                    self.phase = Phase::Align;
                }
            }
        }
    }

    /// Compares the rows at which both sides stand, and decides what happens next. False at the end of both.
    fn align(&mut self) -> bool {
        let [left, right] = &mut self.sides;
        let order = match (left.row(), right.row()) {
            (None, None) => return false,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => left.cmp(&right),
        };
        let key = |side: &Side| side.row().map(|row| row.owned());
        match (self.outcome, order) {
            (Outcome::Cogroup, _) => {
                let first = if order == Ordering::Greater { right } else { left };
                self.pending.keys.push(first.place());
                let before = [self.pending.values[L].len(), self.pending.values[R].len()];
                if let Some(key) = key(first) {
                    self.phase = Phase::Group { key, before };
                }
            }
            (Outcome::Join { keeps_left, .. }, Ordering::Less) => {
                let place = left.next();
                if keeps_left {
                    self.pending.push(place, place, NONE);
                }
            }
            (Outcome::Join { keeps_right, .. }, Ordering::Greater) => {
                let place = right.next();
                if keeps_right {
                    self.pending.push(place, NONE, place);
                }
            }
            (Outcome::Join { .. }, Ordering::Equal) => {
                if let Some(key) = key(left) {
                    self.phase = Phase::Run { key, run: Vec::new() };
                }
            }
            (Outcome::Without, Ordering::Less) => {
                let place = left.next();
                self.pending.push(place, place, NONE);
            }
            (Outcome::Common, Ordering::Less) => {
                left.next();
            }
            (Outcome::Without | Outcome::Common, Ordering::Greater) => {
                right.next();
            }
            (Outcome::Without | Outcome::Common, Ordering::Equal) => {
                if self.outcome == Outcome::Common {
                    self.pending.push(left.place(), NONE, NONE);
                }
                if let Some(key) = key(left) {
                    self.phase = Phase::Skip { key };
                }
            }
        }
        true
    }

    /// Puts the pending rows together.
    fn flush(&mut self) -> Result<RecordBatch> {
        let pending = std::mem::take(&mut self.pending);
        let rows = pending.keys.len();
        let mut columns: Vec<ArrayRef> = vec![self.slots.keys(&pending.keys)?];
        for (at, name) in [LEFT, RIGHT].into_iter().enumerate() {
            let Some((_, field)) = self.schema.column_with_name(name) else { continue };
            let values = self.slots.values(at, &pending.values[at])?;
            columns.push(match field.data_type() {
                DataType::List(item) if self.outcome == Outcome::Cogroup => {
                    Arc::new(lists(item, values, pending.lengths[at].iter().copied())?)
                }
                _ => values,
            });
        }
        self.collect()?;
        self.baseline.record_output(rows);
        batch(&self.schema, columns, rows)
    }

    /// Lets go of batches that nothing points to. Nothing may be pending.
    fn collect(&mut self) -> Result<()> {
        let mut nothing = Vec::new();
        let run = match &mut self.phase {
            Phase::Run { run, .. } | Phase::Product { run, .. } => run,
            _ => &mut nothing,
        };
        let [left, right] = &mut self.sides;
        self.slots.collect(run.iter_mut().map(|(slot, _)| slot).chain(left.slot()).chain(right.slot()))
    }
}

/// The first side that has no row at hand and is not at its end.
fn waiting(sides: &Sides<Side>) -> Option<usize> {
    sides.iter().position(Side::is_waiting)
}

/// Passes the rows of a key on both sides. Names the side that has to be loaded to go on.
fn follow(sides: &mut Sides<Side>, key: &OwnedRow, mut take: impl FnMut(usize, Place)) -> Option<usize> {
    for (at, side) in sides.iter_mut().enumerate() {
        loop {
            if side.is_waiting() {
                return Some(at);
            }
            if !side.is_at(key) {
                break;
            }
            take(at, side.next());
        }
    }
    None
}
