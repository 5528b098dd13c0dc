//! Columns of a batch to JavaScript values, one row at a time. Only buffers are looked at; what types there are is in
//! `kind`.

use crate::config::Element;
use crate::engine::context;
use crate::value::{Name, Value};
use azora_guest::Failure;
use azora_guest::bindings::azora::plugin::batch_types as wire;
use rquickjs_sys as qjs;
use std::ops::Range;

/// A column's type, with the names of what is nested.
#[derive(Debug)]
pub(crate) enum Column {
    Null,
    Boolean,
    Int64,
    Float64,
    Text,
    Json,
    Date,
    List(Box<Self>),
    Tuple(Vec<Self>),
    Struct { names: Vec<Name>, parts: Vec<Self> },
}

/// The columns of elements.
#[derive(Debug)]
pub(crate) struct Columns {
    element: Element,
    names: Vec<Name>,
    columns: Vec<Column>,
}

impl Columns {
    /// The top-level columns of a schema from one place up to another.
    pub(crate) fn new(schema: &wire::Schema, element: Element, range: Range<usize>) -> Result<Self, Failure> {
        let mut fields = schema.fields.iter();
        let (mut names, mut columns) = (Vec::new(), Vec::new());
        for at in 0..range.end {
            let field = fields.next().ok_or_else(|| Failure::internal("too few columns"))?;
            let column = Column::new(field, &mut fields)?;
            if range.contains(&at) {
                names.push(Name::new(&field.name));
                columns.push(column);
            }
        }
        Ok(Self { element, names, columns })
    }

    /// The element of a row.
    pub(crate) fn element(&self, batch: &[Array<'_>], row: usize) -> Value {
        let mut values = self.columns.iter().zip(batch).map(|(column, array)| column.value(array, row));
        match self.element {
            Element::Scalar => values.next().unwrap_or(Value::null()),
            Element::Tuple => Value::array(values.collect()),
            Element::Object => object(&self.names, values),
        }
    }

    /// Takes a batch of these columns apart.
    pub(crate) fn arrays<'a>(&self, batch: &mut Parts<'a>) -> Result<Vec<Array<'a>>, Failure> {
        self.columns.iter().map(|column| batch.array(column)).collect()
    }
}

fn object(names: &[Name], values: impl Iterator<Item = Value>) -> Value {
    const INLINE: usize = 32;
    let mut atoms = [0; INLINE];
    let mut raw = [qjs::JS_NULL; INLINE];
    if names.len() <= INLINE {
        for (at, (name, value)) in names.iter().zip(values).enumerate() {
            atoms[at] = name.raw();
            raw[at] = value.into_raw();
        }
        return own(names.len(), atoms.as_ptr(), raw.as_ptr());
    }
    let atoms: Vec<qjs::JSAtom> = names.iter().map(Name::raw).collect();
    let raw: Vec<qjs::JSValue> = values.map(Value::into_raw).collect();
    own(atoms.len(), atoms.as_ptr(), raw.as_ptr())
}

fn own(count: usize, atoms: *const qjs::JSAtom, values: *const qjs::JSValue) -> Value {
    // SAFETY: both tables have `count` entries, and the object takes the ownership of the values.
    Value::own(unsafe { qjs::JS_NewObjectFrom(context(), count as _, atoms, values) })
}

impl Column {
    fn new(field: &wire::Field, rest: &mut std::slice::Iter<'_, wire::Field>) -> Result<Self, Failure> {
        let says = |key: &str| field.metadata.iter().any(|entry| entry.key == key && entry.value == "true");
        let mut parts = |count: u32| {
            let (mut names, mut parts) = (Vec::new(), Vec::new());
            for _ in 0..count {
                let field = rest.next().ok_or_else(|| Failure::internal("a schema that ends early"))?;
                names.push(Name::new(&field.name));
                parts.push(Self::new(field, rest)?);
            }
            Ok::<_, Failure>((names, parts))
        };
        Ok(match &field.data_type {
            wire::DataType::Null => Self::Null,
            wire::DataType::Boolean => Self::Boolean,
            wire::DataType::Int64 => Self::Int64,
            wire::DataType::Float64 => Self::Float64,
            wire::DataType::Utf8 if says("azora:json") => Self::Json,
            wire::DataType::Utf8 => Self::Text,
            wire::DataType::Timestamp(_) => Self::Date,
            wire::DataType::VarList => {
                let (_, mut parts) = parts(1)?;
                Self::List(Box::new(parts.pop().unwrap_or(Self::Null)))
            }
            wire::DataType::Struct => match parts(field.children)? {
                (_, parts) if says("azora:tuple") => Self::Tuple(parts),
                (names, parts) => Self::Struct { names, parts },
            },
            _ => return Err(Failure::unsupported(format!("column '{}' has a type without a meaning in JavaScript", field.name))),
        })
    }

