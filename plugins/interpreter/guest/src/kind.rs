//! Types of columns: read from the configuration, found out from values, widened, and written for the host and for the
//! contract. How values of a type lie in buffers is in `input` and `output`.

use crate::value::{Sort, Value};
use azora_guest::bindings::azora::plugin::batch_types as wire;
use std::collections::HashMap;

/// Most properties of objects that become columns of their own. Objects with more are maps, and stay JSON.
const PROPERTIES_MAX: usize = 128;
/// Longest name that becomes a column's.
const NAME_BYTES_MAX: usize = 128;
/// Most parts of a tuple.
const PARTS_MAX: usize = 16;
/// Deepest nesting of columns; what is deeper stays JSON.
const DEPTH_MAX: usize = 16;

/// The type of a column. Every column may hold null.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Int64,
    Float64,
    Text,
    /// Milliseconds since 1970.
    Date,
    /// Any value, as JSON text.
    Json,
    List(Box<Self>),
    Tuple(Vec<Self>),
    Struct(Vec<(String, Self)>),
}

impl Kind {
    /// Reads the host's word for a type: a string, or an object with one property that says what is nested.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        if value.sort() == Sort::Text {
            return Some(match value.to_text()?.as_str() {
                "null" => Self::Null,
                "boolean" => Self::Boolean,
                "int64" => Self::Int64,
                "float64" => Self::Float64,
                "utf8" => Self::Text,
                "timestamp" => Self::Date,
                "json" => Self::Json,
                _ => return None,
            });
        }
        let all = |list: &Value| (0..list.length()).map(|at| Self::read(&list.at(at))).collect::<Option<Vec<_>>>();
        let (list, tuple, fields) = (value.property("list"), value.property("tuple"), value.property("struct"));
        if !list.is_nullish() {
            return Some(Self::List(Box::new(Self::read(&list)?)));
        }
        if tuple.is_array() {
            return Some(Self::Tuple(all(&tuple)?));
        }
        let field = |at: usize| {
            let pair = fields.at(at);
            Some((pair.at(0).to_text()?, Self::read(&pair.at(1))?))
        };
        fields.is_array().then(|| (0..fields.length()).map(field).collect::<Option<Vec<_>>>().map(Self::Struct)).flatten()
    }

    /// The host's word for it.
    pub(crate) fn write(&self, into: &mut String) {
        match self {
            Self::Null => into.push_str("\"null\""),
            Self::Boolean => into.push_str("\"boolean\""),
            Self::Int64 => into.push_str("\"int64\""),
            Self::Float64 => into.push_str("\"float64\""),
            Self::Text => into.push_str("\"utf8\""),
            Self::Date => into.push_str("\"timestamp\""),
            Self::Json => into.push_str("\"json\""),
            Self::List(item) => {
                into.push_str("{\"list\":");
                item.write(into);
                into.push('}');
            }
            Self::Tuple(parts) => {
                into.push_str("{\"tuple\":[");
                for (at, part) in parts.iter().enumerate() {
                    into.push_str(if at == 0 { "" } else { "," });
                    part.write(into);
                }
                into.push_str("]}");
            }
            Self::Struct(fields) => {
                into.push_str("{\"struct\":[");
                for (at, (name, kind)) in fields.iter().enumerate() {
                    into.push_str(if at == 0 { "[" } else { ",[" });
                    quote(name, into);
                    into.push(',');
                    kind.write(into);
                    into.push(']');
                }
                into.push_str("]}");
            }
        }
    }

    /// Its fields in the contract, in pre-order.
    pub(crate) fn fields(&self, name: &str, into: &mut Vec<wire::Field>) {
        let field = |data_type, children: usize, key: Option<&str>| wire::Field {
            name: name.to_owned(),
            data_type,
            nullable: true,
            children: children as u32,
            metadata: key.map(|key| wire::MetadataEntry { key: key.to_owned(), value: "true".to_owned() }).into_iter().collect(),
        };
        match self {
            Self::Null => into.push(field(wire::DataType::Null, 0, None)),
            Self::Boolean => into.push(field(wire::DataType::Boolean, 0, None)),
            Self::Int64 => into.push(field(wire::DataType::Int64, 0, None)),
            Self::Float64 => into.push(field(wire::DataType::Float64, 0, None)),
            Self::Text => into.push(field(wire::DataType::Utf8, 0, None)),
            Self::Json => into.push(field(wire::DataType::Utf8, 0, Some("azora:json"))),
            Self::Date => {
                let stamp = wire::TimestampType { unit: wire::TimeUnit::Millisecond, zone: Some("UTC".to_owned()) };
                into.push(field(wire::DataType::Timestamp(stamp), 0, None));
            }
            Self::List(item) => {
                into.push(field(wire::DataType::VarList, 1, None));
                item.fields("item", into);
            }
            Self::Tuple(parts) => {
                into.push(field(wire::DataType::Struct, parts.len(), Some("azora:tuple")));
                for (at, part) in parts.iter().enumerate() {
                    part.fields(&format!("_{}", at + 1), into);
                }
            }
            Self::Struct(fields) => {
                into.push(field(wire::DataType::Struct, fields.len(), None));
                for (name, kind) in fields {
                    kind.fields(name, into);
                }
            }
        }
    }
}

/// Writes a JSON string.
pub(crate) fn quote(text: &str, into: &mut String) {
    into.push('"');
    for character in text.chars() {
        match character {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            control if control < ' ' => into.push_str(&format!("\\u{:04x}", control as u32)),
            other => into.push(other),
        }
    }
    into.push('"');
}

