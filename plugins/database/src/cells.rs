//! Arrow values as the plain values that drivers take: numbers, texts, bytes. PostgreSQL takes text and has its own way.

use crate::error::Error;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use azora_connect::json;

/// How timestamps are written: understood by every engine, in UTC.
const TIMESTAMP: &str = "%Y-%m-%d %H:%M:%S%.6f";

/// A plain value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The columns of a batch, ready to be read value by value.
#[derive(Debug)]
pub(crate) struct Cells {
    columns: Vec<ArrayRef>,
}

impl Cells {
    pub(crate) fn of(batch: &RecordBatch) -> Result<Self, Error> {
        let schema = batch.schema();
        let columns =
            batch.columns().iter().zip(schema.fields()).map(|(column, field)| prepared(column, field)).collect::<Result<_, _>>()?;
        Ok(Self { columns })
    }

    /// The values of a row.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = Cell> + '_ {
        self.columns.iter().map(move |column| cell(column, row))
    }
}

/// A column as one of the types that [`cell`] reads.
fn prepared(column: &ArrayRef, field: &Field) -> Result<ArrayRef, Error> {
    let to = |of: &DataType| cast(column, of).map_err(|_| Error::Broken("a column as plain values"));
    match column.data_type() {
        DataType::Boolean | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            to(&DataType::Int64)
        }
        DataType::Float16 | DataType::Float32 => to(&DataType::Float64),
        DataType::Int64 | DataType::Float64 | DataType::Utf8 | DataType::Binary | DataType::Null => Ok(column.clone()),
        DataType::LargeUtf8 | DataType::Utf8View => to(&DataType::Utf8),
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => to(&DataType::Binary),
        DataType::Dictionary(_, value) => prepared(&to(value)?, field),
        // The same instant in UTC, whatever the zone was.
        DataType::Timestamp(_, Some(_)) => texts(&to(&DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())))?),
        of if of.is_nested() => Ok(std::sync::Arc::new(json::texts(column, field))),
        _ => texts(column),
    }
}

/// Dates, times, decimals and what else has a text.
fn texts(column: &ArrayRef) -> Result<ArrayRef, Error> {
    let options = FormatOptions::new().with_timestamp_format(Some(TIMESTAMP)).with_timestamp_tz_format(Some(TIMESTAMP));
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options).map_err(|_| Error::Broken("a column as texts"))?;
    let text = |row: usize| if column.is_null(row) { Ok(None) } else { formatter.value(row).try_to_string().map(Some) };
    let texts = (0..column.len()).map(text).collect::<Result<arrow::array::StringArray, _>>();
    Ok(std::sync::Arc::new(texts.map_err(|_| Error::Broken("a column as texts"))?))
}

fn cell(column: &ArrayRef, row: usize) -> Cell {
    if column.is_null(row) {
        return Cell::Null;
    }
    match column.data_type() {
        DataType::Int64 => Cell::Int(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Cell::Float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Cell::Bytes(column.as_binary::<i32>().value(row).to_vec()),
        _ => Cell::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Cells};
    use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, RecordBatch, TimestampMillisecondArray};
    use std::sync::Arc;

    #[test]
    fn values_are_plain_and_instants_in_utc() {
        let columns: [(&str, ArrayRef); 3] = [
            ("a", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("b", Arc::new(TimestampMillisecondArray::from(vec![1500, 0]).with_timezone("+02:00"))),
            ("c", Arc::new(Decimal128Array::from(vec![-150, 1]).with_precision_and_scale(10, 2).unwrap())),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let cells = Cells::of(&batch).unwrap();
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!(cells.row(0).collect::<Vec<_>>(), [Cell::Int(1), text("1970-01-01 00:00:01.500000"), text("-1.50")]);
        assert_eq!(cells.row(1).next(), Some(Cell::Null));
    }
}
