//! CSV as RFC 4180 has it: quoted fields may hold delimiters, quotes (doubled) and ends of lines.

use super::super::COLUMNS_MAX;
use super::super::file::typed_field;
use super::blocks::Blocks;
use super::{Decode, Inner, Part, SAMPLE_BYTES_MAX, Settings, projected};
use azora_connect::element::Element;
use azora_spec::{Code, Failure};
use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::{self, Format};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::collections::HashSet;
use std::sync::Arc;

/// Names from the header (or `column_1`, … without one), types as told or inferred.
pub(super) fn schema(inner: &Inner) -> Result<SchemaRef, Failure> {
    let settings = &inner.settings;
    let mut names: Option<Vec<String>> = None;
    let mut kinds: Vec<Kind> = Vec::new();
    let mut rows_left = settings.sample_rows;
    let mut bytes_left = SAMPLE_BYTES_MAX;
    for file in 0..inner.pins.len() {
        let (sample, is_whole) = head(inner, file, bytes_left)?;
        bytes_left = bytes_left.saturating_sub(sample.len());
        let header = header(inner, file, &sample)?;
        let first = names.get_or_insert_with(|| header.clone());
        if *first != header {
            let message = format!("the columns of '{}' are not those of the files before it", inner.path(file).escape_debug());
            return Err(Failure::new(Code::FileFormat, message).at("/path"));
        }
        kinds.resize(header.len(), Kind::Null);
        if rows_left > 0 && bytes_left > 0 && settings.tells_all().is_none() {
            rows_left -= observe(settings, &header, &sample, is_whole, rows_left, &mut kinds);
        }
    }
    let names = names.unwrap_or_default();
    for (name, _) in &settings.types {
        if !names.contains(name) {
            return Err(
                Failure::new(Code::ConnectorConfig, format!("there is no column '{}' to give a type", name.escape_debug())).at("/types")
            );
        }
    }
    let typed = names.iter().zip(&kinds).map(|(name, kind)| match settings.told(name) {
        Some(of) => typed_field(name, of),
        None => Field::new(name, kind.data_type(), true),
    });
    Ok(Element::Object.schema(typed.collect::<Vec<_>>()))
}

/// The first bytes of a file, cut behind a record where there are more.
fn head(inner: &Inner, file: usize, bytes_max: usize) -> Result<(Vec<u8>, bool), Failure> {
    let mut blocks = inner.blocks(&Part { file, start: 0, end: None })?;
    let mut sample = Vec::new();
    while let Some(block) = blocks.next()? {
        sample.extend_from_slice(block);
        if sample.len() >= bytes_max.max(1 << 20) {
            return Ok((sample, false));
        }
    }
    Ok((sample, true))
}

fn header(inner: &Inner, file: usize, sample: &[u8]) -> Result<Vec<String>, Failure> {
    let settings = &inner.settings;
    let path = inner.path(file).escape_debug();
    let refused = |message: String| Failure::new(Code::FileFormat, message).at("/path");
    if sample.iter().all(u8::is_ascii_whitespace) {
        return if settings.has_header {
            Err(refused(format!("'{path}' is empty: a CSV file begins with a header")))
        } else {
            Ok(Vec::new())
        };
    }
    let format = Format::default().with_header(settings.has_header).with_delimiter(settings.delimiter);
    let (schema, _) = format.infer_schema(sample, Some(1)).map_err(|_| refused(format!("'{path}' is not a CSV file")))?;
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().trim().to_owned()).collect();
    if names.len() > COLUMNS_MAX {
        return Err(refused(format!("'{path}' has more than {COLUMNS_MAX} columns")));
    }
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(refused(format!("'{path}' has two columns '{}'", twice.escape_debug()))),
        None => Ok(names),
    }
}

/// What the texts of a column have been so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Int64,
    Float64,
    Utf8,
}

impl Kind {
    const fn data_type(self) -> DataType {
        match self {
            Self::Null | Self::Utf8 => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
        }
    }

    fn of(text: &str) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        // `007` is a code, not a number.
        let is_code = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        let looks_numeric = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
        if is_code || text.is_empty() {
            Self::Utf8
        } else if looks_numeric && text.parse::<i64>().is_ok() {
            Self::Int64
        } else if looks_numeric && text.parse::<f64>().is_ok() {
            Self::Float64
        } else if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            Self::Boolean
        } else {
            Self::Utf8
        }
    }

    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, other) | (other, Self::Null) => other,
            (Self::Boolean, Self::Boolean) => Self::Boolean,
            (Self::Int64, Self::Int64) => Self::Int64,
            (Self::Int64 | Self::Float64, Self::Int64 | Self::Float64) => Self::Float64,
            _ => Self::Utf8,
        }
    }
}

/// Looks at the rows of a sample. A broken row ends it: reading will say what is wrong with it.
fn observe(settings: &Settings, names: &[String], sample: &[u8], is_whole: bool, rows_max: usize, kinds: &mut [Kind]) -> usize {
    let texts = Arc::new(Schema::new(names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>()));
    let mut decoder = builder(settings, texts, settings.has_header).with_batch_size(1024.min(rows_max).max(1)).build_decoder();
    let sample = match memchr::memrchr(b'\n', sample) {
        Some(end) if !is_whole => sample.get(..=end).unwrap_or_default(),
        _ => sample,
    };
    let mut at = 0;
    let mut rows = 0;
    while rows < rows_max {
        let Ok(taken) = decoder.decode(sample.get(at..).unwrap_or_default()) else { break };
        at += taken;
        // No bytes at all say that the last record has ended.
        let is_over = at == sample.len() && decoder.decode(&[]).is_ok();
        if taken == 0 || is_over {
            let Ok(Some(batch)) = decoder.flush() else { break };
            rows += batch.num_rows();
            for (column, kind) in batch.columns().iter().zip(kinds.iter_mut()) {
                let texts: &StringArray = column.as_string();
                *kind = texts.iter().flatten().fold(*kind, |kind, text| kind.and(Kind::of(text)));
            }
        }
    }
    rows.min(rows_max)
}

