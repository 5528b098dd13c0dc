//! Rows of both sides side by side, by their place.

use super::{Plan, Sides, Two, TwoTask};
use crate::node::{Gather, NodeExec, batch, external};
use azora_spec::{Code, Failure};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Fields, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::BaselineMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use std::sync::Arc;

/// `zip`: the sides are computed in parallel, and meet in one partition in the order of their rows.
#[derive(Debug)]
pub(crate) struct Zip {
    /// Where in the request its failures point.
    pub(crate) pointer: String,
}

impl Two for Zip {
    fn name(&self) -> &'static str {
        "zip"
    }

    fn fields(&self, left: &Schema, right: &Schema) -> Result<Fields> {
        Ok(left.fields().iter().chain(right.fields()).cloned().collect())
    }

    fn partitions(&self, _: usize, _: usize) -> usize {
        1
    }

    fn assemble(&self, left: &Plan, right: &Plan) -> Result<Option<Sides<Plan>>> {
        let gathered = |side: &Plan| NodeExec::plan(Arc::new(Gather::all()), Arc::clone(side));
        Ok(Some([gathered(left)?, gathered(right)?]))
    }

    fn open(self: Arc<Self>, task: TwoTask) -> Result<SendableRecordBatchStream> {
        let [left, right] = &task.sides;
        let schema = Arc::clone(&task.schema);
        let zipping = Zipping {
            left: Side::new(left.execute(0, Arc::clone(&task.context))?),
            right: Side::new(right.execute(0, Arc::clone(&task.context))?),
            rows: 0,
            baseline: BaselineMetrics::new(&task.metrics, task.partition),
            schema: task.schema,
            pointer: self.pointer.clone(),
        };
        let rows = stream::try_unfold(zipping, |mut zipping| async move { Ok(zipping.next().await?.map(|rows| (rows, zipping))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// One side: rows that came and were not given out.
struct Side {
    stream: SendableRecordBatchStream,
    rows: Option<RecordBatch>,
}

impl Side {
    fn new(stream: SendableRecordBatchStream) -> Self {
        Self { stream, rows: None }
    }

    /// How many rows are there now; 0 at the end.
    async fn ready(&mut self) -> Result<usize> {
        while self.rows.as_ref().is_none_or(|rows| rows.num_rows() == 0) {
            match self.stream.next().await.transpose()? {
                Some(rows) => self.rows = Some(rows),
                None => return Ok(0),
            }
        }
        Ok(self.rows.as_ref().map_or(0, RecordBatch::num_rows))
    }

    fn take(&mut self, count: usize) -> Option<RecordBatch> {
        let rows = self.rows.take()?;
        self.rows = Some(rows.slice(count, rows.num_rows() - count));
        Some(rows.slice(0, count))
    }
}

struct Zipping {
    left: Side,
    right: Side,
    rows: u64,
    schema: SchemaRef,
    baseline: BaselineMetrics,
    pointer: String,
}

impl Zipping {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let (lefts, rights) = (self.left.ready().await?, self.right.ready().await?);
        let count = match (lefts, rights) {
            (0, 0) => return Ok(None),
            (0, _) => return Err(self.uneven("first")),
            (_, 0) => return Err(self.uneven("second")),
            (lefts, rights) => lefts.min(rights),
        };
        let (Some(left), Some(right)) = (self.left.take(count), self.right.take(count)) else { return Ok(None) };
        self.rows += count as u64;
        self.baseline.record_output(count);
        batch(&self.schema, left.columns().iter().chain(right.columns()).cloned().collect(), count).map(Some)
    }

    fn uneven(&self, shorter: &str) -> datafusion::error::DataFusionError {
        let message = format!("'zip' needs as many elements on both sides, and the {shorter} one ends after {}", self.rows);
        external(
            Failure::new(Code::OperationInvalid, message).at(&self.pointer).hint("cut both sides to one length, or join them by an index"),
        )
    }
}
