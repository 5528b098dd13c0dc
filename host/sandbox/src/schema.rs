//! Schemas across the boundary: Arrow's into the plain form and into WIT's, and a guest's into Arrow's with every bound
//! checked. Rows are not here.

use crate::abi;
use crate::error::{Error, Result};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit};
use std::collections::HashMap;
use std::slice::Iter;
use std::sync::Arc;

/// Fields of one schema, nested ones included.
pub(crate) const FIELDS_MAX: usize = 1000;
/// Nesting of one column.
pub(crate) const DEPTH_MAX: usize = 16;
/// Bytes of a column's name.
pub(crate) const NAME_BYTES_MAX: usize = 256;
/// Metadata entries of one field or schema.
const METADATA_MAX: usize = 64;
/// Bytes of a metadata key or value.
const METADATA_BYTES_MAX: usize = 4 << 10;
/// Width of a fixed-size value or list.
const WIDTH_MAX: u32 = 1 << 20;
/// Bytes of a time zone's name.
const ZONE_BYTES_MAX: usize = 64;
/// Digits of a 128-bit decimal.
const DECIMAL_DIGITS_MAX: u8 = 38;

/// The type that crosses in place of `data_type`: views, dictionaries and runs become plain. None where nothing can.
pub(crate) fn plain(data_type: &DataType) -> Option<DataType> {
    let field = |field: &FieldRef| Some(Arc::new(field.as_ref().clone().with_data_type(plain(field.data_type())?)));
    Some(match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain(values)?,
        DataType::RunEndEncoded(_, values) => plain(values.data_type())?,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Decimal256(..) | DataType::Union(..) => return None,
        DataType::List(item) | DataType::ListView(item) => DataType::List(field(item)?),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(field(item)?),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item)?, *size),
        DataType::Map(entries, is_sorted) => DataType::Map(field(entries)?, *is_sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect::<Option<Fields>>()?),
        plain => plain.clone(),
    })
}

/// The schema that crosses in place of `schema`.
pub(crate) fn plain_schema(schema: &Schema) -> Result<SchemaRef> {
    let fields = schema
        .fields()
        .iter()
        .map(|field| match plain(field.data_type()) {
            Some(data_type) if data_type == *field.data_type() => Ok(Arc::clone(field)),
            Some(data_type) => Ok(Arc::new(field.as_ref().clone().with_data_type(data_type))),
            None => Err(column_type(field)),
        })
        .collect::<Result<Fields>>()?;
    Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
}

fn column_type(field: &Field) -> Error {
    Error::ColumnType { column: field.name().clone(), data_type: field.data_type().to_string() }
}

/// A plain schema in WIT's form.
pub(crate) fn lower(schema: &Schema) -> Result<abi::Schema> {
    let mut fields = Vec::new();
    for field in schema.fields() {
        lower_field(field, &mut fields).ok_or_else(|| column_type(field))?;
    }
    Ok(abi::Schema { fields, metadata: lower_metadata(schema.metadata()) })
}

fn lower_metadata(metadata: &HashMap<String, String>) -> Vec<abi::MetadataEntry> {
    let mut entries: Vec<_> = metadata.iter().map(|(key, value)| abi::MetadataEntry { key: key.clone(), value: value.clone() }).collect();
    // The order of a hash map must not reach a guest that is promised to be deterministic.
    entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    entries
}

fn lower_field(field: &Field, fields: &mut Vec<abi::Field>) -> Option<()> {
    let children: &[FieldRef] = match field.data_type() {
        DataType::Struct(children) => children,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::Map(item, _) => {
            std::slice::from_ref(item)
        }
        _ => &[],
    };
    fields.push(abi::Field {
        name: field.name().clone(),
        data_type: lower_type(field.data_type())?,
        nullable: field.is_nullable(),
        children: u32::try_from(children.len()).ok()?,
        metadata: lower_metadata(field.metadata()),
    });
    children.iter().try_for_each(|child| lower_field(child, fields))
}