fn builder(settings: &Settings, schema: SchemaRef, has_header: bool) -> ReaderBuilder {
    ReaderBuilder::new(schema).with_header(has_header).with_delimiter(settings.delimiter).with_quote(b'"')
}

/// Arrow's decoder over one part.
#[derive(Debug)]
pub(super) struct Decoder {
    decoder: reader::Decoder,
    batch_rows: usize,
    settings: Settings,
    whole: SchemaRef,
    schema: SchemaRef,
    has_header: bool,
    has_begun: bool,
    is_quoted: bool,
    is_inside: bool,
}

impl Decoder {
    pub(super) fn new(inner: &Inner, has_header: bool, projection: Option<&[usize]>, batch_rows: usize) -> Result<Self, Failure> {
        let settings = inner.settings.clone();
        let whole = Arc::new(Schema::new(inner.schema.fields().clone()));
        let schema = projected(&whole, projection)?;
        let mut builder = builder(&settings, Arc::clone(&whole), has_header).with_batch_size(batch_rows.max(1));
        if let Some(projection) = projection {
            builder = builder.with_projection(projection.to_vec());
        }
        let decoder = builder.build_decoder();
        let batch_rows = batch_rows.max(1);
        let (has_begun, is_quoted, is_inside) = (false, false, false);
        Ok(Self { decoder, batch_rows, settings, whole, schema, has_header, has_begun, is_quoted, is_inside })
    }
}

impl Decode for Decoder {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        let taken = self.decoder.decode(bytes).map_err(|_| ())?;
        let of_these = bytes.get(..taken).unwrap_or_default();
        self.is_quoted ^= memchr::memchr_iter(b'"', of_these).count() % 2 == 1;
        // No bytes at all mean the end of the part, which ends its last record.
        self.is_inside = !bytes.is_empty() && (self.is_quoted || of_these.last().is_some_and(|last| *last != b'\n'));
        Ok(taken)
    }

    fn records(&self) -> usize {
        self.batch_rows - self.decoder.capacity().min(self.batch_rows)
    }

    fn is_inside(&self) -> bool {
        self.is_inside
    }

    fn flush(&mut self, _: &[u8]) -> Result<Option<RecordBatch>, ()> {
        let batch = self.decoder.flush().map_err(|_| ())?;
        self.has_begun |= batch.is_some();
        batch.map(|batch| RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec())).transpose().map_err(|_| ())
    }

    fn explain(&self, bytes: &[u8]) -> (u64, String) {
        let has_header = self.has_header && !self.has_begun;
        let wanted = self.whole.fields().len();
        let texts = Arc::new(Schema::new(
            self.whole.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect::<Vec<_>>(),
        ));
        let mut decoder = builder(&self.settings, texts, has_header).with_batch_size(1).build_decoder();
        let mut at = 0;
        let mut row = 0;
        loop {
            let Ok(taken) = decoder.decode(bytes.get(at..).unwrap_or_default()) else {
                return (row, format!("the row does not have {wanted} fields, or is not UTF-8"));
            };
            at += taken;
            if at == bytes.len() && decoder.decode(&[]).is_err() {
                return (row, format!("the row does not have {wanted} fields"));
            }
            let batch = match decoder.flush() {
                Ok(Some(batch)) => batch,
                // The header is taken by itself.
                Ok(None) if taken > 0 => continue,
                Ok(None) => return (row, "the row cannot be read".to_owned()),
                Err(_) => return (row, format!("the row is not complete UTF-8 text of {wanted} fields")),
            };
            if let Some(message) = misfit(&batch, &self.schema) {
                return (row, message);
            }
            row += 1;
        }
    }
}

/// The first cell of a one-row batch of texts that its column's type cannot take.
fn misfit(texts: &RecordBatch, schema: &Schema) -> Option<String> {
    for field in schema.fields() {
        let text = texts.column_by_name(field.name())?;
        let read = cast(text, field.data_type());
        if text.is_valid(0) && read.is_ok_and(|read| read.is_null(0)) {
            let text: &StringArray = text.as_string();
            let shown: String = text.value(0).chars().take(60).collect();
            return Some(format!("column '{}': '{}' is not {}", field.name().escape_debug(), shown.escape_debug(), field.data_type()));
        }
    }
    None
}

/// Ends of records next behind each target. Quotes come in pairs outside of fields, so a line ends a record exactly
/// where their count so far is even.
pub(super) fn cuts(mut blocks: Blocks, targets: impl Iterator<Item = u64>) -> Result<Vec<u64>, Failure> {
    let mut cuts: Vec<u64> = Vec::new();
    let mut targets = targets.peekable();
    let mut is_quoted = false;
    let mut from = 0;
    while let Some(target) = targets.peek().copied() {
        // A byte-order mark is not part of the blocks.
        let Some(block) = blocks.next()? else { break };
        let to = from + block.len() as u64;
        if to <= target {
            is_quoted ^= memchr::memchr_iter(b'"', block).count() % 2 == 1;
        } else {
            for (at, byte) in block.iter().enumerate() {
                match byte {
                    b'"' => is_quoted = !is_quoted,
                    b'\n' if !is_quoted && targets.peek().is_some_and(|target| from + at as u64 >= *target) => {
                        let cut = from + at as u64 + 1;
                        cuts.push(cut);
                        while targets.next_if(|target| *target < cut).is_some() {}
                    }
                    _ => {}
                }
            }
        }
        from = to;
    }
    Ok(cuts)
}
