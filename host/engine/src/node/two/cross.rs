//! Every row of the left side with every row of the right side.

use super::{Plan, Sides, Two, TwoTask, bytes};
use crate::node::{Gather, NodeExec, batch, external};
use azora_spec::{Code, Failure, limits};
use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{concat_batches, take_arrays};
use datafusion::arrow::datatypes::{Fields, Schema, SchemaRef};
use datafusion::common::{Result, resources_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::metrics::BaselineMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use futures::{StreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// `cartesian`: the partitions are the left side's; the right side is held in memory once.
#[derive(Debug)]
pub(crate) struct Cross {
    /// Where in the request its failures point.
    pub(crate) pointer: String,
}

/// The right side's rows.
#[derive(Debug)]
pub(super) struct Whole {
    rows: RecordBatch,
    /// Pairs that all partitions have made or are about to.
    pairs: AtomicU64,
    _reservation: MemoryReservation,
}

impl Whole {
    async fn read(side: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<Self> {
        let reservation = MemoryConsumer::new("cartesian").register(context.memory_pool());
        let mut stream = side.execute(0, Arc::clone(context))?;
        let mut batches = Vec::new();
        while let Some(rows) = stream.next().await.transpose()? {
            // Twice: once as it came, once in the whole.
            reservation.try_grow(2 * bytes(&rows))?;
            batches.push(rows);
        }
        let rows = concat_batches(&side.schema(), &batches)?;
        if u32::try_from(rows.num_rows()).is_err() {
            return resources_err!("a side of a cartesian product of more than 2^32 rows");
        }
        Ok(Self { rows, pairs: AtomicU64::new(0), _reservation: reservation })
    }
}

impl Two for Cross {
    fn name(&self) -> &'static str {
        "cartesian"
    }

    fn fields(&self, left: &Schema, right: &Schema) -> Result<Fields> {
        Ok(left.fields().iter().chain(right.fields()).cloned().collect())
    }

    fn partitions(&self, left: usize, _: usize) -> usize {
        left
    }

    fn assemble(&self, left: &Plan, right: &Plan) -> Result<Option<Sides<Plan>>> {
        Ok(Some([Arc::clone(left), NodeExec::plan(Arc::new(Gather::all()), Arc::clone(right))?]))
    }

    fn open(self: Arc<Self>, task: TwoTask) -> Result<SendableRecordBatchStream> {
        let [left, _] = &task.sides;
        let (schema, input) = (Arc::clone(&task.schema), left.execute(task.partition, Arc::clone(&task.context))?);
        let crossing = Crossing {
            baseline: BaselineMetrics::new(&task.metrics, task.partition),
            rows_max: task.context.session_config().batch_size().max(1),
            operator: self,
            task,
            input,
            left: None,
            next: 0,
        };
        let rows = stream::try_unfold(crossing, |mut crossing| async move { Ok(crossing.next().await?.map(|rows| (rows, crossing))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

struct Crossing {
    operator: Arc<Cross>,
    task: TwoTask,
    input: SendableRecordBatchStream,
    left: Option<RecordBatch>,
    /// The next pair of the left batch: row of the left side by row of the right side.
    next: u64,
    rows_max: usize,
    baseline: BaselineMetrics,
}

impl Crossing {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let kept = Arc::clone(&self.task.kept);
        let whole = kept.rows.get_or_try_init(|| Whole::read(&self.task.sides[1], &self.task.context)).await?;
        let rights = whole.rows.num_rows() as u64;
        loop {
            if let Some(left) = self.left.take() {
                let pairs = left.num_rows() as u64 * rights;
                if self.next < pairs {
                    let end = pairs.min(self.next + self.rows_max as u64);
                    let made = pairs_of(&self.task.schema, &left, &whole.rows, self.next..end)?;
                    self.next = end;
                    self.left = Some(left);
                    self.baseline.record_output(made.num_rows());
                    return Ok(Some(made));
                }
            }
            let Some(left) = self.input.next().await.transpose()? else { return Ok(None) };
            let pairs = (left.num_rows() as u64).saturating_mul(rights);
            if whole.pairs.fetch_add(pairs, Ordering::Relaxed).saturating_add(pairs) > limits::CARTESIAN_ROWS_MAX {
                return Err(external(self.operator.too_many()));
            }
            (self.left, self.next) = (Some(left), 0);
            tokio::task::coop::consume_budget().await;
        }
    }
}

impl Cross {
    fn too_many(&self) -> Failure {
        let message = format!("'cartesian' makes more than {} pairs", limits::CARTESIAN_ROWS_MAX);
        Failure::new(Code::OperationInvalid, message).at(&self.pointer).hint("filter both sides first, or join them by a key")
    }
}

/// Some of the pairs of two batches.
fn pairs_of(schema: &SchemaRef, left: &RecordBatch, right: &RecordBatch, range: std::ops::Range<u64>) -> Result<RecordBatch> {
    let rights = right.num_rows() as u64;
    let rows = (range.end - range.start) as usize;
    let index = |of: fn(u64, u64) -> u64| -> UInt32Array { range.clone().map(|pair| of(pair, rights) as u32).collect() };
    let mut columns: Vec<ArrayRef> = take_arrays(left.columns(), &index(|pair, rights| pair / rights), None)?;
    columns.extend(take_arrays(right.columns(), &index(|pair, rights| pair % rights), None)?);
    batch(schema, columns, rows)
}
