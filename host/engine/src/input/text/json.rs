//! JSON: one array of rows, or one value a line. Objects become columns, everything else the column `value`.

mod exact;

use super::super::file::typed_field;
use super::blocks::Blocks;
use super::{Decode, Inner, Part, SAMPLE_BYTES_MAX, projected};
use azora_connect::element::{self, Element, VALUE};
use azora_connect::json::{JsonType, array, shown};
use azora_spec::{Code, Failure};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::json::reader::{self, ReaderBuilder};
use exact::Exact;
use serde_json::{Deserializer, Value};
use std::sync::Arc;

/// Whether the first character opens an array.
pub(super) fn is_array(blocks: &mut Blocks) -> Result<bool, Failure> {
    Ok(blocks.peek()?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'['))
}

/// Columns as told or inferred.
pub(super) fn schema(inner: &Inner) -> Result<SchemaRef, Failure> {
    let settings = &inner.settings;
    if let Some(columns) = settings.tells_all() {
        let fields = columns.iter().filter_map(|name| settings.told(name).map(|of| typed_field(name, of)));
        return Ok(Element::Object.schema(fields.collect::<Vec<_>>()));
    }
    let mut of = JsonType::Null;
    let mut has_null = false;
    let mut rows_left = settings.sample_rows;
    let mut bytes_left = SAMPLE_BYTES_MAX;
    for file in 0..inner.pins.len() {
        if rows_left == 0 || bytes_left == 0 {
            break;
        }
        let (sample, is_whole) = head(inner, file, bytes_left)?;
        bytes_left = bytes_left.saturating_sub(sample.len());
        if settings.is_tolerant() {
            rows_left -= lenient(&sample, rows_left, &mut of, &mut has_null);
            continue;
        }
        for (row, value) in Deserializer::from_slice(&sample).into_iter::<Value>().take(rows_left).enumerate() {
            let value = match value {
                Ok(value) => value,
                Err(error) if error.is_eof() && !is_whole => break,
                Err(error) => return Err(broken(inner, file, row, &error)),
            };
            rows_left -= 1;
            has_null |= value.is_null();
            let next = JsonType::of(&value).and_then(|next| of.clone().merge(next));
            of = next.map_err(|mixed| mixed.failure_in(&format_args!("'{}'", inner.path(file).escape_debug()), row as u64).at("/path"))?;
        }
    }
    Ok(match of.settle(false) {
        JsonType::Struct(shape) if !has_null => {
            let named =
                |field: &Arc<Field>| settings.told(field.name()).map_or_else(|| field.as_ref().clone(), |of| typed_field(field.name(), of));
            Element::Object.schema(shape.arrow_fields().iter().map(named).collect::<Vec<_>>())
        }
        JsonType::Tuple(parts) if !has_null => {
            let parts: Vec<Field> = parts.iter().map(|part| part.field("")).collect();
            element::tuple(&parts)
        }
        other => Element::Scalar.schema(vec![other.field(VALUE)]),
    })
}

/// The types of the lines of a sample that are JSON and fit those before them; the others are for reading to refuse. Answers
/// how many there were.
fn lenient(sample: &[u8], rows_max: usize, of: &mut JsonType, has_null: &mut bool) -> usize {
    let mut rows = 0;
    for line in sample.split(|byte| *byte == b'\n') {
        if rows == rows_max {
            break;
        }
        let Ok(value) = serde_json::from_slice::<Value>(line) else { continue };
        if let Ok(next) = JsonType::of(&value).and_then(|next| of.clone().merge(next)) {
            *of = next;
            *has_null |= value.is_null();
            rows += 1;
        }
    }
    rows
}

fn broken(inner: &Inner, file: usize, row: usize, error: &serde_json::Error) -> Failure {
    let path = inner.path(file).escape_debug();
    let message = format!("'{path}', row {row}: not valid JSON in line {}, column {}", error.line(), error.column());
    Failure::new(Code::FileFormat, message).at("/path").row(row as u64)
}

