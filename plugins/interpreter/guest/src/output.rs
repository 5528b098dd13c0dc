//! JavaScript values to columns of known types. A value that does not fit its column is refused, never bent: what types
//! the columns have is decided before.

use crate::config::{Element, Output};
use crate::kind::Kind;
use crate::value::{Name, Sort, Value};
use azora_guest::bindings::azora::plugin::batch_types as wire;

/// Why a value is not in a column.
#[derive(Debug)]
pub(crate) enum Misfit {
    /// It is of another type.
    Type(String),
    /// Looking at it threw.
    Threw,
}

type Result<T = ()> = std::result::Result<T, Misfit>;

/// The columns of the answer as they grow.
#[derive(Debug)]
pub(crate) struct Rows {
    element: Element,
    names: Vec<(String, Name)>,
    columns: Vec<Builder>,
    rows: u64,
}

impl Rows {
    pub(crate) fn new(output: &Output) -> Self {
        Self {
            element: output.element,
            names: output.fields.iter().map(|(name, _)| (name.clone(), Name::new(name))).collect(),
            columns: output.fields.iter().map(|(_, kind)| Builder::new(kind)).collect(),
            rows: 0,
        }
    }

    /// Adds an element. After a misfit the columns are of different lengths, and the batch is lost.
    pub(crate) fn push(&mut self, value: &Value) -> Result {
        match self.element {
            Element::Scalar => {
                for column in &mut self.columns {
                    column.push(value)?;
                }
            }
            Element::Tuple => parts(value, &mut self.columns)?,
            Element::Object => properties(value, &self.names, &mut self.columns)?,
        }
        self.rows += 1;
        Ok(())
    }

    /// Takes what has grown.
    pub(crate) fn take(&mut self) -> wire::RecordBatch {
        let mut batch = wire::RecordBatch { rows: std::mem::take(&mut self.rows), nodes: Vec::new(), buffers: Vec::new() };
        for column in &mut self.columns {
            column.finish(&mut batch);
        }
        batch
    }
}

fn described(value: &Value) -> &'static str {
    match value.sort() {
        Sort::Nothing => "null",
        Sort::Boolean(_) => "a boolean",
        Sort::Number(_) => "a number",
        Sort::BigInt => "a bigint",
        Sort::Text => "a string",
        Sort::Date => "a date",
        Sort::Array => "an array",
        Sort::Object => "an object",
    }
}

fn misfit(value: &Value, wanted: &str) -> Misfit {
    Misfit::Type(format!("{} where {wanted} came before", described(value)))
}

fn parts(value: &Value, columns: &mut [Builder]) -> Result {
    if !value.is_array() {
        return Err(misfit(value, "an array"));
    }
    let length = value.length();
    if length != columns.len() {
        return Err(Misfit::Type(format!("an array of {length} where {} elements came before", columns.len())));
    }
    for (at, column) in columns.iter_mut().enumerate() {
        let part = value.at(at);
        column.push(&part)?;
    }
    Ok(())
}

fn properties(value: &Value, names: &[(String, Name)], columns: &mut [Builder]) -> Result {
    if value.sort() != Sort::Object {
        return Err(misfit(value, "an object"));
    }
    let own = value.names().ok_or(Misfit::Threw)?;
    if let Some(new) = own.raw().position(|atom| names.iter().all(|(_, known)| known.raw() != atom)) {
        let new = own.texts().swap_remove(new);
        return Err(Misfit::Type(format!("an object with the property '{new}', which none before had")));
    }
    for ((name, atom), column) in names.iter().zip(columns) {
        // A property that is only inherited is none.
        let property = if own.raw().any(|own| own == atom.raw()) { value.get(atom) } else { Value::null() };
        column.push(&property).map_err(|misfit| match misfit {
            Misfit::Type(what) => Misfit::Type(format!("{what}, in '{name}'")),
            Misfit::Threw => Misfit::Threw,
        })?;
    }
    Ok(())
}

/// One column.
#[derive(Debug)]
struct Builder {
    data: Data,
    length: usize,
    nulls: usize,
    validity: Vec<u8>,
}

#[derive(Debug)]
enum Data {
    Null,
    Boolean(Vec<u8>),
    Int64(Vec<u8>),
    Float64(Vec<u8>),
    Date(Vec<u8>),
    Text(Texts),
    Json(Texts),
    List { ends: Vec<u8>, item: Box<Builder> },
    Tuple(Vec<Builder>),
    Struct { names: Vec<(String, Name)>, parts: Vec<Builder> },
}

#[derive(Debug)]
struct Texts {
    ends: Vec<u8>,
    bytes: Vec<u8>,
}

/// Where the first text or list starts.
fn origin() -> Vec<u8> {
    0_u32.to_le_bytes().to_vec()
}

impl Texts {
    fn new() -> Self {
        Self { ends: origin(), bytes: Vec::new() }
    }

    fn end(&mut self) {
        self.ends.extend_from_slice(&(self.bytes.len() as u32).to_le_bytes());
    }
}

fn set(bits: &mut Vec<u8>, at: usize, on: bool) {
    if at.is_multiple_of(8) {
        bits.push(0);
    }
    if on && let Some(byte) = bits.last_mut() {
        *byte |= 1 << (at % 8);
    }
}

