//! Columns under other types: those on which both inputs of an operation agree, see `plan::unify`. A value that the other
//! type cannot hold exactly fails the job; it never becomes another value.

use super::{Operator, Task, batch, external};
use azora_spec::{Code, Failure};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, new_null_array};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type, Schema};
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use std::collections::HashMap;
use std::sync::Arc;

/// Integers up to this are exact as Float64.
const EXACT_MAX: i64 = 1 << 53;

/// The operator.
#[derive(Debug)]
pub(crate) struct Fit {
    /// The columns after it, by name; the flag says that the input has no such column, and it is null throughout.
    columns: Vec<(FieldRef, bool)>,
    /// Where in the request its failures point.
    pointer: String,
}

impl Fit {
    /// The columns of a schema, and no others.
    pub(crate) fn new(input: &Schema, columns: impl IntoIterator<Item = Field>, pointer: &str) -> Self {
        let column = |field: Field| {
            let is_absent = input.column_with_name(field.name()).is_none();
            // Metadata of columns is kept beside the plan, see `Relation`.
            (Arc::new(field.with_metadata(HashMap::new())), is_absent)
        };
        Self { columns: columns.into_iter().map(column).collect(), pointer: pointer.to_owned() }
    }

    /// Without the columns that the optimizer dropped below.
    fn present<'a>(&'a self, input: &'a Schema) -> impl Iterator<Item = &'a FieldRef> {
        let is_there = |(field, is_absent): &&(FieldRef, bool)| *is_absent || input.column_with_name(field.name()).is_some();
        self.columns.iter().filter(is_there).map(|(field, _)| field)
    }
}

impl Operator for Fit {
    fn name(&self) -> &'static str {
        "Fit"
    }

    fn describe(&self) -> String {
        self.columns.iter().map(|(field, _)| format!("{}: {}", field.name(), field.data_type())).collect::<Vec<_>>().join(", ")
    }

    fn fields(&self, input: &Schema) -> Result<Fields> {
        Ok(self.present(input).cloned().collect())
    }

    fn needs(&self, input: &Schema, wanted: &[usize]) -> Result<Vec<usize>> {
        let place = |(at, field): (usize, &FieldRef)| {
            let found = input.column_with_name(field.name()).map(|(place, _)| place);
            found.filter(|_| wanted.contains(&at))
        };
        Ok(self.present(input).enumerate().filter_map(place).collect())
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        let schema = Arc::clone(&task.schema);
        let rows = task.stream()?.map(move |rows| {
            let rows = rows?;
            let mut columns = Vec::with_capacity(schema.fields().len());
            for field in schema.fields() {
                columns.push(match rows.column_by_name(field.name()) {
                    Some(column) => fitted(column, field).map_err(|error| self.blamed(error))?,
                    None => new_null_array(field.data_type(), rows.num_rows()),
                });
            }
            batch(&schema, columns, rows.num_rows())
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(task.schema, rows)))
    }
}

impl Fit {
    fn blamed(&self, error: datafusion::error::DataFusionError) -> datafusion::error::DataFusionError {
        let failure = crate::failure_of(error);
        external(if failure.pointer.is_none() { failure.at(&self.pointer) } else { failure })
    }
}

/// An array as a field's type.
fn fitted(array: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), field.data_type()) {
        (DataType::Null, wanted) => Ok(new_null_array(wanted, array.len())),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let whole = array.as_struct();
            let mut children = Vec::with_capacity(fields.len());
            for field in fields {
                children.push(match whole.column_by_name(field.name()) {
                    Some(child) => fitted(child, field)?,
                    None => new_null_array(field.data_type(), whole.len()),
                });
            }
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), children, whole.nulls().cloned(), whole.len())?))
        }
        (DataType::List(_), DataType::List(item)) => {
            let list = array.as_list::<i32>();
            let values = fitted(list.values(), item)?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, list.nulls().cloned())?))
        }
        (DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::ListView(item), DataType::List(_)) => {
            fitted(&cast(array, &DataType::List(Arc::clone(item)))?, field)
        }
        (from, DataType::Float64) if from.is_integer() => exact(array),
        (_, wanted) => Ok(cast_with_options(array, wanted, &CastOptions { safe: false, ..CastOptions::default() })?),
    }
}

/// Integers as Float64, where each of them is one.
fn exact(array: &ArrayRef) -> Result<ArrayRef> {
    let checked = CastOptions { safe: false, ..CastOptions::default() };
    let integers = cast_with_options(array, &DataType::Int64, &checked)?;
    let Some(integers) = integers.as_primitive_opt::<Int64Type>() else { return internal_err!("integers are Int64") };
    let is_exact = |value: i64| (-EXACT_MAX..=EXACT_MAX).contains(&value) || i128::from(value) == (value as f64) as i128;
    if let Some(value) = integers.iter().flatten().find(|value| !is_exact(*value)) {
        let message = format!("the integer {value} is no exact number beside numbers with decimals");
        return Err(external(Failure::new(Code::DataMixed, message).hint("map both sides to strings, or to integers")));
    }
    Ok(cast(integers, &DataType::Float64)?)
}

#[cfg(test)]
mod tests {
    use super::{Arc, ArrayRef, DataType, Field, fitted};
    use azora_spec::Code;
    use datafusion::arrow::array::{Array, AsArray, Float64Array, Int64Array, StructArray};
    use datafusion::arrow::datatypes::Float64Type;

    #[test]
    fn integers_fit_where_they_are_exact() {
        let integers = |values: Vec<Option<i64>>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let wanted = Field::new("x", DataType::Float64, true);
        let found = fitted(&integers(vec![Some(1), None, Some(1 << 53)]), &wanted).unwrap();
        assert_eq!(found.as_primitive::<Float64Type>(), &Float64Array::from(vec![Some(1.0), None, Some(9_007_199_254_740_992.0)]));
        let failure = crate::failure_of(fitted(&integers(vec![Some((1 << 53) + 1)]), &wanted).unwrap_err());
        assert_eq!(failure.code, Code::DataMixed);
    }

    #[test]
    fn structs_fit_by_name() {
        let part = |name: &str, data_type: DataType| Arc::new(Field::new(name, data_type, true));
        let integers = Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
        let given: ArrayRef = Arc::new(StructArray::from(vec![(part("b", DataType::Int64), integers)]));
        let wanted = DataType::Struct(vec![part("a", DataType::Utf8), part("b", DataType::Float64)].into());
        let found = fitted(&given, &Field::new("x", wanted.clone(), false)).unwrap();
        assert_eq!(found.data_type(), &wanted);
        assert_eq!(found.as_struct().column(0).logical_null_count(), 2);
    }
}