fn lower_type(data_type: &DataType) -> Option<abi::DataType> {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => abi::TimeUnit::Second,
        TimeUnit::Millisecond => abi::TimeUnit::Millisecond,
        TimeUnit::Microsecond => abi::TimeUnit::Microsecond,
        TimeUnit::Nanosecond => abi::TimeUnit::Nanosecond,
    };
    Some(match data_type {
        DataType::Null => abi::DataType::Null,
        DataType::Boolean => abi::DataType::Boolean,
        DataType::Int8 => abi::DataType::Int8,
        DataType::Int16 => abi::DataType::Int16,
        DataType::Int32 => abi::DataType::Int32,
        DataType::Int64 => abi::DataType::Int64,
        DataType::UInt8 => abi::DataType::UInt8,
        DataType::UInt16 => abi::DataType::UInt16,
        DataType::UInt32 => abi::DataType::UInt32,
        DataType::UInt64 => abi::DataType::UInt64,
        DataType::Float16 => abi::DataType::Float16,
        DataType::Float32 => abi::DataType::Float32,
        DataType::Float64 => abi::DataType::Float64,
        DataType::Decimal128(precision, scale) => abi::DataType::Decimal128(abi::DecimalType { precision: *precision, scale: *scale }),
        DataType::Date32 => abi::DataType::Date32,
        DataType::Date64 => abi::DataType::Date64,
        DataType::Time32(of) => abi::DataType::Time32(unit(of)),
        DataType::Time64(of) => abi::DataType::Time64(unit(of)),
        DataType::Timestamp(of, zone) => {
            abi::DataType::Timestamp(abi::TimestampType { unit: unit(of), zone: zone.as_ref().map(ToString::to_string) })
        }
        DataType::Duration(of) => abi::DataType::Duration(unit(of)),
        DataType::Interval(IntervalUnit::YearMonth) => abi::DataType::Interval(abi::IntervalUnit::YearMonth),
        DataType::Interval(IntervalUnit::DayTime) => abi::DataType::Interval(abi::IntervalUnit::DayTime),
        DataType::Interval(IntervalUnit::MonthDayNano) => abi::DataType::Interval(abi::IntervalUnit::MonthDayNano),
        DataType::Utf8 => abi::DataType::Utf8,
        DataType::LargeUtf8 => abi::DataType::LargeUtf8,
        DataType::Binary => abi::DataType::Binary,
        DataType::LargeBinary => abi::DataType::LargeBinary,
        DataType::FixedSizeBinary(width) => abi::DataType::FixedSizeBinary(u32::try_from(*width).ok().filter(|width| *width > 0)?),
        DataType::Struct(_) => abi::DataType::Struct,
        DataType::List(_) => abi::DataType::List,
        DataType::LargeList(_) => abi::DataType::LargeList,
        DataType::FixedSizeList(_, width) => abi::DataType::FixedSizeList(u32::try_from(*width).ok().filter(|width| *width > 0)?),
        DataType::Map(_, is_sorted) => abi::DataType::Map(*is_sorted),
        _ => return None,
    })
}

/// What is wrong with a guest's schema, in words that follow "it returned".
pub(crate) type Flaw = String;

/// A guest's schema as Arrow's. Top-level names are unique.
pub(crate) fn lift(schema: &abi::Schema) -> std::result::Result<SchemaRef, Flaw> {
    if schema.fields.len() > FIELDS_MAX {
        return Err(format!("a schema of {} fields; at most {FIELDS_MAX} are allowed", schema.fields.len()));
    }
    let mut rest = schema.fields.iter();
    let mut fields: Vec<Field> = Vec::new();
    while let Some(head) = rest.next() {
        let field = lift_field(head, &mut rest, 1)?;
        fields.push(field);
    }
    let mut names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
        return Err(format!("a schema with two columns '{}'", name.escape_debug()));
    }
    let metadata = lift_metadata(&schema.metadata)?;
    Ok(Arc::new(Schema::new_with_metadata(fields, metadata)))
}

fn lift_metadata(entries: &[abi::MetadataEntry]) -> std::result::Result<HashMap<String, String>, Flaw> {
    let is_long = |entry: &abi::MetadataEntry| entry.key.len() > METADATA_BYTES_MAX || entry.value.len() > METADATA_BYTES_MAX;
    if entries.len() > METADATA_MAX || entries.iter().any(is_long) {
        return Err(format!("metadata over its bounds: {METADATA_MAX} entries of {METADATA_BYTES_MAX} bytes"));
    }
    Ok(entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect())
}

fn lift_field(head: &abi::Field, rest: &mut Iter<'_, abi::Field>, depth: usize) -> std::result::Result<Field, Flaw> {
    if depth > DEPTH_MAX {
        return Err(format!("a schema nested deeper than {DEPTH_MAX}"));
    }
    if head.name.len() > NAME_BYTES_MAX || (depth == 1 && head.name.is_empty()) {
        return Err(format!("a column name that is empty or longer than {NAME_BYTES_MAX} bytes"));
    }
    let name = || head.name.escape_debug();
    let expected = match head.data_type {
        abi::DataType::Struct => head.children,
        abi::DataType::List | abi::DataType::LargeList | abi::DataType::FixedSizeList(_) | abi::DataType::Map(_) => 1,
        _ => 0,
    };
    if head.children != expected {
        return Err(format!("field '{}' with {} children; its type has {expected}", name(), head.children));
    }
    let mut children = Vec::new();
    for _ in 0..head.children {
        let child = rest.next().ok_or_else(|| format!("field '{}' without its children", name()))?;
        children.push(Arc::new(lift_field(child, rest, depth + 1)?));
    }
    let data_type = lift_type(&head.data_type, children).ok_or_else(|| format!("field '{}' with an invalid type", name()))?;
    Ok(Field::new(head.name.clone(), data_type, head.nullable).with_metadata(lift_metadata(&head.metadata)?))
}

