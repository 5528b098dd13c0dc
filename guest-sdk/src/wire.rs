//! Schemas, failures and manifests between the SDK's types and those of the contract. Rows are in `array.rs` (in) and
//! `builder.rs` (out).

use crate::bindings::azora::plugin::{batch_types as wire, failures};
use crate::failure::{Failure, FailureCode, Result};
use crate::schema::{DataType, Field, IntervalUnit, Schema, TimeUnit};

/// Deepest nesting of a type; the host allows no more either.
const DEPTH_MAX: usize = 16;

pub(crate) fn failure(failure: Failure) -> failures::Failure {
    let code = match failure.code {
        FailureCode::InvalidInput => failures::FailureCode::InvalidInput,
        FailureCode::Unsupported => failures::FailureCode::Unsupported,
        FailureCode::Overflow => failures::FailureCode::Overflow,
        FailureCode::User => failures::FailureCode::User,
        FailureCode::Internal => failures::FailureCode::Internal,
        FailureCode::Retryable => failures::FailureCode::Retryable,
    };
    failures::Failure { code, message: failure.message, row: failure.row }
}

pub(crate) fn schema(schema: &Schema) -> wire::Schema {
    let mut fields = Vec::new();
    for each in &schema.fields {
        flatten(each, &mut fields);
    }
    wire::Schema { fields, metadata: entries(&schema.metadata) }
}

pub(crate) fn read_schema(schema: wire::Schema) -> Result<Schema> {
    let mut rest = schema.fields.into_iter();
    let mut fields = Vec::new();
    while let Some(first) = rest.next() {
        fields.push(unflatten(first, &mut rest, 0)?);
    }
    Ok(Schema { fields, metadata: pairs(schema.metadata) })
}

fn entries(pairs: &[(String, String)]) -> Vec<wire::MetadataEntry> {
    pairs.iter().map(|(key, value)| wire::MetadataEntry { key: key.clone(), value: value.clone() }).collect()
}

