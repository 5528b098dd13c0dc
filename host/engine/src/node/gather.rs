//! Joins neighbouring partitions into fewer, keeping the order of rows: the first partition's rows come first.

use super::pass::window;
use super::{Assembled, Operator, Task};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Fields, Schema};
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use futures::{StreamExt, stream};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Batches that a partition may run ahead of the one being read.
const BATCHES_AHEAD: usize = 2;

/// `coalesce`, `take`, and the way from partial answers to one.
#[derive(Debug)]
pub(crate) struct Gather {
    /// Partitions after it; no more than there are before it.
    partitions: usize,
    /// Rows after which it stops.
    fetch: Option<usize>,
    /// Whether later partitions run while earlier ones are read.
    is_eager: bool,
}

impl Gather {
    pub(crate) const NAME: &'static str = "Gather";

    /// All rows in one partition, computed in parallel.
    pub(crate) const fn all() -> Self {
        Self { partitions: 1, fetch: None, is_eager: true }
    }

    /// The first rows; partitions run one after the other and stop when there are enough.
    pub(crate) const fn first(rows: usize) -> Self {
        Self { partitions: 1, fetch: Some(rows), is_eager: false }
    }

    /// At most so many partitions.
    pub(crate) const fn coalesce(partitions: usize) -> Self {
        Self { partitions, fetch: None, is_eager: true }
    }

    /// The input partitions that become one.
    fn share(&self, partition: usize, inputs: usize) -> Range<usize> {
        let outputs = self.partitions(inputs);
        partition * inputs / outputs..(partition + 1) * inputs / outputs
    }
}

impl Operator for Gather {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn describe(&self) -> String {
        let fetch = self.fetch.map(|rows| format!(", fetch={rows}")).unwrap_or_default();
        format!("partitions={}{fetch}", self.partitions)
    }

    fn fields(&self, input: &Schema) -> Result<Fields> {
        Ok(input.fields().clone())
    }

    fn needs(&self, _: &Schema, wanted: &[usize]) -> Result<Vec<usize>> {
        Ok(wanted.to_vec())
    }

    fn partitions(&self, input: usize) -> usize {
        self.partitions.min(input).max(1)
    }

    fn assemble(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Assembled> {
        let is_idle = self.fetch.is_none() && input.output_partitioning().partition_count() <= self.partitions;
        Ok(if is_idle { Assembled::Elide } else { Assembled::Plain })
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        let inputs = task.input.output_partitioning().partition_count();
        let share = self.share(task.partition, inputs);
        let is_spawned = self.is_eager && share.len() > 1;
        let joined = Joined {
            plan: task.input,
            context: task.context,
            waiting: share,
            running: VecDeque::new(),
            is_spawned,
            left: self.fetch.unwrap_or(usize::MAX),
        };
        let rows = stream::try_unfold(joined, |mut joined| async move { Ok(joined.next().await?.map(|batch| (batch, joined))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(task.schema, rows)))
    }
}

struct Joined {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    waiting: Range<usize>,
    running: VecDeque<SendableRecordBatchStream>,
    is_spawned: bool,
    left: usize,
}

impl Joined {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.left > 0 {
            self.start()?;
            let Some(stream) = self.running.front_mut() else { return Ok(None) };
            let Some(batch) = stream.next().await.transpose()? else {
                self.running.pop_front();
                continue;
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let kept = batch.num_rows().min(self.left);
            self.left -= kept;
            return Ok(Some(batch.slice(0, kept)));
        }
        // Enough rows: whatever still runs is stopped by letting go of it.
        self.running.clear();
        Ok(None)
    }

    fn start(&mut self) -> Result<()> {
        let limit = if self.is_spawned { window() } else { 1 };
        while self.running.len() < limit {
            let Some(partition) = self.waiting.next() else { break };
            let stream = self.plan.execute(partition, Arc::clone(&self.context))?;
            self.running.push_back(if self.is_spawned { spawn_buffered(stream, BATCHES_AHEAD) } else { stream });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Gather;

    #[test]
    fn neighbours_are_joined_and_none_is_lost() {
        for (outputs, inputs) in [(1, 1), (1, 7), (2, 5), (3, 8), (4, 4), (9, 4)] {
            let gather = Gather::coalesce(outputs);
            let shares: Vec<usize> = (0..outputs.min(inputs)).flat_map(|at| gather.share(at, inputs)).collect();
            assert_eq!(shares, (0..inputs).collect::<Vec<_>>(), "{inputs} into {outputs}");
        }
    }
}
