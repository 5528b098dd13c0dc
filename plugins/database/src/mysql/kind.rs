//! MySQL types, the Arrow types that their values become, and columns being built of the values.

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int16Builder, Int32Builder,
    Int64Builder, StringBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::NaiveDate;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column as Meta, Value};
use std::sync::Arc;

/// The character set that means bytes.
const BINARY: u16 = 63;
/// Most digits of a 128-bit decimal.
const DECIMAL_DIGITS_MAX: u32 = 38;

/// How a column's values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Bits,
    Int16,
    Int32,
    Int64,
    UInt64,
    Float32,
    Float64,
    Decimal {
        precision: u8,
        scale: i8,
    },
    Text,
    Bytes,
    Date,
    Time,
    /// Without a zone.
    Timestamp,
    /// In UTC.
    Instant,
}

impl Kind {
    pub(super) fn of(column: &Meta) -> Self {
        let is_unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
        match column.column_type() {
            ColumnType::MYSQL_TYPE_TINY if column.column_length() == 1 => Self::Bool,
            ColumnType::MYSQL_TYPE_BIT if column.column_length() == 1 => Self::Bool,
            ColumnType::MYSQL_TYPE_BIT => Self::Bits,
            ColumnType::MYSQL_TYPE_TINY | ColumnType::MYSQL_TYPE_YEAR => Self::Int16,
            ColumnType::MYSQL_TYPE_SHORT if !is_unsigned => Self::Int16,
            ColumnType::MYSQL_TYPE_SHORT | ColumnType::MYSQL_TYPE_INT24 => Self::Int32,
            ColumnType::MYSQL_TYPE_LONG if !is_unsigned => Self::Int32,
            ColumnType::MYSQL_TYPE_LONG => Self::Int64,
            ColumnType::MYSQL_TYPE_LONGLONG if is_unsigned => Self::UInt64,
            ColumnType::MYSQL_TYPE_LONGLONG => Self::Int64,
            ColumnType::MYSQL_TYPE_FLOAT => Self::Float32,
            ColumnType::MYSQL_TYPE_DOUBLE => Self::Float64,
            ColumnType::MYSQL_TYPE_NEWDECIMAL => decimal(column, is_unsigned),
            ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => Self::Date,
            ColumnType::MYSQL_TYPE_TIME => Self::Time,
            ColumnType::MYSQL_TYPE_DATETIME => Self::Timestamp,
            ColumnType::MYSQL_TYPE_TIMESTAMP => Self::Instant,
            ColumnType::MYSQL_TYPE_GEOMETRY => Self::Bytes,
            ColumnType::MYSQL_TYPE_TINY_BLOB
            | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
            | ColumnType::MYSQL_TYPE_LONG_BLOB
            | ColumnType::MYSQL_TYPE_BLOB
            | ColumnType::MYSQL_TYPE_VAR_STRING
            | ColumnType::MYSQL_TYPE_STRING
                if column.character_set() == BINARY =>
            {
                Self::Bytes
            }
            _ => Self::Text,
        }
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt64 | Self::Bits => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

fn decimal(column: &Meta, is_unsigned: bool) -> Kind {
    let scale = u32::from(column.decimals());
    // The length has a place for the sign and one for the point.
    let precision = column.column_length().saturating_sub(u32::from(scale > 0)).saturating_sub(u32::from(!is_unsigned));
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision), Ok(scale))
            if (1..=DECIMAL_DIGITS_MAX).contains(&u32::from(precision)) && u32::from(precision) >= u32::from(scale.unsigned_abs()) =>
        {
            Kind::Decimal { precision, scale }
        }
        _ => Kind::Text,
    }
}

