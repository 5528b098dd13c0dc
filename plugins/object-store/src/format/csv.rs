//! Separated values: types found in a sample of texts, rows cast strictly.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use std::collections::HashSet;
use std::sync::Arc;

/// Most columns.
const COLUMNS_MAX: usize = 10_000;

/// Texts of one record, or why they cannot be told apart.
pub(crate) fn cells(record: &[u8], delimiter: u8) -> Result<Vec<String>, String> {
    let mut cells = Vec::new();
    let mut cell = Vec::new();
    let mut is_quoted = false;
    let mut bytes = record.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if is_quoted && bytes.peek() == Some(&b'"') => {
                bytes.next();
                cell.push(b'"');
            }
            b'"' => is_quoted = !is_quoted,
            other if other == delimiter && !is_quoted => cells.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    cells.push(cell);
    if cells.len() > COLUMNS_MAX {
        return Err(format!("it has more than {COLUMNS_MAX} columns"));
    }
    cells.into_iter().map(|cell| String::from_utf8(cell).map_err(|_| "it is not UTF-8".to_owned())).collect()
}

/// Columns named by a header, or by their numbers, with the narrowest types that take the sample.
pub(crate) fn infer(names: &[String], sample: &[Vec<String>], told: &Fields) -> Result<Fields, String> {
    let mut seen = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(format!("two columns are named '{}'", twice.escape_debug()));
    }
    let field = |(at, name): (usize, &String)| match told.find(name) {
        Some((_, field)) => Arc::clone(field),
        None => {
            let texts = sample.iter().filter_map(|row| row.get(at)).map(String::as_str).filter(|text| !text.is_empty());
            Arc::new(Field::new(name, of(texts), true))
        }
    };
    Ok(names.iter().enumerate().map(field).collect())
}

fn of<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> DataType {
    let all = |fits: fn(&str) -> bool| texts.clone().all(fits);
    if texts.clone().next().is_none() {
        return DataType::Utf8;
    }
    // A number that would be written otherwise, such as 007, is a text.
    if all(|text| text.parse::<i64>().is_ok_and(|number| number.to_string() == text)) {
        DataType::Int64
    } else if all(is_decimal) {
        DataType::Float64
    } else if all(|text| matches!(text, "true" | "false")) {
        DataType::Boolean
    } else {
        DataType::Utf8
    }
}

/// A number as it is usually written: no sign but `-`, no zero in front, no `inf`.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let has_zero = digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    !has_zero && digits.starts_with(|first: char| first.is_ascii_digit()) && text.parse::<f64>().is_ok()
}

/// What became of records.
pub(crate) struct Rows {
    pub(crate) batch: RecordBatch,
    /// Numbers of records that do not fit, and why.
    pub(crate) rejected: Vec<(usize, String)>,
}

/// Records as rows.
pub(crate) fn rows(schema: &SchemaRef, records: &[Vec<u8>], delimiter: u8) -> Rows {
    let mut rejected = Vec::new();
    let (texts, numbers) = match texts(schema, records.iter().map(Vec::as_slice), delimiter) {
        Some(batch) => (batch, (0..records.len()).collect()),
        None => one_by_one(schema, records, delimiter, &mut rejected),
    };
    let batch = cast(schema, &texts, &numbers, &mut rejected);
    rejected.sort_unstable();
    Rows { batch, rejected }
}

/// All columns as texts; nothing where some record is no row.
fn texts<'a>(schema: &SchemaRef, records: impl ExactSizeIterator<Item = &'a [u8]>, delimiter: u8) -> Option<RecordBatch> {
    let as_text: Fields = schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect();
    let as_text = Arc::new(Schema::new(as_text));
    let count = records.len();
    let mut decoder =
        ReaderBuilder::new(Arc::clone(&as_text)).with_header(false).with_delimiter(delimiter).with_batch_size(count + 1).build_decoder();
    for record in records {
        for piece in [record, b"\n".as_slice()] {
            if decoder.decode(piece).ok()? != piece.len() {
                return None;
            }
        }
    }
    // A record may be over without the decoder knowing it.
    decoder.decode(&[]).ok()?;
    match decoder.flush().ok()? {
        Some(batch) => (batch.num_rows() == count).then_some(batch),
        None => (count == 0).then(|| RecordBatch::new_empty(as_text)),
    }
}

