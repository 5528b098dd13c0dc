//! One list per partition.

use super::{Operator, Task, batch};
use datafusion::arrow::array::{Array, ArrayRef, ListArray, RecordBatch, StructArray};
use datafusion::arrow::buffer::{OffsetBuffer, ScalarBuffer};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use datafusion::common::{Result, resources_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use std::sync::Arc;

/// `glom`: the whole partition becomes the one value of its only row.
#[derive(Debug)]
pub(crate) struct Glom {
    /// The list's items: the one column of scalars, or a struct of all columns.
    pub(crate) item: FieldRef,
    /// The column it makes.
    pub(crate) column: String,
    /// Whether the columns are packed into a struct first.
    pub(crate) is_packed: bool,
}

/// A list array of the given lengths over values.
pub(crate) fn lists(item: &FieldRef, values: ArrayRef, lengths: impl IntoIterator<Item = usize>) -> Result<ListArray> {
    let mut offsets = vec![0_i32];
    let mut end = 0_usize;
    for length in lengths {
        end += length;
        match i32::try_from(end) {
            Ok(end) => offsets.push(end),
            Err(_) => return resources_err!("a list of more than 2^31 elements"),
        }
    }
    Ok(ListArray::try_new(Arc::clone(item), OffsetBuffer::new(ScalarBuffer::from(offsets)), values, None)?)
}

impl Glom {
    fn value(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let values: ArrayRef = match (self.item.data_type(), rows.columns()) {
            (DataType::Struct(fields), columns) if self.is_packed => {
                Arc::new(StructArray::try_new_with_length(fields.clone(), columns.to_vec(), None, rows.num_rows())?)
            }
            (_, [column]) => Arc::clone(column),
            _ => return datafusion::common::internal_err!("scalars have one column"),
        };
        let length = values.len();
        Ok(Arc::new(lists(&self.item, values, [length])?))
    }
}

impl Operator for Glom {
    fn name(&self) -> &'static str {
        "Glom"
    }

    fn describe(&self) -> String {
        self.column.clone()
    }

    fn fields(&self, _: &Schema) -> Result<Fields> {
        Ok(Fields::from(vec![Field::new(&self.column, DataType::List(Arc::clone(&self.item)), false)]))
    }

    fn needs(&self, input: &Schema, _: &[usize]) -> Result<Vec<usize>> {
        Ok((0..input.fields().len()).collect())
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        let mut input = task.stream()?;
        let schema = Arc::clone(&task.schema);
        let rows = stream::once(async move {
            let reservation = MemoryConsumer::new("glom").register(task.context.memory_pool());
            let mut batches = Vec::new();
            while let Some(rows) = input.next().await {
                let rows = rows?;
                // Twice: once as it came, once in the list.
                reservation.try_grow(2 * rows.get_array_memory_size())?;
                batches.push(rows);
            }
            let whole = concat_batches(&task.input.schema(), &batches)?;
            batch(&task.schema, vec![self.value(&whole)?], 1)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
