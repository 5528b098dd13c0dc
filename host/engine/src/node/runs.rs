//! Folds the values of each key. Rows are spread by key and sorted by key and place, so that equal keys lie side by side
//! and their values in the order of the input: the answer is the same for every run and every number of partitions.
//! Sorting spills, so memory does not bound how many keys there are.

use super::glom::lists;
use super::kernel::{Guest, GuestMetrics, Kernel};
use super::{Assembled, Exchange, Operator, Task, batch, position};
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array, make_comparator};
use datafusion::arrow::compute::{SortOptions, concat, partition, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::{Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::metrics::BaselineMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use futures::{StreamExt, stream};
use std::collections::VecDeque;
use std::sync::Arc;

/// What becomes of the values of one key.
#[derive(Debug)]
pub(crate) enum Fold {
    /// A list of them.
    Collect(FieldRef),
    /// A kernel that folds runs (`ReduceRuns`, `AggregateRuns`).
    Kernel(Arc<Kernel>),
}

/// Pairs to one pair per key.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) fold: Fold,
    pub(crate) exchange: Exchange,
    /// The key's column.
    pub(crate) key: String,
    /// The value's column.
    pub(crate) value: String,
    /// Where in the request its failures point.
    pub(crate) pointer: String,
}

impl Runs {
    fn made(&self) -> Result<Field> {
        match &self.fold {
            Fold::Collect(item) => Ok(Field::new(&self.value, DataType::List(Arc::clone(item)), false)),
            Fold::Kernel(kernel) => match kernel.plan().made.fields().as_ref() {
                [field] => Ok(field.as_ref().clone().with_name(&self.value).with_metadata(std::collections::HashMap::new())),
                _ => internal_err!("a fold makes one column"),
            },
        }
    }
}

impl Operator for Runs {
    fn name(&self) -> &'static str {
        "FoldByKey"
    }

    fn describe(&self) -> String {
        match &self.fold {
            Fold::Collect(_) => format!("collect, {}", self.exchange.describe()),
            Fold::Kernel(kernel) => format!("{}, {}", kernel.source.label, self.exchange.describe()),
        }
    }

    fn fields(&self, input: &Schema) -> Result<Fields> {
        let key = input.field(position(input, &self.key)?).clone();
        Ok(Fields::from(vec![key, self.made()?]))
    }

    fn needs(&self, input: &Schema, _: &[usize]) -> Result<Vec<usize>> {
        Ok((0..input.fields().len()).collect())
    }

    fn partitions(&self, input: usize) -> usize {
        self.exchange.fitting(input).partitions
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn assemble(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Assembled> {
        self.exchange.fitting(input.output_partitioning().partition_count()).over(input).map(Assembled::Inner)
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        let input = task.stream()?;
        let (key, value) = (position(&input.schema(), &self.key)?, position(&input.schema(), &self.value)?);
        let state: Box<dyn FoldRuns> = match &self.fold {
            Fold::Collect(item) => Box::new(Collecting::new(Arc::clone(item), &task.context)),
            Fold::Kernel(kernel) => Box::new(Guided {
                kernel: Arc::clone(kernel),
                context: Arc::clone(&task.context),
                pointer: self.pointer.clone(),
                metrics: GuestMetrics::new(&task.metrics, task.partition),
                guest: None,
                keys: VecDeque::new(),
            }),
        };
        let schema = Arc::clone(&task.schema);
        let running = Running {
            input,
            key,
            value,
            state,
            last: None,
            is_ended: false,
            schema: task.schema,
            baseline: BaselineMetrics::new(&task.metrics, task.partition),
        };
        let rows = stream::try_unfold(running, |mut running| async move { Ok(running.next().await?.map(|batch| (batch, running))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// Keys and folded values of finished runs.
type Pairs = (ArrayRef, ArrayRef);

/// Takes sorted rows and gives finished runs, in order.
trait FoldRuns: Send {
    /// `starts` has the rows at which a run starts; rows before the first go on with the run of the batch before.
    fn push(&mut self, keys: &ArrayRef, values: &ArrayRef, starts: &[u32]) -> Result<Option<Pairs>>;

    fn finish(&mut self) -> Result<Option<Pairs>>;
}

struct Running {
    input: SendableRecordBatchStream,
    key: usize,
    value: usize,
    state: Box<dyn FoldRuns>,
    /// The key of the last row.
    last: Option<ArrayRef>,
    is_ended: bool,
    schema: SchemaRef,
    baseline: BaselineMetrics,
}

impl Running {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.is_ended {
            let pairs = match self.input.next().await.transpose()? {
                Some(rows) if rows.num_rows() == 0 => continue,
                Some(rows) => {
                    let keys = rows.column(self.key);
                    let starts = self.starts(keys)?;
                    self.last = Some(keys.slice(keys.len() - 1, 1));
                    self.state.push(keys, rows.column(self.value), &starts)?
                }
                None => {
                    self.is_ended = true;
                    self.state.finish()?
                }
            };
            if let Some((keys, values)) = pairs.filter(|(keys, _)| !keys.is_empty()) {
                self.baseline.record_output(keys.len());
                let rows = keys.len();
                return batch(&self.schema, vec![keys, values], rows).map(Some);
            }
            tokio::task::coop::consume_budget().await;
        }
        Ok(None)
    }

    fn starts(&self, keys: &ArrayRef) -> Result<Vec<u32>> {
        if keys.data_type() == &DataType::Null {
            return Ok(if self.last.is_none() { vec![0] } else { Vec::new() });
        }
        let goes_on = match &self.last {
            Some(last) => make_comparator(last, keys, SortOptions::default())?(0, 0).is_eq(),
            None => false,
        };
        let runs = partition(std::slice::from_ref(keys))?.ranges();
        let starts = runs.into_iter().skip(usize::from(goes_on)).map(|run| u32::try_from(run.start).unwrap_or(u32::MAX));
        Ok(starts.collect())
    }
}

/// Runs through a guest. It never sees the keys: they wait here until their run comes out.
struct Guided {
    kernel: Arc<Kernel>,
    context: Arc<TaskContext>,
    pointer: String,
    metrics: GuestMetrics,
    guest: Option<Guest>,
    keys: VecDeque<ArrayRef>,
}

impl Guided {
    /// The keys of the oldest runs.
    fn pop(&mut self, mut count: usize) -> Result<ArrayRef> {
        let mut parts: Vec<ArrayRef> = Vec::new();
        while count > 0 {
            let Some(front) = self.keys.front_mut() else { return internal_err!("a fold answered more runs than it got") };
            if front.len() <= count {
                count -= front.len();
                parts.extend(self.keys.pop_front());
            } else {
                parts.push(front.slice(0, count));
                *front = front.slice(count, front.len() - count);
                count = 0;
            }
        }
        match parts.as_slice() {
            [] => internal_err!("no keys were asked for"),
            [one] => Ok(Arc::clone(one)),
            many => Ok(concat(&many.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())?),
        }
    }

    fn pairs(&mut self, made: &RecordBatch) -> Result<Option<Pairs>> {
        match made.columns() {
            _ if made.num_rows() == 0 => Ok(None),
            [values] => Ok(Some((self.pop(values.len())?, Arc::clone(values)))),
            _ => internal_err!("a fold makes one column"),
        }
    }
}

impl FoldRuns for Guided {
    fn push(&mut self, keys: &ArrayRef, values: &ArrayRef, starts: &[u32]) -> Result<Option<Pairs>> {
        if !starts.is_empty() {
            self.keys.push_back(take(keys, &UInt32Array::from(starts.to_vec()), None)?);
        }
        let mut flags = vec![false; values.len()];
        for &start in starts {
            if let Some(flag) = flags.get_mut(start as usize) {
                *flag = true;
            }
        }
        let flags: ArrayRef = Arc::new(BooleanArray::from(flags));
        let mut columns = Vec::with_capacity(2);
        for name in self.kernel.needed() {
            columns.push(Arc::clone(if name == crate::lambda::START { &flags } else { values }));
        }
        if self.guest.is_none() {
            self.guest = Some(self.kernel.start(&self.context, &self.metrics, (&self.pointer, &[]))?);
        }
        let Some(guest) = &mut self.guest else { return internal_err!("an instance that was started is missing") };
        let made = guest.process(&columns, values.len())?.made;
        self.pairs(&made)
    }

    fn finish(&mut self) -> Result<Option<Pairs>> {
        let Some(mut guest) = self.guest.take() else { return Ok(None) };
        let rest = guest.finish()?;
        let pairs = rest.map(|rest| self.pairs(&rest)).transpose()?.flatten();
        if self.keys.is_empty() { Ok(pairs) } else { internal_err!("a fold answered fewer runs than it got") }
    }
}

/// Runs as lists.
struct Collecting {
    item: FieldRef,
    /// Values of the run that is not finished yet.
    open: Vec<ArrayRef>,
    key: Option<ArrayRef>,
    reservation: MemoryReservation,
}

impl Collecting {
    fn new(item: FieldRef, context: &TaskContext) -> Self {
        Self { item, open: Vec::new(), key: None, reservation: MemoryConsumer::new("groupByKey").register(context.memory_pool()) }
    }

    /// The values that wait, behind them those of a batch.
    fn joined(&mut self, more: ArrayRef) -> Result<ArrayRef> {
        self.open.push(more);
        let parts = std::mem::take(&mut self.open);
        self.reservation.free();
        match parts.as_slice() {
            [one] => Ok(Arc::clone(one)),
            many => Ok(concat(&many.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())?),
        }
    }

    fn wait(&mut self, values: ArrayRef) -> Result<()> {
        if !values.is_empty() {
            // Twice: the run is copied once when it is finished.
            self.reservation.try_grow(2 * values.to_data().get_slice_memory_size()?)?;
            self.open.push(values);
        }
        Ok(())
    }
}

impl FoldRuns for Collecting {
    fn push(&mut self, keys: &ArrayRef, values: &ArrayRef, starts: &[u32]) -> Result<Option<Pairs>> {
        let (Some(&first), Some(&last)) = (starts.first(), starts.last()) else {
            self.wait(Arc::clone(values))?;
            return Ok(None);
        };
        let (first, last) = (first as usize, last as usize);
        let before: usize = self.open.iter().map(|part| part.len()).sum();
        let finished = self.joined(values.slice(0, last))?;
        let mut lengths: Vec<usize> = starts.windows(2).map(|pair| (pair[1] - pair[0]) as usize).collect();
        let inner = take(keys, &UInt32Array::from(starts[..starts.len() - 1].to_vec()), None)?;
        let keys_out = match self.key.replace(keys.slice(last, 1)) {
            Some(key) => {
                lengths.insert(0, before + first);
                concat(&[&key, &inner])?
            }
            None => inner,
        };
        self.wait(values.slice(last, values.len() - last))?;
        Ok(Some((keys_out, Arc::new(lists(&self.item, finished, lengths)?))))
    }

    fn finish(&mut self) -> Result<Option<Pairs>> {
        let (Some(key), Some(rest)) = (self.key.take(), self.open.pop()) else { return Ok(None) };
        let values = self.joined(rest)?;
        let length = values.len();
        Ok(Some((key, Arc::new(lists(&self.item, values, [length])?))))
    }
}
