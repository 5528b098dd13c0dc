//! Rows as the text form of COPY, which every type of the server takes. Where they go lives in `sink.rs`.

use crate::error::Error;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use azora_connect::json;
use std::fmt::Write as _;
use std::io::Write as _;

/// Appends the rows of a batch. `arrays` says of each column whether the target's is an array.
pub(super) fn encode(batch: &RecordBatch, arrays: &[bool], out: &mut Vec<u8>) -> Result<(), Error> {
    let schema = batch.schema();
    let mut plain = Vec::with_capacity(batch.num_columns());
    for ((column, field), is_array) in batch.columns().iter().zip(schema.fields()).zip(arrays) {
        plain.push(prepared(column, field, *is_array)?);
    }
    let options = FormatOptions::new();
    let mut cells = Vec::with_capacity(plain.len());
    for (column, is_array) in plain.iter().zip(arrays) {
        cells.push(Cell::new(column, *is_array, &options)?);
    }
    let mut scratch = String::new();
    for row in 0..batch.num_rows() {
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            cell.write(row, out, &mut scratch)?;
        }
        out.push(b'\n');
    }
    Ok(())
}

/// A column in one of the few forms that cells are written from.
fn prepared(column: &ArrayRef, field: &Field, is_array: bool) -> Result<ArrayRef, Error> {
    let unfit = |_| Error::Broken("a column as text");
    match column.data_type() {
        DataType::LargeUtf8 | DataType::Utf8View => cast(column, &DataType::Utf8).map_err(unfit),
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => cast(column, &DataType::Binary).map_err(unfit),
        DataType::Dictionary(_, value) => prepared(&cast(column, value).map_err(unfit)?, field, is_array),
        DataType::LargeList(item) if is_array => cast(column, &DataType::List(item.clone())).map_err(unfit),
        DataType::List(_) if is_array => Ok(column.clone()),
        of if of.is_nested() => Ok(std::sync::Arc::new(json::texts(column, field))),
        _ => Ok(column.clone()),
    }
}

enum Cell<'a> {
    Null,
    Int(&'a arrow::array::PrimitiveArray<Int64Type>),
    Float(&'a arrow::array::PrimitiveArray<Float64Type>),
    Text(&'a arrow::array::StringArray),
    Bytes(&'a arrow::array::BinaryArray),
    Array(&'a arrow::array::ListArray),
    /// Everything else has no characters that must be escaped.
    Other(&'a dyn Array, ArrayFormatter<'a>),
}

impl<'a> Cell<'a> {
    fn new(column: &'a ArrayRef, is_array: bool, options: &'a FormatOptions<'a>) -> Result<Self, Error> {
        Ok(match column.data_type() {
            DataType::Null => Self::Null,
            DataType::Int64 => Self::Int(column.as_primitive()),
            DataType::Float64 => Self::Float(column.as_primitive()),
            DataType::Utf8 => Self::Text(column.as_string()),
            DataType::Binary => Self::Bytes(column.as_binary()),
            DataType::List(_) if is_array => Self::Array(column.as_list()),
            _ => {
                let formatter = ArrayFormatter::try_new(column.as_ref(), options).map_err(|_| Error::Broken("a column as text"))?;
                Self::Other(column.as_ref(), formatter)
            }
        })
    }

    fn write(&self, row: usize, out: &mut Vec<u8>, scratch: &mut String) -> Result<(), Error> {
        let is_null = match self {
            Self::Null => true,
            Self::Int(column) => column.is_null(row),
            Self::Float(column) => column.is_null(row),
            Self::Text(column) => column.is_null(row),
            Self::Bytes(column) => column.is_null(row),
            Self::Array(column) => column.is_null(row),
            Self::Other(column, _) => column.is_null(row),
        };
        if is_null {
            out.extend_from_slice(b"\\N");
            return Ok(());
        }
        let written = match self {
            Self::Null => Ok(()),
            Self::Int(column) => write!(out, "{}", column.value(row)),
            Self::Float(column) => write!(out, "{}", column.value(row)),
            Self::Text(column) => {
                escaped(column.value(row), out)?;
                Ok(())
            }
            Self::Bytes(column) => {
                out.extend_from_slice(b"\\\\x");
                column.value(row).iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
            Self::Array(column) => {
                scratch.clear();
                list(&column.value(row), scratch)?;
                escaped(scratch, out)?;
                Ok(())
            }
            Self::Other(_, formatter) => write!(out, "{}", formatter.value(row)),
        };
        written.map_err(|_| Error::Broken("a value as text"))
    }
}

/// A text with what COPY gives a meaning escaped.
fn escaped(text: &str, out: &mut Vec<u8>) -> Result<(), Error> {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0 => {
                let reason = "PostgreSQL holds no text with a zero byte".to_owned();
                return Err(Error::Value { place: "a text".to_owned(), reason });
            }
            other => out.push(other),
        }
    }
    Ok(())
}

/// A list as an array's literal.
fn list(items: &ArrayRef, out: &mut String) -> Result<(), Error> {
    let options = FormatOptions::new();
    let broken = |_| Error::Broken("a list as text");
    out.push('{');
    if let DataType::List(_) = items.data_type() {
        let lists = items.as_list::<i32>();
        for row in 0..lists.len() {
            out.push_str(if row > 0 { "," } else { "" });
            if lists.is_null(row) { out.push_str("NULL") } else { list(&lists.value(row), out)? }
        }
        out.push('}');
        return Ok(());
    }
    let bytes = matches!(items.data_type(), DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_));
    let nested;
    let items = if items.data_type().is_nested() {
        nested = std::sync::Arc::new(json::texts(items, &Field::new("item", items.data_type().clone(), true))) as ArrayRef;
        &nested
    } else {
        items
    };
    let formatter = ArrayFormatter::try_new(items.as_ref(), &options).map_err(broken)?;
    for row in 0..items.len() {
        out.push_str(if row > 0 { "," } else { "" });
        if items.is_null(row) {
            out.push_str("NULL");
            continue;
        }
        let mut value = String::new();
        write!(value, "{}", formatter.value(row)).map_err(|_| Error::Broken("a list as text"))?;
        out.push('"');
        out.push_str(if bytes { "\\\\x" } else { "" });
        for at in value.chars() {
            if matches!(at, '"' | '\\') {
                out.push('\\');
            }
            out.push(at);
        }
        out.push('"');
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::encode;
    use arrow::array::{ArrayRef, BinaryArray, BooleanArray, Int64Array, ListArray, RecordBatch, StringArray};
    use arrow::datatypes::Int32Type;
    use std::sync::Arc;

    #[test]
    fn rows_are_written_so_that_nothing_breaks_out() {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
        let columns: [(&str, ArrayRef); 5] = [
            ("a", Arc::new(Int64Array::from(vec![Some(-1), None]))),
            ("b", Arc::new(StringArray::from(vec![Some("x\ty\\\n"), Some("\\N")]))),
            ("c", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None]))),
            ("d", Arc::new(BooleanArray::from(vec![true, false]))),
            ("e", Arc::new(lists)),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let mut out = Vec::new();
        encode(&batch, &[false, false, false, false, true], &mut out).unwrap();
        let expect = "-1\tx\\ty\\\\\\n\t\\\\x00ff\ttrue\t{\"1\",NULL}\n\\N\t\\\\N\t\\N\tfalse\t\\N\n";
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }
}