fn lift_type(data_type: &abi::DataType, children: Vec<FieldRef>) -> Option<DataType> {
    let unit = |unit: abi::TimeUnit| match unit {
        abi::TimeUnit::Second => TimeUnit::Second,
        abi::TimeUnit::Millisecond => TimeUnit::Millisecond,
        abi::TimeUnit::Microsecond => TimeUnit::Microsecond,
        abi::TimeUnit::Nanosecond => TimeUnit::Nanosecond,
    };
    let width = |width: u32| i32::try_from(width).ok().filter(|_| (1..=WIDTH_MAX).contains(&width));
    let is_short = |of: abi::TimeUnit| matches!(of, abi::TimeUnit::Second | abi::TimeUnit::Millisecond);
    let first = children.first().cloned();
    Some(match data_type {
        abi::DataType::Null => DataType::Null,
        abi::DataType::Boolean => DataType::Boolean,
        abi::DataType::Int8 => DataType::Int8,
        abi::DataType::Int16 => DataType::Int16,
        abi::DataType::Int32 => DataType::Int32,
        abi::DataType::Int64 => DataType::Int64,
        abi::DataType::UInt8 => DataType::UInt8,
        abi::DataType::UInt16 => DataType::UInt16,
        abi::DataType::UInt32 => DataType::UInt32,
        abi::DataType::UInt64 => DataType::UInt64,
        abi::DataType::Float16 => DataType::Float16,
        abi::DataType::Float32 => DataType::Float32,
        abi::DataType::Float64 => DataType::Float64,
        abi::DataType::Decimal128(abi::DecimalType { precision, scale }) => {
            let is_valid = (1..=DECIMAL_DIGITS_MAX).contains(precision) && scale.unsigned_abs() <= *precision;
            return is_valid.then_some(DataType::Decimal128(*precision, *scale));
        }
        abi::DataType::Date32 => DataType::Date32,
        abi::DataType::Date64 => DataType::Date64,
        abi::DataType::Time32(of) => return is_short(*of).then_some(DataType::Time32(unit(*of))),
        abi::DataType::Time64(of) => return (!is_short(*of)).then_some(DataType::Time64(unit(*of))),
        abi::DataType::Timestamp(abi::TimestampType { unit: of, zone }) => {
            let is_zone = |zone: &String| (1..=ZONE_BYTES_MAX).contains(&zone.len()) && zone.bytes().all(|byte| byte.is_ascii_graphic());
            if zone.as_ref().is_some_and(|zone| !is_zone(zone)) {
                return None;
            }
            DataType::Timestamp(unit(*of), zone.as_deref().map(Arc::from))
        }
        abi::DataType::Duration(of) => DataType::Duration(unit(*of)),
        abi::DataType::Interval(abi::IntervalUnit::YearMonth) => DataType::Interval(IntervalUnit::YearMonth),
        abi::DataType::Interval(abi::IntervalUnit::DayTime) => DataType::Interval(IntervalUnit::DayTime),
        abi::DataType::Interval(abi::IntervalUnit::MonthDayNano) => DataType::Interval(IntervalUnit::MonthDayNano),
        abi::DataType::Utf8 => DataType::Utf8,
        abi::DataType::LargeUtf8 => DataType::LargeUtf8,
        abi::DataType::Binary => DataType::Binary,
        abi::DataType::LargeBinary => DataType::LargeBinary,
        abi::DataType::FixedSizeBinary(bytes) => DataType::FixedSizeBinary(width(*bytes)?),
        abi::DataType::Struct => DataType::Struct(children.into()),
        abi::DataType::List => DataType::List(first?),
        abi::DataType::LargeList => DataType::LargeList(first?),
        abi::DataType::FixedSizeList(items) => DataType::FixedSizeList(first?, width(*items)?),
        abi::DataType::Map(is_sorted) => {
            let entries = first?;
            let DataType::Struct(fields) = entries.data_type() else { return None };
            let is_valid = !entries.is_nullable() && fields.len() == 2 && fields.first().is_some_and(|key| !key.is_nullable());
            return is_valid.then_some(DataType::Map(entries, *is_sorted));
        }
    })
}

#[cfg(test)]
pub(crate) mod tests;