/// A column being built.
#[derive(Debug)]
pub(super) enum Column {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt64(UInt64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, usize),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

const MALFORMED: &str = "the server sent a value of another type";

impl Column {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Int16 => Self::Int16(Int16Builder::new()),
            Kind::Int32 => Self::Int32(Int32Builder::new()),
            Kind::Int64 => Self::Int64(Int64Builder::new()),
            Kind::UInt64 | Kind::Bits => Self::UInt64(UInt64Builder::new()),
            Kind::Float32 => Self::Float32(Float32Builder::new()),
            Kind::Float64 => Self::Float64(Float64Builder::new()),
            Kind::Decimal { scale, .. } => {
                Self::Decimal(Decimal128Builder::new().with_data_type(kind.data_type()), usize::from(scale.unsigned_abs()))
            }
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Bytes => Self::Bytes(BinaryBuilder::new()),
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Time => Self::Time(Time64MicrosecondBuilder::new()),
            Kind::Timestamp | Kind::Instant => Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(kind.data_type())),
        }
    }

    /// Appends a value; gives about the bytes that it takes.
    pub(super) fn push(&mut self, value: Value) -> Result<usize, &'static str> {
        let bytes = if let Value::Bytes(bytes) = &value { bytes.len() + 4 } else { 8 };
        if value == Value::NULL {
            self.push_null();
            return Ok(bytes);
        }
        match self {
            Self::Bool(to) => to.append_value(whole(&value)? != 0),
            Self::Int16(to) => to.append_value(whole(&value)?.try_into().map_err(|_| MALFORMED)?),
            Self::Int32(to) => to.append_value(whole(&value)?.try_into().map_err(|_| MALFORMED)?),
            Self::Int64(to) => to.append_value(whole(&value)?.try_into().map_err(|_| MALFORMED)?),
            Self::UInt64(to) => to.append_value(whole(&value)?.try_into().map_err(|_| MALFORMED)?),
            Self::Float32(to) => match value {
                Value::Float(number) => to.append_value(number),
                _ => return Err(MALFORMED),
            },
            Self::Float64(to) => match value {
                Value::Double(number) => to.append_value(number),
                Value::Float(number) => to.append_value(f64::from(number)),
                _ => return Err(MALFORMED),
            },
            Self::Decimal(to, scale) => match &value {
                Value::Bytes(text) => to.append_value(unscaled(text, *scale).ok_or(MALFORMED)?),
                _ => return Err(MALFORMED),
            },
            Self::Text(to) => match &value {
                Value::Bytes(text) => to.append_value(std::str::from_utf8(text).map_err(|_| "a text is not UTF-8")?),
                other => to.append_value(other.as_sql(true).trim_matches('\'')),
            },
            Self::Bytes(to) => match &value {
                Value::Bytes(bytes) => to.append_value(bytes),
                _ => return Err(MALFORMED),
            },
            Self::Date(to) => to.append_value((micros(&value)?.div_euclid(86_400_000_000)).try_into().map_err(|_| MALFORMED)?),
            Self::Time(to) => match value {
                Value::Time(false, 0, hours, minutes, seconds, micros) if hours < 24 => to
                    .append_value((i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds)) * 1_000_000 + i64::from(micros)),
                _ => return Err("a span of time is no time of day; read it as text in a query"),
            },
            Self::Timestamp(to) => to.append_value(micros(&value)?),
        }
        Ok(bytes)
    }

    fn push_null(&mut self) {
        match self {
            Self::Bool(to) => to.append_null(),
            Self::Int16(to) => to.append_null(),
            Self::Int32(to) => to.append_null(),
            Self::Int64(to) => to.append_null(),
            Self::UInt64(to) => to.append_null(),
            Self::Float32(to) => to.append_null(),
            Self::Float64(to) => to.append_null(),
            Self::Decimal(to, _) => to.append_null(),
            Self::Text(to) => to.append_null(),
            Self::Bytes(to) => to.append_null(),
            Self::Date(to) => to.append_null(),
            Self::Time(to) => to.append_null(),
            Self::Timestamp(to) => to.append_null(),
        }
    }

    /// What was appended; the column begins anew.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(from) => Arc::new(from.finish()),
            Self::Int16(from) => Arc::new(from.finish()),
            Self::Int32(from) => Arc::new(from.finish()),
            Self::Int64(from) => Arc::new(from.finish()),
            Self::UInt64(from) => Arc::new(from.finish()),
            Self::Float32(from) => Arc::new(from.finish()),
            Self::Float64(from) => Arc::new(from.finish()),
            Self::Decimal(from, _) => Arc::new(from.finish()),
            Self::Text(from) => Arc::new(from.finish()),
            Self::Bytes(from) => Arc::new(from.finish()),
            Self::Date(from) => Arc::new(from.finish()),
            Self::Time(from) => Arc::new(from.finish()),
            Self::Timestamp(from) => Arc::new(from.finish()),
        }
    }
}

/// A whole number, also of bits.
fn whole(value: &Value) -> Result<i128, &'static str> {
    match value {
        Value::Int(number) => Ok(i128::from(*number)),
        Value::UInt(number) => Ok(i128::from(*number)),
        Value::Bytes(bits) if bits.len() <= 8 => Ok(bits.iter().fold(0, |all, byte| (all << 8) | i128::from(*byte))),
        _ => Err(MALFORMED),
    }
}

fn micros(value: &Value) -> Result<i64, &'static str> {
    let Value::Date(year, month, day, hour, minute, second, micro) = *value else { return Err(MALFORMED) };
    let date = NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day))
        .ok_or("a date of zeros is none; read it as text in a query, or NULLIF it")?;
    let time = date.and_hms_micro_opt(u32::from(hour), u32::from(minute), u32::from(second), micro).ok_or(MALFORMED)?;
    Ok(time.and_utc().timestamp_micros())
}

/// A decimal's text as a whole number of its smallest unit.
fn unscaled(text: &[u8], scale: usize) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > scale || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let number: i128 = format!("{whole}{fraction:0<scale$}").parse().ok()?;
    Some(if is_negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::{Column, Kind, unscaled};
    use mysql_async::Value;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(unscaled(b"-12.30", 2), Some(-1230));
        assert_eq!(unscaled(b"7", 3), Some(7000));
        assert_eq!(unscaled(b"1.234", 2), None);
        assert_eq!(unscaled(b"1e5", 2), None);
    }

    #[test]
    fn what_has_no_arrow_value_is_refused() {
        assert!(Column::new(Kind::Date).push(Value::Date(0, 0, 0, 0, 0, 0, 0)).is_err());
        assert!(Column::new(Kind::Time).push(Value::Time(true, 0, 1, 0, 0, 0)).is_err());
        assert!(Column::new(Kind::Int16).push(Value::Int(70_000)).is_err());
        assert!(Column::new(Kind::Bool).push(Value::Bytes(vec![1])).is_ok());
    }
}