fn head(inner: &Inner, file: usize, bytes_max: usize) -> Result<(Vec<u8>, bool), Failure> {
    let mut blocks = inner.blocks(&Part { file, start: 0, end: None })?;
    let mut flatten =
        if inner.settings.format == azora_spec::FileFormat::Json && is_array(&mut blocks)? { Some(Flatten::default()) } else { None };
    let mut sample = Vec::new();
    while let Some(block) = blocks.next()? {
        let from = sample.len();
        sample.extend_from_slice(block);
        if let Some(flatten) = &mut flatten {
            flatten.step(sample.get_mut(from..).unwrap_or_default()).map_err(|message| {
                Failure::new(Code::FileFormat, format!("'{}': {message}", inner.path(file).escape_debug())).at("/path")
            })?;
        }
        if sample.len() >= bytes_max {
            return Ok((sample, false));
        }
    }
    if flatten.is_some_and(|flatten| !flatten.is_closed()) {
        let message = format!("'{}' ends inside its JSON array", inner.path(file).escape_debug());
        return Err(Failure::new(Code::FileFormat, message).at("/path"));
    }
    Ok((sample, true))
}

/// Makes lines of the rows of one array, in place.
#[derive(Debug, Default)]
pub(super) struct Flatten {
    state: State,
    depth: u32,
    is_string: bool,
    is_escaped: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Inside,
    After,
}

impl Flatten {
    /// Takes the next bytes of the file.
    pub(super) fn step(&mut self, block: &mut [u8]) -> Result<(), &'static str> {
        for byte in block {
            if self.is_string {
                match *byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.is_string = false,
                    _ => {}
                }
                continue;
            }
            match (self.state, *byte) {
                (_, b' ' | b'\t' | b'\r' | b'\n') => *byte = b' ',
                (State::Before, b'[') => {
                    self.state = State::Inside;
                    *byte = b' ';
                }
                (State::Before, _) => return Err("an array was expected"),
                (State::After, _) => return Err("there is text behind the JSON array; for one value a line say ndjson"),
                (State::Inside, b'"') => self.is_string = true,
                (State::Inside, b'[' | b'{') => self.depth = self.depth.saturating_add(1),
                (State::Inside, b']') if self.depth == 0 => {
                    self.state = State::After;
                    *byte = b'\n';
                }
                (State::Inside, b']' | b'}') => self.depth = self.depth.checked_sub(1).ok_or("a closing bracket has no opening one")?,
                (State::Inside, b',') if self.depth == 0 => *byte = b'\n',
                (State::Inside, _) => {}
            }
        }
        Ok(())
    }

    /// Whether the array has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::After
    }
}

/// The decoder for the wanted columns: Arrow's, or, where arrays have parts of different types, one by way of values.
pub(super) fn decoder(inner: &Inner, projection: Option<&[usize]>, batch_rows: usize) -> Result<Box<dyn Decode>, Failure> {
    let element = Element::of(&inner.schema);
    let schema = projected(&Arc::new(Schema::new(inner.schema.fields().clone())), projection)?;
    let has_tuple = element == Element::Tuple || schema.fields().iter().any(|field| contains_tuple(field));
    let batch_rows = batch_rows.max(1);
    if has_tuple || schema.fields().is_empty() {
        return Ok(Box::new(ValueDecoder { schema, element, batch_rows, buffer: Vec::new(), lines: 0, blame: None }));
    }
    let failed = |error| crate::error::arrow_failure(&error);
    let exact = Exact::of(&schema, element, batch_rows).map_err(failed)?;
    let read = exact.as_ref().map_or_else(|| Arc::clone(&schema), |exact| exact.read_as(&schema));
    let decoder = builder(read, element).with_batch_size(batch_rows).build_decoder().map_err(failed)?;
    Ok(Box::new(Decoder { decoder, schema, element, exact }))
}

/// Arrow's reader of rows, or of the one column that stands for them.
fn builder(schema: SchemaRef, element: Element) -> ReaderBuilder {
    match (element, schema.fields().first()) {
        (Element::Scalar, Some(field)) => ReaderBuilder::new_with_field(Arc::clone(field)),
        _ => ReaderBuilder::new(schema),
    }
}

fn contains_tuple(field: &Field) -> bool {
    element::is_tuple(field)
        || match field.data_type() {
            DataType::List(item) => contains_tuple(item),
            DataType::Struct(fields) => fields.iter().any(|field| contains_tuple(field)),
            _ => false,
        }
}

/// Arrow's decoder.
#[derive(Debug)]
struct Decoder {
    decoder: reader::Decoder,
    schema: SchemaRef,
    element: Element,
    /// There where columns hold integers.
    exact: Option<Exact>,
}

