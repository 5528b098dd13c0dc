//! Arrow types and schemas as trees. Their flat form on the wire is in `wire.rs`; rows are in `array.rs`.

use std::fmt;

/// Steps of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// 1 s.
    Second,
    /// 1 ms.
    Millisecond,
    /// 1 µs.
    Microsecond,
    /// 1 ns.
    Nanosecond,
}

/// Parts of a calendar interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalUnit {
    /// Months.
    YearMonth,
    /// Days and milliseconds.
    DayTime,
    /// Months, days and nanoseconds.
    MonthDayNano,
}

/// The type of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Arrow's")]
pub enum DataType {
    Null,
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float16,
    Float32,
    Float64,
    Decimal128 {
        precision: u8,
        scale: i8,
    },
    Date32,
    Date64,
    Time32(TimeUnit),
    Time64(TimeUnit),
    Timestamp {
        unit: TimeUnit,
        zone: Option<String>,
    },
    Duration(TimeUnit),
    Interval(IntervalUnit),
    Utf8,
    LargeUtf8,
    Binary,
    LargeBinary,
    FixedSizeBinary(u32),
    Struct(Vec<Field>),
    List(Box<Field>),
    LargeList(Box<Field>),
    FixedSizeList(Box<Field>, u32),
    /// Entries and whether the keys are sorted.
    Map(Box<Field>, bool),
}

/// A named column or part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it may hold nulls.
    pub nullable: bool,
    /// Notes for those who know them.
    pub metadata: Vec<(String, String)>,
}

impl Field {
    /// A field without metadata.
    pub fn new(name: impl Into<String>, data_type: DataType, nullable: bool) -> Self {
        Self { name: name.into(), data_type, nullable, metadata: Vec::new() }
    }

    /// The same under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether a null can be anywhere in it, its children included.
    #[must_use]
    pub fn may_hold_null(&self) -> bool {
        self.nullable || self.data_type.children().iter().any(Self::may_hold_null)
    }
}

/// The columns of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// The columns.
    pub fields: Vec<Field>,
    /// Notes; `azora:element` says how the columns make one element.
    pub metadata: Vec<(String, String)>,
}

/// How the columns of a row make one element of the job's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// One column named `value`.
    Scalar,
    /// One column per property.
    Object,
    /// Columns `_1`, `_2`, ….
    Tuple,
}

/// Key of the schema's metadata that names its [`Element`].
pub(crate) const ELEMENT_KEY: &str = "azora:element";
/// Key of a struct field's metadata where it holds a tuple.
pub(crate) const TUPLE_KEY: &str = "azora:tuple";
/// The column of a scalar element.
pub(crate) const VALUE: &str = "value";

impl Element {
    /// What a schema says of itself.
    #[must_use]
    pub fn of(schema: &Schema) -> Self {
        match schema.metadata.iter().find(|(key, _)| key == ELEMENT_KEY).map(|(_, word)| word.as_str()) {
            Some("scalar") => Self::Scalar,
            Some("tuple") => Self::Tuple,
            _ => Self::Object,
        }
    }

    /// The word in the metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Object => "object",
            Self::Tuple => "tuple",
        }
    }

    /// A schema of this kind.
    #[must_use]
    pub fn schema(self, fields: Vec<Field>) -> Schema {
        Schema { fields, metadata: vec![(ELEMENT_KEY.to_owned(), self.as_str().to_owned())] }
    }
}

impl DataType {
    /// The fields inside a nested type.
    #[must_use]
    pub fn children(&self) -> &[Field] {
        match self {
            Self::Struct(fields) => fields,
            Self::List(field) | Self::LargeList(field) | Self::FixedSizeList(field, _) | Self::Map(field, _) => std::slice::from_ref(field),
            _ => &[],
        }
    }
}

impl DataType {
    /// The name without what is inside. By hand, since `Debug` would bring kilobytes of formatting into every plugin.
    const fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::UInt8 => "uint8",
            Self::UInt16 => "uint16",
            Self::UInt32 => "uint32",
            Self::UInt64 => "uint64",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Decimal128 { .. } => "decimal128",
            Self::Date32 => "date32",
            Self::Date64 => "date64",
            Self::Time32(_) => "time32",
            Self::Time64(_) => "time64",
            Self::Timestamp { .. } => "timestamp",
            Self::Duration(_) => "duration",
            Self::Interval(_) => "interval",
            Self::Utf8 => "utf8",
            Self::LargeUtf8 => "large-utf8",
            Self::Binary => "binary",
            Self::LargeBinary => "large-binary",
            Self::FixedSizeBinary(_) => "fixed-size-binary",
            Self::Struct(_) => "struct",
            Self::List(_) | Self::FixedSizeList(..) => "list",
            Self::LargeList(_) => "large-list",
            Self::Map(..) => "map",
        }
    }
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "s",
            Self::Millisecond => "ms",
            Self::Microsecond => "us",
            Self::Nanosecond => "ns",
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal128 { precision, scale } => write!(f, "decimal128({precision}, {scale})"),
            Self::Time32(unit) => write!(f, "time32({unit})"),
            Self::Time64(unit) => write!(f, "time64({unit})"),
            Self::Timestamp { unit, zone: None } => write!(f, "timestamp({unit})"),
            Self::Timestamp { unit, zone: Some(zone) } => write!(f, "timestamp({unit}, {zone})"),
            Self::Duration(unit) => write!(f, "duration({unit})"),
            Self::FixedSizeBinary(width) => write!(f, "fixed-size-binary({width})"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (at, field) in fields.iter().enumerate() {
                    write!(f, "{}{}: {}", if at == 0 { "" } else { ", " }, field.name, field.data_type)?;
                }
                f.write_str(">")
            }
            Self::List(field) => write!(f, "list<{}>", field.data_type),
            Self::LargeList(field) => write!(f, "large-list<{}>", field.data_type),
            Self::FixedSizeList(field, width) => write!(f, "list<{}; {width}>", field.data_type),
            Self::Map(field, _) => write!(f, "map<{}>", field.data_type),
            plain => f.write_str(plain.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_print_as_people_write_them() {
        let point = DataType::Struct(vec![Field::new("x", DataType::Float64, false), Field::new("y", DataType::Int64, true)]);
        assert_eq!(DataType::List(Box::new(Field::new("item", point, true))).to_string(), "list<struct<x: float64, y: int64>>");
        assert_eq!(DataType::Timestamp { unit: TimeUnit::Microsecond, zone: Some("UTC".into()) }.to_string(), "timestamp(us, UTC)");
        assert_eq!(DataType::LargeUtf8.to_string(), "large-utf8");
    }

    #[test]
    fn nulls_hide_in_children() {
        let inner = Field::new("x", DataType::Int64, true);
        assert!(Field::new("s", DataType::Struct(vec![inner]), false).may_hold_null());
        assert!(!Field::new("x", DataType::Int64, false).may_hold_null());
    }
}