/// What was seen of values so far, before it is decided what arrays are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// Nothing but null.
    Nothing,
    One(Kind),
    Array(Array),
    Object(Object),
}

/// What was seen of arrays.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    /// Of all elements.
    item: Box<Seen>,
    /// Of the elements by place, as long as all arrays have the same few.
    parts: Option<Vec<Seen>>,
}

/// What was seen of objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Object {
    fields: Vec<(String, Seen)>,
    at: HashMap<String, usize>,
}

impl Seen {
    /// What the values of a column are, as far as its type says.
    pub(crate) fn of_kind(kind: &Kind) -> Self {
        match kind {
            Kind::Null => Self::Nothing,
            Kind::List(item) => Self::Array(Array { item: Box::new(Self::of_kind(item)), parts: None }),
            Kind::Tuple(parts) => {
                let parts: Vec<Self> = parts.iter().map(Self::of_kind).collect();
                let item = parts.iter().cloned().fold(Self::Nothing, Self::merge);
                Self::Array(Array { item: Box::new(item), parts: Some(parts) })
            }
            Kind::Struct(fields) => {
                let at = fields.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
                Self::Object(Object { fields: fields.iter().map(|(name, kind)| (name.clone(), Self::of_kind(kind))).collect(), at })
            }
            simple => Self::One(simple.clone()),
        }
    }

    /// What a value is; none where looking at it throws.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        Self::within(value, DEPTH_MAX)
    }

    fn within(value: &Value, depth: usize) -> Option<Self> {
        let sort = value.sort();
        if depth == 0 && matches!(sort, Sort::Array | Sort::Object) {
            return Some(Self::One(Kind::Json));
        }
        Some(match sort {
            Sort::Nothing => Self::Nothing,
            Sort::Boolean(_) => Self::One(Kind::Boolean),
            Sort::Number(_) => Self::One(Kind::Float64),
            Sort::BigInt => Self::One(Kind::Int64),
            Sort::Text => Self::One(Kind::Text),
            Sort::Date => Self::One(Kind::Date),
            Sort::Array => {
                let length = value.length();
                let mut item = Self::Nothing;
                let mut parts = (length <= PARTS_MAX).then(Vec::new);
                for at in 0..length {
                    let seen = Self::within(&value.at(at), depth - 1)?;
                    if let Some(parts) = &mut parts {
                        parts.push(seen.clone());
                    }
                    item = item.merge(seen);
                }
                Self::Array(Array { item: Box::new(item), parts })
            }
            Sort::Object => {
                let names = value.names()?;
                if names.len() == 0 || names.len() > PROPERTIES_MAX {
                    return Some(Self::One(Kind::Json));
                }
                let names = names.texts();
                if names.iter().any(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
                    return Some(Self::One(Kind::Json));
                }
                let mut object = Object::default();
                for name in names {
                    let property = value.property(&name);
                    if property.is_exception() {
                        return None;
                    }
                    let seen = Self::within(&property, depth - 1)?;
                    object.at.insert(name.clone(), object.fields.len());
                    object.fields.push((name, seen));
                }
                Self::Object(object)
            }
        })
    }

    /// What both are.
    pub(crate) fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, seen) | (seen, Self::Nothing) => seen,
            (Self::One(a), Self::One(b)) if a == b => Self::One(a),
            (Self::One(Kind::Int64 | Kind::Float64), Self::One(Kind::Int64 | Kind::Float64)) => Self::One(Kind::Float64),
            (Self::Array(a), Self::Array(b)) => {
                let parts = match (a.parts, b.parts) {
                    (Some(a), Some(b)) if a.len() == b.len() => Some(a.into_iter().zip(b).map(|(a, b)| a.merge(b)).collect()),
                    _ => None,
                };
                Self::Array(Array { item: Box::new(a.item.merge(*b.item)), parts })
            }
            (Self::Object(mut a), Self::Object(b)) => {
                for (name, seen) in b.fields {
                    match a.at.get(&name) {
                        Some(&at) => {
                            let known = std::mem::replace(&mut a.fields[at].1, Self::Nothing);
                            a.fields[at].1 = known.merge(seen);
                        }
                        None => {
                            a.at.insert(name.clone(), a.fields.len());
                            a.fields.push((name, seen));
                        }
                    }
                }
                if a.fields.len() > PROPERTIES_MAX { Self::One(Kind::Json) } else { Self::Object(a) }
            }
            _ => Self::One(Kind::Json),
        }
    }

    /// The type for a column. `pairs`: at the top, arrays of two are pairs even where both parts have one type.
    pub(crate) fn settle(&self, pairs: bool) -> Kind {
        match self {
            // A later value may be anything.
            Self::Nothing => Kind::Json,
            Self::One(kind) => kind.clone(),
            Self::Array(Array { item, parts }) => {
                let item = item.settle(false);
                match parts {
                    Some(parts) if parts.len() == 2 && pairs || parts.len() > 1 && holds_mixed(&item) => {
                        Kind::Tuple(parts.iter().map(|part| part.settle(false)).collect())
                    }
                    _ => Kind::List(Box::new(item)),
                }
            }
            Self::Object(object) => Kind::Struct(object.fields.iter().map(|(name, seen)| (name.clone(), seen.settle(false))).collect()),
        }
    }
}

/// Whether values of more than one type, or of none, met in it.
fn holds_mixed(kind: &Kind) -> bool {
    *kind == Kind::Json
}
