//! Rows through a guest: only the columns that it needs go in, the others are kept back and put beside what it made.

mod poison;

use super::kernel::{Guest, GuestMetrics, Keeper, Kernel, Origins};
use super::{Assembled, Gather, NodeExec, Operator, Task, batch, external};
use crate::letters::Slot;
use crate::relation::RunScope;
use azora_sandbox::{Kept, Origin, Processed};
use azora_spec::{Code, Failure, OnError};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{concat_batches, prep_null_mask_filter};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::{BaselineMetrics, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use futures::{StreamExt, stream};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Fewer rows than this wait for more before they are handed to a guest.
const ROWS_MIN: usize = 2048;
/// Most rows that are handed to a guest in one call.
const ROWS_MAX: usize = 128 << 10;
/// Most bytes that are handed to a guest in one call, unless one row has more.
const BYTES_MAX: usize = 64 << 20;
/// The part of a guest's memory that its input may take.
const MEMORY_SHARE: usize = 4;

/// What becomes of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The function's plan says it.
    Replace,
    /// All input columns stay, and the made ones come behind them under these names, or in the place of an input column
    /// of that name. Rows are one to one, or filtered.
    Keep(Vec<String>),
    /// All input columns stay, where the one made column is true.
    Predicate,
}

/// How partitions meet before the function sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// They do not: every partition has an instance of its own.
    Apart,
    /// All rows go to one instance, in the order of partitions.
    Together,
    /// The same, but one partition alone is the answer already.
    Combine,
}

/// The operator around a kernel.
#[derive(Debug)]
pub(crate) struct TransformOperator {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) mode: Mode,
    pub(crate) meeting: Meeting,
    /// Whether a partition without rows needs no instance: nothing comes from its end.
    pub(crate) is_stateless: bool,
    /// Whether it must make one row of every row: an upload's `map`, which is not trusted to.
    pub(crate) is_one_to_one: bool,
    /// What happens to rows on which it fails; only a function without a state between rows may go on without them.
    pub(crate) on_error: OnError,
    /// Where in the request its failures point; may be empty.
    pub(crate) pointer: String,
    /// Where each lambda of an interpreted chain stands, by its number; empty for the others.
    pub(crate) pointers: Vec<String>,
}

/// Where one output column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Made(usize),
    Passed(usize),
}

impl TransformOperator {
    /// Where one partition notes the rows that it leaves out.
    fn slot(self: &Arc<Self>, task: &Task) -> Option<Slot> {
        let scope = task.context.session_config().get_extension::<RunScope>()?;
        let source = if self.pointer.is_empty() { self.kernel.source.label.as_str() } else { self.pointer.as_str() };
        // Copies of the node in one plan share the operator.
        Some(scope.ledger.as_ref()?.slot(source, Arc::as_ptr(self) as usize, task.partition))
    }

    /// The failure of a function that does not do what it declared.
    fn untrue(&self, why: &str) -> DataFusionError {
        let code = match self.kernel.source.origin {
            Origin::Plugin => Code::PluginOutput,
            Origin::Lambda => Code::Internal,
        };
        external(Failure::new(code, format!("the function '{}' failed: {why}", self.kernel.source.function)).at(&self.pointer))
    }

    /// The output columns over an input, without those whose input column was dropped.
    fn slots(&self, input: &Schema) -> Result<Vec<(FieldRef, Column)>> {
        let passed = |at: usize, name: &str| {
            let field = input.field(at).clone().with_name(name).with_metadata(HashMap::new());
            (Arc::new(field), Column::Passed(at))
        };
        let made = |field: &Field, name: &str, at: usize| {
            let field = field.clone().with_name(name).with_metadata(HashMap::new());
            (Arc::new(field), Column::Made(at))
        };
        let mut slots = Vec::new();
        if self.mode == Mode::Replace {
            for column in self.kernel.columns() {
                let (origin, field) = column?;
                match origin {
                    Origins::Made(at) => slots.push(made(field, field.name(), at)),
                    Origins::Passed(name) => slots.extend(input.column_with_name(name).map(|(at, _)| passed(at, field.name()))),
                }
            }
            return Ok(slots);
        }
        slots.extend(input.fields().iter().enumerate().map(|(at, field)| passed(at, field.name())));
        let names = if let Mode::Keep(names) = &self.mode { names.as_slice() } else { &[] };
        for (at, (field, name)) in self.kernel.plan().made.fields().iter().zip(names).enumerate() {
            let slot = made(field, name, at);
            match slots.iter().position(|(present, _)| present.name() == name) {
                Some(present) => slots[present] = slot,
                None => slots.push(slot),
            }
        }
        Ok(slots)
    }
}

