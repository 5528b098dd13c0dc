//! Rows as a sink gets them: typed, or as JSON where the sink takes whatever columns there are.

use crate::array::{Array, Batch};
use crate::binding::{Arguments, Binding, Param};
use crate::bindings::azora::plugin::batch_types as wire;
use crate::failure::{Failure, Result};
use crate::json::Json;
use crate::read::Read;
use crate::schema::{DataType, Element, Schema, TimeUnit};
use crate::time::{Date, Timestamp};

/// The rows of one call.
#[derive(Debug)]
pub struct Records<'a> {
    schema: &'a Schema,
    batch: &'a wire::RecordBatch,
    rows: usize,
}

/// A row that owns what it holds. `#[derive(Row)]` implements it for structs that borrow nothing.
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be read from records", note = "derive Row for a struct that borrows nothing")]
pub trait Record: Sized {
    /// How it is found among the columns.
    fn param() -> Param;

    /// All rows; none where a part is null that may not be.
    ///
    /// # Errors
    /// Values that the type cannot hold.
    fn read(arguments: &Arguments<'_>) -> Result<Vec<Option<Self>>>;
}

impl<'a> Records<'a> {
    pub(crate) fn new(batch: &'a wire::RecordBatch, schema: &'a Schema) -> Result<Self> {
        Ok(Self { schema, batch, rows: Batch::new(batch, &schema.fields)?.rows })
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Their columns.
    #[must_use]
    pub fn schema(&self) -> &'a Schema {
        self.schema
    }

    /// The rows as a type of the sink's own; columns are found by name.
    ///
    /// # Errors
    /// Columns that are missing or of another type, and rows with a null where the type has no `Option`.
    pub fn read<T: Record>(&self) -> Result<Vec<T>> {
        let binding = Binding::new(self.schema, &[T::param()])?;
        let batch = Batch::new(self.batch, &self.schema.fields)?.select(&binding.needs)?;
        let rows = T::read(&Arguments::new(&binding, &batch))?;
        let null = |row| Failure::invalid_input("a value is null that must not be").at_row(row);
        rows.into_iter().enumerate().map(|(at, row)| row.ok_or_else(|| null(at))).collect()
    }

    /// The rows as JSON: objects by column, or what they are as elements of a job. Times and dates are texts of RFC 3339,
    /// floats that are no numbers are null.
    ///
    /// # Errors
    /// [`Failure::unsupported`] for types that JSON has nothing for: binary, intervals, decimals that are no `f64`.
    pub fn json(&self) -> Result<Vec<Json>> {
        let batch = Batch::new(self.batch, &self.schema.fields)?;
        let columns = batch.columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        let element = Element::of(self.schema);
        let row = |_| {
            let values = columns.iter_mut().map(|column| column.next().unwrap_or(Json::Null));
            match element {
                Element::Scalar => values.last().unwrap_or(Json::Null),
                Element::Tuple => Json::List(values.collect()),
                Element::Object => Json::Object(self.schema.fields.iter().map(|field| field.name.clone()).zip(values).collect()),
            }
        };
        Ok((0..self.rows).map(row).collect())
    }
}

macro_rules! values {
    ($array:expr, $rust:ty, $json:expr) => {{
        let validity = <$rust as Read<'_>>::validity($array);
        let column = <$rust as Read<'_>>::column($array)?;
        let view = <$rust as Read<'_>>::view(&column);
        let value = $json;
        (0..$array.len).map(|row| if validity.is_valid(row) { value(<$rust as Read<'_>>::get(view, row)) } else { Json::Null }).collect()
    }};
}

/// All values of a column.
fn column(array: &Array<'_>) -> Result<Vec<Json>> {
    Ok(match array.data_type() {
        DataType::Null => vec![Json::Null; array.len],
        DataType::Boolean => values!(array, bool, Json::Bool),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            values!(array, i64, Json::Integer)
        }
        DataType::UInt64 => values!(array, u64, |value: u64| i64::try_from(value).map_or(Json::Float(value as f64), Json::Integer)),
        DataType::Float32 | DataType::Float64 => {
            values!(array, f64, |value: f64| if value.is_finite() { Json::Float(value) } else { Json::Null })
        }
        DataType::Utf8 | DataType::LargeUtf8 => values!(array, &str, |text: &str| Json::Text(text.to_owned())),
        DataType::Date32 | DataType::Date64 => values!(array, Date, |date: Date| Json::Text(date.to_string())),
        DataType::Timestamp { unit: TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, .. } => {
            values!(array, Timestamp, |moment: Timestamp| Json::Text(moment.to_string()))
        }
        DataType::Struct(fields) => {
            let validity = array.validity();
            let mut parts = array.children.iter().map(|child| column(child).map(Vec::into_iter)).collect::<Result<Vec<_>>>()?;
            let value = |row| {
                let values = parts.iter_mut().map(|part| part.next().unwrap_or(Json::Null));
                let object = fields.iter().map(|field| field.name.clone()).zip(values).collect();
                if validity.is_valid(row) { Json::Object(object) } else { Json::Null }
            };
            (0..array.len).map(value).collect()
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            let (validity, item) = (array.validity(), array.item()?);
            let offsets = array.offsets(item.len)?;
            let items = column(&item)?;
            let value = |row: usize| {
                let (from, to) = (offsets.get(row).copied().unwrap_or(0), offsets.get(row + 1).copied().unwrap_or(0));
                let list = items.get(from as usize..to as usize).unwrap_or_default();
                if validity.is_valid(row) { Json::List(list.to_vec()) } else { Json::Null }
            };
            (0..array.len).map(value).collect()
        }
        other => return Err(Failure::unsupported(format!("column '{}' of type {other} has no JSON form", array.field.name))),
    })
}