    fn value(&self, array: &Array<'_>, row: usize) -> Value {
        if !array.is_valid(row) {
            return Value::null();
        }
        match self {
            Self::Null => Value::null(),
            Self::Boolean => Value::boolean(bit(array.buffers[0], row)),
            Self::Int64 => Value::number(array.integer(row) as f64),
            Self::Float64 => Value::number(f64::from_bits(array.integer(row) as u64)),
            Self::Date => Value::date(array.integer(row) as f64),
            Self::Text => Value::text(array.text(row)),
            Self::Json => Value::json(std::str::from_utf8(array.text(row)).unwrap_or("null")),
            Self::List(item) => {
                let (from, to) = array.range(row);
                match array.children.first() {
                    Some(items) => Value::array((from..to).map(|at| item.value(items, at)).collect()),
                    None => Value::array(Vec::new()),
                }
            }
            Self::Tuple(parts) => Value::array(parts.iter().zip(&array.children).map(|(part, child)| part.value(child, row)).collect()),
            Self::Struct { names, parts } => object(names, parts.iter().zip(&array.children).map(|(part, child)| part.value(child, row))),
        }
    }
}

/// One column of a batch. The host checked it; a read behind its end gives zeros.
#[derive(Debug)]
pub(crate) struct Array<'a> {
    nulls: Option<&'a [u8]>,
    buffers: [&'a [u8]; 2],
    children: Vec<Self>,
}

impl<'a> Array<'a> {
    fn is_valid(&self, row: usize) -> bool {
        self.nulls.is_none_or(|bits| bit(bits, row))
    }

    fn integer(&self, row: usize) -> i64 {
        let bytes = self.buffers[0].get(row * 8..row * 8 + 8);
        bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_le_bytes)
    }

    fn offset(&self, at: usize) -> usize {
        let bytes = self.buffers[0].get(at * 4..at * 4 + 4);
        bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes) as usize
    }

    fn range(&self, row: usize) -> (usize, usize) {
        (self.offset(row), self.offset(row + 1))
    }

    fn text(&self, row: usize) -> &'a [u8] {
        let (from, to) = self.range(row);
        self.buffers[1].get(from..to).unwrap_or_default()
    }

    /// Whether a row of booleans is true.
    pub(crate) fn flag(&self, row: usize) -> bool {
        self.is_valid(row) && bit(self.buffers[0], row)
    }
}

fn bit(bits: &[u8], row: usize) -> bool {
    bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
}

/// Nodes and buffers of a batch that were not taken yet.
pub(crate) struct Parts<'a> {
    nodes: std::slice::Iter<'a, wire::FieldNode>,
    buffers: std::slice::Iter<'a, Vec<u8>>,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(batch: &'a wire::RecordBatch) -> Self {
        Self { nodes: batch.nodes.iter(), buffers: batch.buffers.iter() }
    }

    fn buffer(&mut self) -> Result<&'a [u8], Failure> {
        self.buffers.next().map(Vec::as_slice).ok_or_else(|| Failure::internal("a batch with too few buffers"))
    }

    fn array(&mut self, column: &Column) -> Result<Array<'a>, Failure> {
        let node = self.nodes.next().ok_or_else(|| Failure::internal("a batch with too few columns"))?;
        let mut array = Array { nulls: None, buffers: [&[], &[]], children: Vec::new() };
        if matches!(column, Column::Null) {
            return Ok(array);
        }
        let nulls = self.buffer()?;
        array.nulls = (node.null_count > 0).then_some(nulls);
        match column {
            Column::Null => {}
            Column::Boolean | Column::Int64 | Column::Float64 | Column::Date => array.buffers[0] = self.buffer()?,
            Column::Text | Column::Json => array.buffers = [self.buffer()?, self.buffer()?],
            Column::List(item) => {
                array.buffers[0] = self.buffer()?;
                array.children.push(self.array(item)?);
            }
            Column::Tuple(parts) | Column::Struct { parts, .. } => {
                array.children = parts.iter().map(|part| self.array(part)).collect::<Result<_, _>>()?;
            }
        }
        Ok(array)
    }

    /// The column of flags behind those of the elements.
    pub(crate) fn flags(&mut self) -> Result<Array<'a>, Failure> {
        self.array(&Column::Boolean)
    }
}