impl Operator for TransformOperator {
    fn name(&self) -> &'static str {
        "Transform"
    }

    fn describe(&self) -> String {
        let source = &self.kernel.source;
        let digest = source.digest.to_hex();
        let mode = match &self.mode {
            Mode::Replace => String::new(),
            Mode::Keep(names) => format!(", keep, made=[{}]", names.join(", ")),
            Mode::Predicate => ", predicate".to_owned(),
        };
        let needs: Vec<&str> = self.kernel.needed().collect();
        format!("{}, component={}, needs=[{}]{mode}", source.label, digest.get(..12).unwrap_or_default(), needs.join(", "))
    }

    fn fields(&self, input: &Schema) -> Result<Fields> {
        Ok(self.slots(input)?.into_iter().map(|(field, _)| field).collect())
    }

    fn needs(&self, input: &Schema, wanted: &[usize]) -> Result<Vec<usize>> {
        if self.on_error == OnError::DeadLetter {
            // A dead letter shows the whole row.
            return Ok((0..input.fields().len()).collect());
        }
        let mut needs = self.kernel.positions(input)?;
        for (at, (_, slot)) in self.slots(input)?.into_iter().enumerate() {
            if let Column::Passed(column) = slot
                && wanted.contains(&at)
            {
                needs.push(column);
            }
        }
        Ok(needs)
    }

    fn partitions(&self, input: usize) -> usize {
        if self.meeting == Meeting::Apart { input } else { 1 }
    }

    fn assemble(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Assembled> {
        let is_one = input.output_partitioning().partition_count() == 1;
        match (self.meeting, is_one) {
            (Meeting::Combine, true) => Ok(Assembled::Elide),
            (Meeting::Combine | Meeting::Together, false) => {
                NodeExec::plan(Arc::new(Gather::all()), Arc::clone(input)).map(Assembled::Inner)
            }
            (Meeting::Apart, _) | (Meeting::Together, true) => Ok(Assembled::Plain),
        }
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        let input = task.stream()?;
        let slots: Vec<Column> = self.slots(&task.input.schema())?.into_iter().map(|(_, slot)| slot).collect();
        let positions = self.kernel.positions(&task.input.schema())?;
        let limits = ChunkLimits::of(&self.kernel);
        let schema = Arc::clone(&task.schema);
        let running = Running {
            chunks: Chunks::new(limits, &positions, &slots, &task.input.schema(), self.on_error == OnError::DeadLetter)?,
            slot: self.slot(&task),
            row: 0,
            metrics: GuestMetrics::new(&task.metrics, task.partition),
            baseline: BaselineMetrics::new(&task.metrics, task.partition),
            operator: self,
            input,
            context: task.context,
            guest: None,
            schema: task.schema,
            stage: Stage::Reading,
        };
        let rows = stream::try_unfold(running, |mut running| async move { Ok(running.next().await?.map(|batch| (batch, running))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reading,
    Finishing,
    Done,
}

/// One partition on its way through one instance.
struct Running {
    operator: Arc<TransformOperator>,
    input: SendableRecordBatchStream,
    context: Arc<TaskContext>,
    guest: Option<Guest>,
    chunks: Chunks,
    /// Takes note of rows that are left out; none where nobody asks for them.
    slot: Option<Slot>,
    /// Rows of the partition in front of the chunk at hand.
    row: u64,
    schema: SchemaRef,
    metrics: GuestMetrics,
    baseline: BaselineMetrics,
    stage: Stage,
}

impl Running {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(chunk) = self.chunks.pop(self.stage != Stage::Reading)? {
                let made = self.process(&chunk)?;
                if made.num_rows() > 0 {
                    return Ok(Some(made));
                }
                // The thread is lent, not owned: others, and cancelling, must get their turn.
                tokio::task::coop::consume_budget().await;
                continue;
            }
            match self.stage {
                Stage::Reading => match self.input.next().await {
                    Some(rows) => self.chunks.push(&rows?)?,
                    None => self.stage = Stage::Finishing,
                },
                Stage::Finishing => {
                    self.stage = Stage::Done;
                    if let Some(rest) = self.finish()? {
                        return Ok(Some(rest));
                    }
                }
                Stage::Done => return Ok(None),
            }
        }
    }

    fn guest(&mut self) -> Result<&mut Guest> {
        if self.guest.is_none() {
            self.guest =
                Some(self.operator.kernel.start(&self.context, &self.metrics, (&self.operator.pointer, &self.operator.pointers))?);
        }
        match &mut self.guest {
            Some(guest) => Ok(guest),
            None => internal_err!("an instance that was started is missing"),
        }
    }

    fn process(&mut self, chunk: &RecordBatch) -> Result<RecordBatch> {
        let time = self.baseline.elapsed_compute().clone();
        let _timer = time.timer();
        if self.operator.on_error != OnError::Fail {
            return Ok(self.tolerant(chunk)?.record_output(&self.baseline));
        }
        let needed: Vec<ArrayRef> = self.chunks.needed.iter().map(|&at| Arc::clone(chunk.column(at))).collect();
        let processed = self.guest()?.process(&needed, chunk.num_rows())?;
        Ok(self.assemble(chunk, processed)?.record_output(&self.baseline))
    }

    fn assemble(&self, chunk: &RecordBatch, processed: Processed) -> Result<RecordBatch> {
        let Processed { made, kept } = processed;
        if self.operator.is_one_to_one && (made.num_rows() != chunk.num_rows() || !matches!(kept, Kept::All)) {
            return Err(self.operator.untrue("it is declared as a map, but does not make one row of every row"));
        }
        let passes = self.chunks.slots.iter().any(|slot| matches!(slot, Column::Passed(_)));
        let (keeper, rows) = if self.operator.mode == Mode::Predicate {
            let keeper = Keeper::of_mask(mask(&made)?);
            let rows = keeper.rows(chunk.num_rows());
            (keeper, rows)
        } else if passes {
            let keeper = Keeper::new(kept, chunk.num_rows())?;
            let rows = keeper.rows(chunk.num_rows());
            if !made.columns().is_empty() && made.num_rows() != rows {
                return Err(self.operator.untrue("the columns it made do not line up with those it passed"));
            }
            (keeper, rows)
        } else {
            (Keeper::All, made.num_rows())
        };
        let mut columns = Vec::with_capacity(self.chunks.slots.len());
        for slot in &self.chunks.slots {
            columns.push(match *slot {
                Column::Made(at) => Arc::clone(made.column(at)),
                Column::Passed(at) => keeper.keep(chunk.column(at))?,
            });
        }
        batch(&self.schema, columns, rows)
    }

    fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if self.guest.is_none() && self.operator.is_stateless {
            return Ok(None);
        }
        let time = self.baseline.elapsed_compute().clone();
        let _timer = time.timer();
        let rest = self.guest()?.finish()?;
        self.guest = None;
        let Some(rest) = rest.filter(|rest| rest.num_rows() > 0) else { return Ok(None) };
        let mut columns = Vec::with_capacity(self.chunks.slots.len());
        for slot in &self.chunks.slots {
            match *slot {
                Column::Made(at) => columns.push(Arc::clone(rest.column(at))),
                Column::Passed(_) => return internal_err!("rows at the end of a partition that passes columns"),
            }
        }
        self.baseline.record_output(rest.num_rows());
        batch(&self.schema, columns, rest.num_rows()).map(Some)
    }
}

/// The one column of booleans, null as false.
fn mask(made: &RecordBatch) -> Result<BooleanArray> {
    match made.columns() {
        [column] if column.data_type() == &DataType::Boolean => {
            let mask = column.as_boolean();
            Ok(if mask.null_count() > 0 { prep_null_mask_filter(mask) } else { mask.clone() })
        }
        _ => internal_err!("a predicate makes one column of booleans"),
    }
}

#[derive(Debug, Clone, Copy)]
struct ChunkLimits {
    rows_min: usize,
    rows_max: usize,
    bytes_max: usize,
}

impl ChunkLimits {
    fn of(kernel: &Kernel) -> Self {
        let wish = kernel.plan().batch_rows;
        let rows_max = if wish == 0 { ROWS_MAX } else { wish.min(ROWS_MAX) };
        let rows_min = if wish == 0 { ROWS_MIN } else { rows_max };
        Self { rows_min, rows_max, bytes_max: BYTES_MAX.min(kernel.limits.memory_bytes_max / MEMORY_SHARE).max(1) }
    }
}

/// Batches of a size that suits a guest, holding only the columns in use.
struct Chunks {
    limits: ChunkLimits,
    /// Positions of the columns in use in the input.
    used: Vec<usize>,
    schema: SchemaRef,
    /// Positions of the needed columns among those in use.
    needed: Vec<usize>,
    /// Output columns, passed ones as positions among those in use.
    slots: Vec<Column>,
    /// Rows that wait for more.
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    ready: VecDeque<RecordBatch>,
}

impl Chunks {
    fn new(limits: ChunkLimits, positions: &[usize], slots: &[Column], input: &Schema, is_whole: bool) -> Result<Self> {
        let passed = slots.iter().filter_map(|slot| if let Column::Passed(at) = slot { Some(*at) } else { None });
        let mut used: Vec<usize> = positions.iter().copied().chain(passed).collect();
        if is_whole {
            used = (0..input.fields().len()).collect();
        }
        used.sort_unstable();
        used.dedup();
        let place = |at: usize| used.partition_point(|&other| other < at);
        let needed = positions.iter().map(|&at| place(at)).collect();
        let slots = slots.iter().map(|&slot| if let Column::Passed(at) = slot { Column::Passed(place(at)) } else { slot }).collect();
        let schema = Arc::new(input.project(&used)?);
        Ok(Self { limits, used, schema, needed, slots, waiting: Vec::new(), waiting_rows: 0, ready: VecDeque::new() })
    }

    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let rows = rows.project(&self.used)?;
        if rows.num_rows() >= self.limits.rows_min {
            self.flush()?;
            self.split(&rows)?;
            return Ok(());
        }
        self.waiting_rows += rows.num_rows();
        self.waiting.push(rows);
        if self.waiting_rows >= self.limits.rows_min { self.flush() } else { Ok(()) }
    }

    fn pop(&mut self, is_ended: bool) -> Result<Option<RecordBatch>> {
        if self.ready.is_empty() && is_ended {
            self.flush()?;
        }
        Ok(self.ready.pop_front())
    }

    fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_rows = 0;
        match waiting.as_slice() {
            [] => Ok(()),
            [rows] => self.split(rows),
            many => self.split(&concat_batches(&self.schema, many)?),
        }
    }

    fn split(&mut self, rows: &RecordBatch) -> Result<()> {
        let bytes = self.needed_bytes(rows)?;
        let by_bytes = bytes.div_ceil(self.limits.bytes_max).max(1);
        let chunk = rows.num_rows().div_ceil(by_bytes).min(self.limits.rows_max).max(1);
        let mut at = 0;
        while at < rows.num_rows() {
            let length = chunk.min(rows.num_rows() - at);
            self.ready.push_back(rows.slice(at, length));
            at += length;
        }
        Ok(())
    }

    fn needed_bytes(&self, rows: &RecordBatch) -> Result<usize> {
        let mut bytes = 0;
        for &at in &self.needed {
            bytes += rows.column(at).to_data().get_slice_memory_size()?;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{ChunkLimits, Chunks, Column};
    use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use std::sync::Arc;

    fn rows(from: i64, to: i64) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("a", DataType::Utf8, false), Field::new("b", DataType::Int64, false)]);
        let texts = StringArray::from_iter_values((from..to).map(|row| format!("row {row:06}")));
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(texts), Arc::new(Int64Array::from_iter_values(from..to))]).unwrap()
    }

    fn sizes(limits: ChunkLimits, needed: usize, batches: &[(i64, i64)]) -> Vec<usize> {
        let schema = rows(0, 1).schema();
        let mut chunks = Chunks::new(limits, &[needed], &[Column::Passed(needed)], &schema, false).unwrap();
        let mut sizes = Vec::new();
        for &(from, to) in batches {
            chunks.push(&rows(from, to)).unwrap();
            while let Some(chunk) = chunks.pop(false).unwrap() {
                assert_eq!(chunk.num_columns(), 1);
                sizes.push(chunk.num_rows());
            }
        }
        while let Some(chunk) = chunks.pop(true).unwrap() {
            sizes.push(chunk.num_rows());
        }
        sizes
    }

    #[test]
    fn small_batches_are_joined_and_large_ones_cut() {
        let limits = ChunkLimits { rows_min: 10, rows_max: 100, bytes_max: 1 << 20 };
        assert_eq!(sizes(limits, 1, &[(0, 3), (3, 6), (6, 11), (11, 12)]), [11, 1]);
        assert_eq!(sizes(limits, 1, &[(0, 3), (3, 253)]), [3, 100, 100, 50]);
        assert_eq!(sizes(limits, 1, &[]), [0; 0]);
    }

    #[test]
    fn wide_rows_are_cut_by_bytes() {
        let limits = ChunkLimits { rows_min: 1, rows_max: 1000, bytes_max: 400 };
        let found = sizes(limits, 0, &[(0, 100)]);
        assert!(found.len() > 3 && found.iter().sum::<usize>() == 100, "{found:?}");
        assert_eq!(sizes(ChunkLimits { bytes_max: 1, ..limits }, 0, &[(0, 3)]), [1, 1, 1]);
    }
}