impl Decode for Decoder {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        self.decoder.decode(bytes).map_err(|_| ())
    }

    fn records(&self) -> usize {
        self.decoder.len() - usize::from(self.decoder.has_partial_record()).min(self.decoder.len())
    }

    fn is_inside(&self) -> bool {
        self.decoder.has_partial_record()
    }

    fn flush(&mut self, bytes: &[u8]) -> Result<Option<RecordBatch>, ()> {
        let Some(batch) = self.decoder.flush().map_err(|_| ())? else { return Ok(None) };
        let columns = match &mut self.exact {
            Some(exact) => exact.columns(&batch, &self.schema, bytes).ok_or(())?,
            None => batch.columns().to_vec(),
        };
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map(Some).map_err(|_| ())
    }

    fn explain(&self, bytes: &[u8]) -> (u64, String) {
        fault(&self.schema, self.element, bytes)
    }
}

/// The first value that is no row, and why.
fn fault(schema: &SchemaRef, element: Element, bytes: &[u8]) -> (u64, String) {
    let mut row = 0;
    for value in Deserializer::from_slice(bytes).into_iter::<Value>() {
        match value.map_err(|_| "not valid JSON".to_owned()).and_then(|value| rows(schema, element, &[value])) {
            Ok(_) => row += 1,
            Err(message) => return (row, message),
        }
    }
    (row, "a value does not fit its column".to_owned())
}

/// Values as a batch, or which one does not fit. The message names the column; the row is the caller's to know.
fn rows(schema: &SchemaRef, element: Element, values: &[Value]) -> Result<RecordBatch, String> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let of: Vec<Option<&Value>> = values
            .iter()
            .map(|value| match element {
                Element::Scalar => Some(value),
                Element::Object => value.get(field.name()),
                Element::Tuple => {
                    field.name().strip_prefix('_').and_then(|at| at.parse::<usize>().ok()).and_then(|at| value.get(at.wrapping_sub(1)))
                }
            })
            .collect();
        let is_row = |value: &&Value| match element {
            Element::Scalar => true,
            Element::Object => value.is_object(),
            Element::Tuple => value.is_array(),
        };
        if let Some(other) = values.iter().find(|value| !is_row(value)) {
            return Err(format!("{} is not a row like those before it", shown(other)));
        }
        let column = array(field, &of)
            .map_err(|misfit| format!("column '{}': {} is not {}", misfit.path.join(".").escape_debug(), misfit.value, misfit.wanted))?;
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(values.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|_| "the rows do not fit their columns".to_owned())
}

/// Parses values first. Slower; for types that Arrow's decoder does not have.
#[derive(Debug)]
struct ValueDecoder {
    schema: SchemaRef,
    element: Element,
    batch_rows: usize,
    buffer: Vec<u8>,
    lines: usize,
    blame: Option<(u64, String)>,
}

impl Decode for ValueDecoder {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        let mut taken = 0;
        while self.lines < self.batch_rows {
            let rest = bytes.get(taken..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let line = rest.get(..end).unwrap_or_default();
            self.lines += usize::from(line.ends_with(b"\n"));
            self.buffer.extend_from_slice(line);
            taken += end;
            if taken == bytes.len() {
                break;
            }
        }
        Ok(taken)
    }

    fn records(&self) -> usize {
        self.lines
    }

    fn is_inside(&self) -> bool {
        !self.buffer.iter().all(u8::is_ascii_whitespace)
    }

    fn flush(&mut self, _: &[u8]) -> Result<Option<RecordBatch>, ()> {
        let mut values = Vec::new();
        let mut stream = Deserializer::from_slice(&self.buffer).into_iter::<Value>();
        for value in stream.by_ref() {
            match value {
                Ok(value) => values.push(value),
                Err(error) if error.is_eof() => break,
                Err(_) => {
                    self.blame = Some((values.len() as u64, "not valid JSON".to_owned()));
                    return Err(());
                }
            }
        }
        let end = stream.byte_offset();
        self.buffer.drain(..end.min(self.buffer.len()));
        self.lines = 0;
        if values.is_empty() {
            return Ok(None);
        }
        match rows(&self.schema, self.element, &values) {
            Ok(batch) => Ok(Some(batch)),
            Err(message) => {
                let row = values.iter().position(|value| rows(&self.schema, self.element, std::slice::from_ref(value)).is_err());
                self.blame = Some((row.unwrap_or(0) as u64, message));
                Err(())
            }
        }
    }

    fn explain(&self, bytes: &[u8]) -> (u64, String) {
        self.blame.clone().unwrap_or_else(|| fault(&self.schema, self.element, bytes))
    }
}
