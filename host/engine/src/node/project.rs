//! Takes elements apart and puts them together without touching values: rename, pick a part of a struct, pack columns
//! into one. Exact about names, nullability and nested metadata, where SQL expressions have rules of their own.

use super::{Operator, Task, batch, position};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray, make_array};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use std::sync::Arc;

/// Where an output column comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// An input column.
    Column(String),
    /// A child of a struct.
    Part(Box<Self>, usize),
    /// A struct of others, with the names and metadata of the output field's children.
    Pack(Vec<Self>),
}

impl Source {
    pub(crate) fn column(name: impl Into<String>) -> Self {
        Self::Column(name.into())
    }

    pub(crate) fn part(self, at: usize) -> Self {
        Self::Part(Box::new(self), at)
    }

    fn columns(&self, schema: &Schema, into: &mut Vec<usize>) -> Result<()> {
        match self {
            Self::Column(name) => into.push(position(schema, name)?),
            Self::Part(source, _) => source.columns(schema, into)?,
            Self::Pack(sources) => {
                for source in sources {
                    source.columns(schema, into)?;
                }
            }
        }
        Ok(())
    }

    fn is_there(&self, schema: &Schema) -> bool {
        self.columns(schema, &mut Vec::new()).is_ok()
    }

    fn read(&self, batch: &RecordBatch, data_type: Option<&DataType>) -> Result<ArrayRef> {
        match self {
            Self::Column(name) => Ok(Arc::clone(batch.column(position(&batch.schema(), name)?))),
            Self::Part(source, at) => {
                let whole = source.read(batch, None)?;
                match whole.as_struct_opt() {
                    Some(whole) => child(whole, *at),
                    None => internal_err!("a part was asked of a column that is not a struct"),
                }
            }
            Self::Pack(sources) => {
                let Some(DataType::Struct(fields)) = data_type else { return internal_err!("columns can only be packed into a struct") };
                let mut children = Vec::with_capacity(sources.len());
                for (source, field) in sources.iter().zip(fields) {
                    children.push(source.read(batch, Some(field.data_type()))?);
                }
                Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), children, None, batch.num_rows())?))
            }
        }
    }
}

/// A struct's child, null where the struct is.
fn child(whole: &StructArray, at: usize) -> Result<ArrayRef> {
    let Some(part) = whole.columns().get(at) else { return internal_err!("a struct lacks its part {at}") };
    if whole.null_count() == 0 || part.data_type() == &DataType::Null {
        return Ok(Arc::clone(part));
    }
    let nulls = NullBuffer::union(whole.nulls(), part.nulls());
    Ok(make_array(part.to_data().into_builder().nulls(nulls).build()?))
}

/// The operator: output fields, each with where it comes from.
#[derive(Debug)]
pub(crate) struct Project {
    columns: Vec<(FieldRef, Source)>,
}

impl Project {
    pub(crate) fn new(columns: impl IntoIterator<Item = (Field, Source)>) -> Self {
        // Metadata of columns is kept beside the plan, see `Relation`.
        let plain = |field: Field| Arc::new(field.with_metadata(std::collections::HashMap::new()));
        Self { columns: columns.into_iter().map(|(field, source)| (plain(field), source)).collect() }
    }

    fn present<'a>(&'a self, input: &'a Schema) -> impl Iterator<Item = &'a (FieldRef, Source)> {
        self.columns.iter().filter(|(_, source)| source.is_there(input))
    }
}

impl Operator for Project {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn describe(&self) -> String {
        format!("[{}]", self.columns.iter().map(|(field, _)| field.name().as_str()).collect::<Vec<_>>().join(", "))
    }

    fn fields(&self, input: &Schema) -> Result<Fields> {
        Ok(self.present(input).map(|(field, _)| Arc::clone(field)).collect())
    }

    fn needs(&self, input: &Schema, wanted: &[usize]) -> Result<Vec<usize>> {
        let mut needs = Vec::new();
        for (at, (_, source)) in self.present(input).enumerate() {
            if wanted.contains(&at) {
                source.columns(input, &mut needs)?;
            }
        }
        Ok(needs)
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        let input = task.stream()?;
        let schema = Arc::clone(&task.schema);
        let rows = input.map(move |rows| {
            let rows = rows?;
            let mut columns = Vec::with_capacity(schema.fields().len());
            for (field, source) in self.present(&rows.schema()) {
                columns.push(source.read(&rows, Some(field.data_type()))?);
            }
            batch(&schema, columns, rows.num_rows())
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(task.schema, rows)))
    }
}
