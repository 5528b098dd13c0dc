//! PostgreSQL types and the Arrow types that their values become. How the bytes of a value are read lives in `column.rs`.

use arrow::datatypes::{DataType, Field, TimeUnit};
use std::sync::Arc;
use tokio_postgres::types::{Kind as Nature, Type};

/// Most digits of a 128-bit decimal.
const DECIMAL_DIGITS_MAX: i32 = 38;
/// What the server adds to a numeric's modifier.
const MODIFIER_OFFSET: i32 = 4;

/// How a column's binary values are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int16,
    Int32,
    Int64,
    /// Object ids: unsigned 32-bit numbers, given as Int64.
    Oid,
    Float32,
    Float64,
    /// Text, and every type that is sent as its text.
    Text,
    /// Text behind one byte that says the version.
    Jsonb,
    Uuid,
    Bytes,
    Date,
    Time,
    Timestamp,
    /// An instant; given in UTC.
    Instant,
    Decimal {
        precision: u8,
        scale: i8,
    },
    List(Box<Self>),
}

/// A column's kind, and the type that it must be cast to in the query for it, where it must.
pub(crate) fn kind(of: &Type, modifier: i32) -> (Kind, Option<&'static str>) {
    if let Some(kind) = native(of, modifier) {
        return (kind, None);
    }
    match of.kind() {
        Nature::Domain(inner) => kind(inner, modifier),
        Nature::Enum(_) => (Kind::Text, None),
        Nature::Array(item) => match kind(item, modifier) {
            (item, None) => (Kind::List(Box::new(item)), None),
            (_, Some(_)) => (Kind::List(Box::new(Kind::Text)), Some("text[]")),
        },
        _ => (Kind::Text, Some("text")),
    }
}

fn native(of: &Type, modifier: i32) -> Option<Kind> {
    Some(match *of {
        Type::BOOL => Kind::Bool,
        Type::INT2 => Kind::Int16,
        Type::INT4 => Kind::Int32,
        Type::INT8 => Kind::Int64,
        Type::OID => Kind::Oid,
        Type::FLOAT4 => Kind::Float32,
        Type::FLOAT8 => Kind::Float64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON | Type::UNKNOWN => Kind::Text,
        Type::JSONB => Kind::Jsonb,
        Type::UUID => Kind::Uuid,
        Type::BYTEA => Kind::Bytes,
        Type::DATE => Kind::Date,
        Type::TIME => Kind::Time,
        Type::TIMESTAMP => Kind::Timestamp,
        Type::TIMESTAMPTZ => Kind::Instant,
        Type::NUMERIC => decimal(modifier)?,
        _ => return None,
    })
}

/// A numeric of known size; one without, or with more digits than a decimal holds, is read as text.
fn decimal(modifier: i32) -> Option<Kind> {
    let bits = modifier.checked_sub(MODIFIER_OFFSET).filter(|bits| *bits >= 0)?;
    let precision = (bits >> 16) & 0xffff;
    // Eleven bits with a sign.
    let scale = ((bits & 0x7ff) ^ 1024) - 1024;
    let fits = (1..=DECIMAL_DIGITS_MAX).contains(&precision) && (0..=precision).contains(&scale);
    if !fits {
        return None;
    }
    Some(Kind::Decimal { precision: u8::try_from(precision).ok()?, scale: i8::try_from(scale).ok()? })
}

impl Kind {
    /// The Arrow type.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 | Self::Oid => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Text | Self::Jsonb | Self::Uuid => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::List(item) => DataType::List(Arc::new(Field::new("item", item.data_type(), true))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};
    use tokio_postgres::types::Type;

    #[test]
    fn types_become_what_keeps_their_values() {
        let check = |of: Type, modifier: i32, expect: (Kind, Option<&'static str>)| assert_eq!(kind(&of, modifier), expect);
        check(Type::INT4, -1, (Kind::Int32, None));
        check(Type::NUMERIC, ((12 << 16) | 2) + 4, (Kind::Decimal { precision: 12, scale: 2 }, None));
        check(Type::NUMERIC, -1, (Kind::Text, Some("text")));
        check(Type::NUMERIC, (50 << 16) + 4, (Kind::Text, Some("text")));
        // A negative scale: numeric(5,-2).
        check(Type::NUMERIC, ((5 << 16) | (0x7ff & -2)) + 4, (Kind::Text, Some("text")));
        check(Type::INET, -1, (Kind::Text, Some("text")));
        check(Type::INT8_ARRAY, -1, (Kind::List(Box::new(Kind::Int64)), None));
        check(Type::INET_ARRAY, -1, (Kind::List(Box::new(Kind::Text)), Some("text[]")));
    }
}
