//! JSON rows to Arrow buffers and back, as the contract lays them out.

use azora_expression::{Element, Field, Type};
use serde_json::{Map, Value, json};

#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) nodes: Vec<(u64, u64)>,
    pub(crate) buffers: Vec<Vec<u8>>,
}

fn bitmap(bits: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, bit) in bits.enumerate() {
        if at % 8 == 0 {
            out.push(0);
        }
        *out.last_mut().unwrap() |= u8::from(bit) << (at % 8);
    }
    out
}

/// A column per field; garbage lies under nulls, as it may in real batches.
pub(crate) fn write(field: &Field, values: &[&Value], out: &mut Columns) {
    let nulls = values.iter().filter(|value| value.is_null()).count();
    out.nodes.push((values.len() as u64, nulls as u64));
    if field.ty == Type::Null {
        return;
    }
    assert!(nulls == 0 || field.nullable, "null in {field:?}");
    out.buffers.push(if nulls == 0 { Vec::new() } else { bitmap(values.iter().map(|value| !value.is_null())) });
    match &field.ty {
        Type::Null => {}
        Type::Boolean => out.buffers.push(bitmap(values.iter().map(|value| value.as_bool().unwrap_or(true)))),
        Type::Int64 | Type::Timestamp => {
            out.buffers.push(values.iter().flat_map(|value| value.as_i64().unwrap_or(i64::MAX).to_le_bytes()).collect());
        }
        Type::Float64 => out.buffers.push(values.iter().flat_map(|value| float(value).to_le_bytes()).collect()),
        Type::Utf8 => {
            let (mut offsets, mut bytes) = (0_i32.to_le_bytes().to_vec(), Vec::new());
            for value in values {
                bytes.extend_from_slice(value.as_str().unwrap_or("garbage").as_bytes());
                offsets.extend_from_slice(&(bytes.len() as i32).to_le_bytes());
            }
            out.buffers.extend([offsets, bytes]);
        }
        Type::List(item) => {
            let (mut offsets, mut items) = (0_i32.to_le_bytes().to_vec(), Vec::new());
            for value in values {
                items.extend(value.as_array().into_iter().flatten());
                offsets.extend_from_slice(&(items.len() as i32).to_le_bytes());
            }
            out.buffers.push(offsets);
            write(item, &items, out);
        }
        Type::Struct(fields) | Type::Tuple(fields) => {
            for (at, field) in fields.iter().enumerate() {
                let null = zero(field);
                let parts: Vec<&Value> = values.iter().map(|value| part(value, field, at).unwrap_or(&null)).collect();
                write(field, &parts, out);
            }
        }
    }
}

/// NaN and infinities have no JSON: cases write them as strings.
fn float(value: &Value) -> f64 {
    match value.as_str() {
        Some(text) => text.parse().unwrap(),
        None => value.as_f64().unwrap_or(7e77),
    }
}

fn zero(field: &Field) -> Value {
    match field.ty {
        _ if field.nullable => Value::Null,
        Type::Boolean => json!(false),
        Type::Utf8 => json!(""),
        Type::List(_) | Type::Tuple(_) => json!([]),
        Type::Struct(_) => json!({}),
        _ => json!(0),
    }
}

pub(crate) fn part<'v>(value: &'v Value, field: &Field, at: usize) -> Option<&'v Value> {
    match value {
        Value::Object(object) => object.get(&field.name),
        Value::Array(items) => items.get(at),
        _ => None,
    }
}

/// The value of a top-level column in an element.
pub(crate) fn column<'v>(element: &Element, value: &'v Value, at: usize) -> &'v Value {
    const NULL: &Value = &Value::Null;
    match element {
        Element::Scalar(_) => value,
        Element::Object(fields) | Element::Tuple(fields) => part(value, &fields[at], at).unwrap_or(NULL),
    }
}

/// Reads a column back; buffers must be at least as long as they have to be.
pub(crate) fn read(field: &Field, nodes: &mut impl Iterator<Item = (u64, u64)>, buffers: &mut impl Iterator<Item = Vec<u8>>) -> Vec<Value> {
    let (length, nulls) = nodes.next().unwrap();
    let length = usize::try_from(length).unwrap();
    if field.ty == Type::Null {
        assert_eq!(nulls, length as u64);
        return vec![Value::Null; length];
    }
    let validity = buffers.next().unwrap();
    let bit = |bits: &[u8], at: usize| bits[at / 8] >> (at % 8) & 1 == 1;
    let is_valid: Vec<bool> = (0..length).map(|at| validity.is_empty() || bit(&validity, at)).collect();
    assert_eq!(is_valid.iter().filter(|valid| !**valid).count() as u64, nulls, "null count of {}", field.name);
    assert!(field.nullable || nulls == 0);
    let values: Vec<Value> = match &field.ty {
        Type::Null => Vec::new(),
        Type::Boolean => {
            let bits = buffers.next().unwrap();
            (0..length).map(|at| json!(bit(&bits, at))).collect()
        }
        Type::Int64 | Type::Timestamp => words(&buffers.next().unwrap()).map(|word| json!(i64::from_le_bytes(word))).take(length).collect(),
        Type::Float64 => words(&buffers.next().unwrap()).map(|word| number(f64::from_le_bytes(word))).take(length).collect(),
        Type::Utf8 => {
            let extents = extents(&buffers.next().unwrap(), length);
            let bytes = buffers.next().unwrap();
            extents.into_iter().map(|range| json!(std::str::from_utf8(&bytes[range]).unwrap())).collect()
        }
        Type::List(item) => {
            let extents = extents(&buffers.next().unwrap(), length);
            let items = read(item, nodes, buffers);
            extents.into_iter().map(|range| json!(items[range])).collect()
        }
        Type::Struct(fields) | Type::Tuple(fields) => {
            let parts: Vec<Vec<Value>> = fields.iter().map(|field| read(field, nodes, buffers)).collect();
            let is_tuple = matches!(field.ty, Type::Tuple(_));
            (0..length).map(|at| joined(fields, is_tuple, parts.iter().map(|part| part[at].clone()))).collect()
        }
    };
    assert_eq!(values.len(), length);
    values.into_iter().zip(is_valid).map(|(value, is_valid)| if is_valid { value } else { Value::Null }).collect()
}

pub(crate) fn joined(fields: &[Field], is_tuple: bool, parts: impl Iterator<Item = Value>) -> Value {
    if is_tuple {
        return parts.collect();
    }
    Value::Object(fields.iter().map(|field| field.name.clone()).zip(parts).collect::<Map<_, _>>())
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 8]> {
    bytes.chunks_exact(8).map(|chunk| chunk.try_into().unwrap())
}

fn extents(bytes: &[u8], length: usize) -> Vec<std::ops::Range<usize>> {
    let offsets: Vec<usize> = bytes.chunks_exact(4).map(|chunk| i32::from_le_bytes(chunk.try_into().unwrap()) as usize).collect();
    (0..length).map(|at| offsets[at]..offsets[at + 1]).collect()
}

/// As JavaScript prints it.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}