fn one_by_one(schema: &SchemaRef, records: &[Vec<u8>], delimiter: u8, rejected: &mut Vec<(usize, String)>) -> (RecordBatch, Vec<usize>) {
    let mut good = Vec::new();
    for (at, record) in records.iter().enumerate() {
        if texts(schema, std::iter::once(record.as_slice()), delimiter).is_some() {
            good.push(at);
        } else {
            let reason = match cells(record, delimiter) {
                Ok(cells) => format!("it has {} values, the columns are {}", cells.len(), schema.fields().len()),
                Err(reason) => reason,
            };
            rejected.push((at, reason));
        }
    }
    let kept: Vec<&[u8]> = good.iter().filter_map(|at| records.get(*at)).map(Vec::as_slice).collect();
    let batch = texts(schema, kept.into_iter(), delimiter);
    match batch {
        Some(batch) => (batch, good),
        None => (RecordBatch::new_empty(Arc::clone(schema)), Vec::new()),
    }
}

/// Texts as what the schema says; a row with a text that does not fit is left out.
fn cast(schema: &SchemaRef, texts: &RecordBatch, numbers: &[usize], rejected: &mut Vec<(usize, String)>) -> RecordBatch {
    let lenient = CastOptions { safe: true, ..CastOptions::default() };
    let mut is_good = vec![true; texts.num_rows()];
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(texts.num_columns());
    for (column, field) in texts.columns().iter().zip(schema.fields()) {
        let Ok(cast) = cast_with_options(column, field.data_type(), &lenient) else {
            is_good.fill(false);
            break;
        };
        if cast.null_count() > column.null_count() {
            for (row, is_good) in is_good.iter_mut().enumerate().filter(|(row, _)| cast.is_null(*row) && column.is_valid(*row)) {
                if std::mem::replace(is_good, false) {
                    let text: String = column.as_string::<i32>().value(row).chars().take(60).collect();
                    let number = numbers.get(row).copied().unwrap_or(row);
                    rejected.push((number, format!("'{}': '{}' is not {}", field.name(), text.escape_debug(), field.data_type())));
                }
            }
        }
        columns.push(cast);
    }
    let whole = RecordBatch::try_new(Arc::clone(schema), columns).unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(schema)));
    if is_good.iter().all(|is_good| *is_good) || whole.num_rows() == 0 {
        return whole;
    }
    filter_record_batch(&whole, &BooleanArray::from(is_good)).unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(schema)))
}

#[cfg(test)]
mod tests {
    use super::{cells, infer, rows};
    use arrow::datatypes::{DataType, Fields, Schema};
    use std::sync::Arc;

    #[test]
    fn a_sample_tells_types_and_rows_are_strict() {
        let row = |text: &str| cells(text.as_bytes(), b',').unwrap();
        assert_eq!(row("a,\"b,\"\"c\",\"d\ne\""), ["a", "b,\"c", "d\ne"]);
        let names = row("id,code,price,ok,text");
        let fields = infer(&names, &[row("1,007,1.5,true,x"), row("2,,2,,")], &Fields::empty()).unwrap();
        let types: Vec<&DataType> = fields.iter().map(|field| field.data_type()).collect();
        assert_eq!(types, [&DataType::Int64, &DataType::Utf8, &DataType::Float64, &DataType::Boolean, &DataType::Utf8]);
        assert!(infer(&row("a,a"), &[], &Fields::empty()).is_err());
        let schema = Arc::new(Schema::new(fields));
        let records = ["1,007,1.5,true,\"x\ny\"", "x,1,1,true,", "3,1", "4,,,,", "\u{0},1,1,maybe,"].map(|text| text.as_bytes().to_vec());
        let got = rows(&schema, &records, b',');
        assert_eq!(got.batch.num_rows(), 2);
        assert_eq!(got.rejected.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(got.rejected[0].1, "'id': 'x' is not Int64");
        assert_eq!(got.rejected[1].1, "it has 2 values, the columns are 5");
    }
}
