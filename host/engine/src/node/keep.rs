//! Rows that pass by are kept for later jobs, or read where an earlier job kept them. What is kept, and for how long, is
//! `cache`'s business.

use super::{Operator, Task, external};
use crate::cache::{Cache, Kept, Known, Recorder, Recording};
use datafusion::arrow::datatypes::{Fields, Schema};
use datafusion::common::Result;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlanProperties, SendableRecordBatchStream};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use std::sync::Arc;

/// `cache` and `persist`.
#[derive(Debug)]
pub(crate) struct Keep {
    cache: Arc<Cache>,
    known: Known,
    /// What this plan keeps, from its first partition on.
    recording: Mutex<Option<Arc<Recording>>>,
}

impl Keep {
    pub(crate) const fn new(cache: Arc<Cache>, known: Known) -> Self {
        Self { cache, known, recording: Mutex::new(None) }
    }

    /// Keeps one partition; none where another job is about to, or the rows are there.
    fn recorder(&self, task: &Task, partitions: usize) -> Option<Recorder> {
        let mut recording = self.recording.lock();
        if recording.is_none() {
            *recording = self.cache.record(&self.known, &task.schema, partitions);
        }
        recording.as_ref().map(|recording| Recorder::new(Arc::clone(recording), task.partition, &task.schema))
    }
}

impl Operator for Keep {
    fn name(&self) -> &'static str {
        "Keep"
    }

    fn describe(&self) -> String {
        let digest = self.known.key.to_hex();
        format!("{}, {}", self.known.level.as_str(), digest.get(..12).unwrap_or_default())
    }

    fn fields(&self, input: &Schema) -> Result<Fields> {
        Ok(input.fields().clone())
    }

    /// All columns: the next job may want others.
    fn needs(&self, input: &Schema, _: &[usize]) -> Result<Vec<usize>> {
        Ok((0..input.fields().len()).collect())
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        let partitions = task.input.output_partitioning().partition_count();
        let schema = Arc::clone(&task.schema);
        if let Some(kept) = self.cache.find(&self.known.key, &schema, partitions) {
            return Ok(read(&kept, &task));
        }
        let passing = (task.stream()?, self.recorder(&task, partitions));
        let rows = stream::try_unfold(passing, |(mut input, mut recorder)| async move {
            match input.next().await.transpose()? {
                Some(batch) => {
                    if let Some(recorder) = &mut recorder {
                        recorder.write(&batch);
                    }
                    Ok(Some((batch, (input, recorder))))
                }
                None => {
                    if let Some(recorder) = recorder {
                        recorder.finish();
                    }
                    Ok(None)
                }
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

fn read(kept: &Arc<Kept>, task: &Task) -> SendableRecordBatchStream {
    let schema = Arc::clone(&task.schema);
    let rows = match kept.parts.get(task.partition) {
        Some(part) => part.read(),
        None => stream::empty().boxed(),
    };
    // Nullability may be told more narrowly than it was when the rows were kept.
    let dressed = Arc::clone(&schema);
    let rows = rows.map_err(external).and_then(move |batch| {
        let rows = batch.num_rows();
        let (_, columns, _) = batch.into_parts();
        futures::future::ready(super::batch(&dressed, columns, rows))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}