fn pairs(entries: Vec<wire::MetadataEntry>) -> Vec<(String, String)> {
    entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

fn flatten(field: &Field, into: &mut Vec<wire::Field>) {
    let children = field.data_type.children();
    into.push(wire::Field {
        name: field.name.clone(),
        data_type: kind(&field.data_type),
        nullable: field.nullable,
        children: children.len() as u32,
        metadata: entries(&field.metadata),
    });
    for child in children {
        flatten(child, into);
    }
}

fn unflatten(field: wire::Field, rest: &mut std::vec::IntoIter<wire::Field>, depth: usize) -> Result<Field> {
    if depth > DEPTH_MAX {
        return Err(Failure::unsupported(format!("column '{}' is nested deeper than {DEPTH_MAX} levels", field.name)));
    }
    let mut children = Vec::new();
    for _ in 0..field.children {
        let child = rest.next().ok_or_else(|| Failure::internal(format!("schema ends inside of column '{}'", field.name)))?;
        children.push(unflatten(child, rest, depth + 1)?);
    }
    let data_type = data_type(field.data_type, children, &field.name)?;
    Ok(Field { name: field.name, data_type, nullable: field.nullable, metadata: pairs(field.metadata) })
}

fn unit(unit: TimeUnit) -> wire::TimeUnit {
    match unit {
        TimeUnit::Second => wire::TimeUnit::Second,
        TimeUnit::Millisecond => wire::TimeUnit::Millisecond,
        TimeUnit::Microsecond => wire::TimeUnit::Microsecond,
        TimeUnit::Nanosecond => wire::TimeUnit::Nanosecond,
    }
}

fn read_unit(unit: wire::TimeUnit) -> TimeUnit {
    match unit {
        wire::TimeUnit::Second => TimeUnit::Second,
        wire::TimeUnit::Millisecond => TimeUnit::Millisecond,
        wire::TimeUnit::Microsecond => TimeUnit::Microsecond,
        wire::TimeUnit::Nanosecond => TimeUnit::Nanosecond,
    }
}

fn kind(data_type: &DataType) -> wire::DataType {
    match data_type {
        DataType::Null => wire::DataType::Null,
        DataType::Boolean => wire::DataType::Boolean,
        DataType::Int8 => wire::DataType::Int8,
        DataType::Int16 => wire::DataType::Int16,
        DataType::Int32 => wire::DataType::Int32,
        DataType::Int64 => wire::DataType::Int64,
        DataType::UInt8 => wire::DataType::Uint8,
        DataType::UInt16 => wire::DataType::Uint16,
        DataType::UInt32 => wire::DataType::Uint32,
        DataType::UInt64 => wire::DataType::Uint64,
        DataType::Float16 => wire::DataType::Float16,
        DataType::Float32 => wire::DataType::Float32,
        DataType::Float64 => wire::DataType::Float64,
        DataType::Decimal128 { precision, scale } => wire::DataType::Decimal128(wire::DecimalType { precision: *precision, scale: *scale }),
        DataType::Date32 => wire::DataType::Date32,
        DataType::Date64 => wire::DataType::Date64,
        DataType::Time32(each) => wire::DataType::Time32(unit(*each)),
        DataType::Time64(each) => wire::DataType::Time64(unit(*each)),
        DataType::Timestamp { unit: each, zone } => {
            wire::DataType::Timestamp(wire::TimestampType { unit: unit(*each), zone: zone.clone() })
        }
        DataType::Duration(each) => wire::DataType::Duration(unit(*each)),
        DataType::Interval(IntervalUnit::YearMonth) => wire::DataType::Interval(wire::IntervalUnit::YearMonth),
        DataType::Interval(IntervalUnit::DayTime) => wire::DataType::Interval(wire::IntervalUnit::DayTime),
        DataType::Interval(IntervalUnit::MonthDayNano) => wire::DataType::Interval(wire::IntervalUnit::MonthDayNano),
        DataType::Utf8 => wire::DataType::Utf8,
        DataType::LargeUtf8 => wire::DataType::LargeUtf8,
        DataType::Binary => wire::DataType::Binary,
        DataType::LargeBinary => wire::DataType::LargeBinary,
        DataType::FixedSizeBinary(width) => wire::DataType::FixedSizeBinary(*width),
        DataType::Struct(_) => wire::DataType::Struct,
        DataType::List(_) => wire::DataType::VarList,
        DataType::LargeList(_) => wire::DataType::LargeVarList,
        DataType::FixedSizeList(_, width) => wire::DataType::FixedSizeList(*width),
        DataType::Map(_, is_sorted) => wire::DataType::KeyValueMap(*is_sorted),
    }
}

fn data_type(kind: wire::DataType, children: Vec<Field>, name: &str) -> Result<DataType> {
    let only = |children: Vec<Field>| match <[Field; 1]>::try_from(children) {
        Ok([child]) => Ok(Box::new(child)),
        Err(others) => Err(Failure::internal(format!("list column '{name}' has {} children", others.len()))),
    };
    let nested = match kind {
        wire::DataType::Struct => return Ok(DataType::Struct(children)),
        wire::DataType::VarList => return Ok(DataType::List(only(children)?)),
        wire::DataType::LargeVarList => return Ok(DataType::LargeList(only(children)?)),
        wire::DataType::FixedSizeList(width) => return Ok(DataType::FixedSizeList(only(children)?, width)),
        wire::DataType::KeyValueMap(is_sorted) => return Ok(DataType::Map(only(children)?, is_sorted)),
        flat if children.is_empty() => flat,
        _ => return Err(Failure::internal(format!("column '{name}' is flat and has children"))),
    };
    Ok(match nested {
        wire::DataType::Boolean => DataType::Boolean,
        wire::DataType::Int8 => DataType::Int8,
        wire::DataType::Int16 => DataType::Int16,
        wire::DataType::Int32 => DataType::Int32,
        wire::DataType::Int64 => DataType::Int64,
        wire::DataType::Uint8 => DataType::UInt8,
        wire::DataType::Uint16 => DataType::UInt16,
        wire::DataType::Uint32 => DataType::UInt32,
        wire::DataType::Uint64 => DataType::UInt64,
        wire::DataType::Float16 => DataType::Float16,
        wire::DataType::Float32 => DataType::Float32,
        wire::DataType::Float64 => DataType::Float64,
        wire::DataType::Decimal128(decimal) => DataType::Decimal128 { precision: decimal.precision, scale: decimal.scale },
        wire::DataType::Date32 => DataType::Date32,
        wire::DataType::Date64 => DataType::Date64,
        wire::DataType::Time32(unit) => DataType::Time32(read_unit(unit)),
        wire::DataType::Time64(unit) => DataType::Time64(read_unit(unit)),
        wire::DataType::Timestamp(stamp) => DataType::Timestamp { unit: read_unit(stamp.unit), zone: stamp.zone },
        wire::DataType::Duration(unit) => DataType::Duration(read_unit(unit)),
        wire::DataType::Interval(wire::IntervalUnit::YearMonth) => DataType::Interval(IntervalUnit::YearMonth),
        wire::DataType::Interval(wire::IntervalUnit::DayTime) => DataType::Interval(IntervalUnit::DayTime),
        wire::DataType::Interval(wire::IntervalUnit::MonthDayNano) => DataType::Interval(IntervalUnit::MonthDayNano),
        wire::DataType::Utf8 => DataType::Utf8,
        wire::DataType::LargeUtf8 => DataType::LargeUtf8,
        wire::DataType::Binary => DataType::Binary,
        wire::DataType::LargeBinary => DataType::LargeBinary,
        wire::DataType::FixedSizeBinary(width) => DataType::FixedSizeBinary(width),
        _ => DataType::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_survive_the_way_there_and_back() {
        let item = Field::new("item", DataType::Struct(vec![Field::new("x", DataType::Float64, true)]), true);
        let sent = Schema {
            fields: vec![
                Field::new("a", DataType::List(Box::new(item.clone())), false),
                Field::new("b", DataType::Decimal128 { precision: 18, scale: -2 }, true),
                Field::new("c", DataType::Timestamp { unit: TimeUnit::Nanosecond, zone: Some("UTC".into()) }, false),
                Field::new("d", DataType::FixedSizeList(Box::new(item), 3), true),
                Field::new("e", DataType::Null, true),
            ],
            metadata: vec![("k".into(), "v".into())],
        };
        let flat = schema(&sent);
        assert_eq!(flat.fields.len(), 9);
        assert_eq!(read_schema(flat).unwrap(), sent);
    }

    #[test]
    fn cut_schemas_are_refused() {
        let mut flat = schema(&Schema {
            fields: vec![Field::new("a", DataType::Struct(vec![Field::new("x", DataType::Int8, true)]), true)],
            metadata: vec![],
        });
        flat.fields.pop();
        assert_eq!(read_schema(flat).unwrap_err().message, "schema ends inside of column 'a'");
    }
}