impl Builder {
    fn new(kind: &Kind) -> Self {
        let data = match kind {
            Kind::Null => Data::Null,
            Kind::Boolean => Data::Boolean(Vec::new()),
            Kind::Int64 => Data::Int64(Vec::new()),
            Kind::Float64 => Data::Float64(Vec::new()),
            Kind::Date => Data::Date(Vec::new()),
            Kind::Text => Data::Text(Texts::new()),
            Kind::Json => Data::Json(Texts::new()),
            Kind::List(item) => Data::List { ends: origin(), item: Box::new(Self::new(item)) },
            Kind::Tuple(parts) => Data::Tuple(parts.iter().map(Self::new).collect()),
            Kind::Struct(fields) => Data::Struct {
                names: fields.iter().map(|(name, _)| (name.clone(), Name::new(name))).collect(),
                parts: fields.iter().map(|(_, kind)| Self::new(kind)).collect(),
            },
        };
        Self { data, length: 0, nulls: 0, validity: Vec::new() }
    }

    fn mark(&mut self, is_valid: bool) {
        set(&mut self.validity, self.length, is_valid);
        self.length += 1;
        self.nulls += usize::from(!is_valid);
    }

    fn push_null(&mut self) {
        match &mut self.data {
            Data::Null => {}
            Data::Boolean(bits) => set(bits, self.length, false),
            Data::Int64(bytes) | Data::Float64(bytes) | Data::Date(bytes) => bytes.extend_from_slice(&[0; 8]),
            Data::Text(texts) | Data::Json(texts) => texts.end(),
            Data::List { ends, item } => ends.extend_from_slice(&(item.length as u32).to_le_bytes()),
            Data::Tuple(parts) | Data::Struct { parts, .. } => parts.iter_mut().for_each(Self::push_null),
        }
        self.mark(false);
    }

    fn push(&mut self, value: &Value) -> Result {
        let sort = value.sort();
        if value.is_exception() {
            return Err(Misfit::Threw);
        }
        if sort == Sort::Nothing {
            self.push_null();
            return Ok(());
        }
        match (&mut self.data, sort) {
            (Data::Null, _) => return Err(misfit(value, "only null")),
            (Data::Boolean(bits), Sort::Boolean(on)) => set(bits, self.length, on),
            (Data::Int64(bytes), Sort::BigInt) => match value.to_integer() {
                Some(number) => bytes.extend_from_slice(&number.to_le_bytes()),
                None => return Err(Misfit::Type("a bigint beyond 64 bits".to_owned())),
            },
            (Data::Float64(bytes), Sort::Number(number)) => bytes.extend_from_slice(&number.to_le_bytes()),
            (Data::Float64(bytes), Sort::BigInt) => {
                let text = value.to_text().ok_or(Misfit::Threw)?;
                bytes.extend_from_slice(&text.parse().unwrap_or(f64::NAN).to_le_bytes());
            }
            (Data::Date(bytes), Sort::Date) => match value.to_number() {
                Some(time) if time.is_finite() => bytes.extend_from_slice(&(time as i64).to_le_bytes()),
                // An invalid date is null in JSON.
                _ => {
                    self.push_null();
                    return Ok(());
                }
            },
            (Data::Text(texts), Sort::Text) => {
                value.read_text(&mut texts.bytes);
                texts.end();
            }
            (Data::Json(texts), Sort::BigInt) => {
                value.read_text(&mut texts.bytes);
                texts.end();
            }
            (Data::Json(texts), _) => {
                if !value.to_json(&mut texts.bytes) {
                    return Err(Misfit::Threw);
                }
                texts.end();
            }
            (Data::List { ends, item }, Sort::Array) => {
                for at in 0..value.length() {
                    item.push(&value.at(at))?;
                }
                ends.extend_from_slice(&(item.length as u32).to_le_bytes());
            }
            (Data::Tuple(columns), Sort::Array) => parts(value, columns)?,
            (Data::Struct { names, parts }, Sort::Object) => properties(value, names, parts)?,
            (data, _) => return Err(misfit(value, data.wanted())),
        }
        self.mark(true);
        Ok(())
    }

    /// Hands out what has grown, and starts again.
    fn finish(&mut self, batch: &mut wire::RecordBatch) {
        let length = std::mem::take(&mut self.length);
        let nulls = std::mem::take(&mut self.nulls);
        let validity = std::mem::take(&mut self.validity);
        if matches!(self.data, Data::Null) {
            batch.nodes.push(wire::FieldNode { length: length as u64, null_count: length as u64 });
            return;
        }
        batch.nodes.push(wire::FieldNode { length: length as u64, null_count: nulls as u64 });
        batch.buffers.push(if nulls == 0 { Vec::new() } else { validity });
        match &mut self.data {
            Data::Null => {}
            Data::Boolean(bytes) | Data::Int64(bytes) | Data::Float64(bytes) | Data::Date(bytes) => {
                batch.buffers.push(std::mem::take(bytes));
            }
            Data::Text(texts) | Data::Json(texts) => {
                batch.buffers.push(std::mem::replace(&mut texts.ends, origin()));
                batch.buffers.push(std::mem::take(&mut texts.bytes));
            }
            Data::List { ends, item } => {
                batch.buffers.push(std::mem::replace(ends, origin()));
                item.finish(batch);
            }
            Data::Tuple(parts) | Data::Struct { parts, .. } => parts.iter_mut().for_each(|part| part.finish(batch)),
        }
    }
}

impl Data {
    const fn wanted(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Int64(_) => "a bigint",
            Self::Float64(_) => "a number",
            Self::Date(_) => "a date",
            Self::Text(_) => "a string",
            Self::Json(_) => "JSON",
            Self::List { .. } | Self::Tuple(_) => "an array",
            Self::Struct { .. } => "an object",
        }
    }
}
