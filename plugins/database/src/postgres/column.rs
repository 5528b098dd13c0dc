//! Binary values of PostgreSQL appended to Arrow builders. Which type becomes which lives in `kind.rs`, rows in `copy.rs`.

use super::kind::Kind;
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int16Builder, Int32Builder,
    Int64Builder, ListArray, NullBufferBuilder, StringBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL begins to count.
const DAYS_BEFORE: i32 = 10_957;
/// The same in microseconds.
const MICROS_BEFORE: i64 = DAYS_BEFORE as i64 * 86_400_000_000;
/// The sign of a numeric that is below zero.
const NUMERIC_NEGATIVE: u16 = 0x4000;
/// Digits of a numeric are in base 10,000.
const NUMERIC_DIGITS: i32 = 4;

/// Why a value cannot be taken.
pub(crate) type Misfit = &'static str;

const MALFORMED: Misfit = "the server sent a value of another form";
const INFINITE: Misfit = "'infinity' has no date; read it as text in a query";

/// A column being built.
#[derive(Debug)]
pub(crate) enum Column {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Oid(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
    Jsonb(StringBuilder),
    Uuid(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder, i32),
    List(Box<List>),
}

/// Arrays of one dimension.
#[derive(Debug)]
pub(crate) struct List {
    offsets: Vec<i32>,
    validity: NullBufferBuilder,
    items: Column,
    item: DataType,
}

impl Column {
    pub(crate) fn new(kind: &Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Int16 => Self::Int16(Int16Builder::new()),
            Kind::Int32 => Self::Int32(Int32Builder::new()),
            Kind::Int64 => Self::Int64(Int64Builder::new()),
            Kind::Oid => Self::Oid(Int64Builder::new()),
            Kind::Float32 => Self::Float32(Float32Builder::new()),
            Kind::Float64 => Self::Float64(Float64Builder::new()),
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Jsonb => Self::Jsonb(StringBuilder::new()),
            Kind::Uuid => Self::Uuid(StringBuilder::new()),
            Kind::Bytes => Self::Bytes(BinaryBuilder::new()),
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Time => Self::Time(Time64MicrosecondBuilder::new()),
            Kind::Timestamp | Kind::Instant => Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(kind.data_type())),
            Kind::Decimal { scale, .. } => Self::Decimal(Decimal128Builder::new().with_data_type(kind.data_type()), i32::from(*scale)),
            Kind::List(item) => Self::List(Box::new(List {
                offsets: vec![0],
                validity: NullBufferBuilder::new(0),
                items: Self::new(item),
                item: item.data_type(),
            })),
        }
    }

    /// Appends a value as the server sent it; none is null.
    pub(crate) fn push(&mut self, value: Option<&[u8]>) -> Result<(), Misfit> {
        let Some(bytes) = value else {
            self.push_null();
            return Ok(());
        };
        match self {
            Self::Bool(to) => to.append_value(array::<1>(bytes)?[0] != 0),
            Self::Int16(to) => to.append_value(i16::from_be_bytes(array(bytes)?)),
            Self::Int32(to) => to.append_value(i32::from_be_bytes(array(bytes)?)),
            Self::Int64(to) => to.append_value(i64::from_be_bytes(array(bytes)?)),
            Self::Oid(to) => to.append_value(i64::from(u32::from_be_bytes(array(bytes)?))),
            Self::Float32(to) => to.append_value(f32::from_be_bytes(array(bytes)?)),
            Self::Float64(to) => to.append_value(f64::from_be_bytes(array(bytes)?)),
            Self::Text(to) => to.append_value(text(bytes)?),
            Self::Jsonb(to) => match bytes.split_first() {
                Some((1, rest)) => to.append_value(text(rest)?),
                _ => return Err(MALFORMED),
            },
            Self::Uuid(to) => to.append_value(text(&uuid(array(bytes)?))?),
            Self::Bytes(to) => to.append_value(bytes),
            Self::Date(to) => match i32::from_be_bytes(array(bytes)?) {
                i32::MIN | i32::MAX => return Err(INFINITE),
                days => to.append_value(days.checked_add(DAYS_BEFORE).ok_or(INFINITE)?),
            },
            Self::Time(to) => to.append_value(i64::from_be_bytes(array(bytes)?)),
            Self::Timestamp(to) => match i64::from_be_bytes(array(bytes)?) {
                i64::MIN | i64::MAX => return Err(INFINITE),
                micros => to.append_value(micros.checked_add(MICROS_BEFORE).ok_or(INFINITE)?),
            },
            Self::Decimal(to, scale) => to.append_value(decimal(bytes, *scale)?),
            Self::List(to) => to.push(bytes)?,
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Bool(to) => to.append_null(),
            Self::Int16(to) => to.append_null(),
            Self::Int32(to) => to.append_null(),
            Self::Int64(to) | Self::Oid(to) => to.append_null(),
            Self::Float32(to) => to.append_null(),
            Self::Float64(to) => to.append_null(),
            Self::Text(to) | Self::Jsonb(to) | Self::Uuid(to) => to.append_null(),
            Self::Bytes(to) => to.append_null(),
            Self::Date(to) => to.append_null(),
            Self::Time(to) => to.append_null(),
            Self::Timestamp(to) => to.append_null(),
            Self::Decimal(to, _) => to.append_null(),
            Self::List(to) => {
                to.validity.append_null();
                to.offsets.push(to.offsets.last().copied().unwrap_or_default());
            }
        }
    }

    /// What was appended; the column begins anew.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, Misfit> {
        Ok(match self {
            Self::Bool(from) => Arc::new(from.finish()),
            Self::Int16(from) => Arc::new(from.finish()),
            Self::Int32(from) => Arc::new(from.finish()),
            Self::Int64(from) | Self::Oid(from) => Arc::new(from.finish()),
            Self::Float32(from) => Arc::new(from.finish()),
            Self::Float64(from) => Arc::new(from.finish()),
            Self::Text(from) | Self::Jsonb(from) | Self::Uuid(from) => Arc::new(from.finish()),
            Self::Bytes(from) => Arc::new(from.finish()),
            Self::Date(from) => Arc::new(from.finish()),
            Self::Time(from) => Arc::new(from.finish()),
            Self::Timestamp(from) => Arc::new(from.finish()),
            Self::Decimal(from, _) => Arc::new(from.finish()),
            Self::List(from) => Arc::new(from.finish()?),
        })
    }
}

impl List {
    /// An array: dimensions, whether there are nulls, the items' type, length and lower bound of each dimension, items.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Misfit> {
        let mut rest = bytes;
        let dimensions = number(&mut rest)?;
        number(&mut rest)?;
        number(&mut rest)?;
        let items = match dimensions {
            0 => 0,
            1 => {
                let items = number(&mut rest)?;
                number(&mut rest)?;
                items
            }
            _ => return Err("an array of several dimensions has no list; read it as text in a query"),
        };
        for _ in 0..items {
            let item = match number(&mut rest)? {
                -1 => None,
                length => Some(take(&mut rest, usize::try_from(length).map_err(|_| MALFORMED)?)?),
            };
            self.items.push(item)?;
        }
        if !rest.is_empty() {
            return Err(MALFORMED);
        }
        let end = self.offsets.last().copied().unwrap_or_default().checked_add(items).ok_or("too many items in one batch")?;
        self.offsets.push(end);
        self.validity.append_non_null();
        Ok(())
    }

    fn finish(&mut self) -> Result<ListArray, Misfit> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        let field = Arc::new(Field::new("item", self.item.clone(), true));
        ListArray::try_new(field, offsets, self.items.finish()?, self.validity.finish()).map_err(|_| MALFORMED)
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Misfit> {
    bytes.try_into().map_err(|_| MALFORMED)
}

fn text(bytes: &[u8]) -> Result<&str, Misfit> {
    std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Misfit> {
    let (taken, left) = rest.split_at_checked(length).ok_or(MALFORMED)?;
    *rest = left;
    Ok(taken)
}

fn number(rest: &mut &[u8]) -> Result<i32, Misfit> {
    Ok(i32::from_be_bytes(array(take(rest, 4)?)?))
}

fn uuid(bytes: [u8; 16]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [b'-'; 36];
    let mut at = 0;
    for (n, byte) in bytes.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            at += 1;
        }
        for digit in [byte >> 4, byte & 15] {
            if let (Some(place), Some(digit)) = (out.get_mut(at), DIGITS.get(usize::from(digit))) {
                *place = *digit;
            }
            at += 1;
        }
    }
    out
}

/// A numeric as a whole number of the column's smallest unit.
fn decimal(bytes: &[u8], scale: i32) -> Result<i128, Misfit> {
    let mut rest = bytes;
    let mut short = || -> Result<u16, Misfit> { Ok(u16::from_be_bytes(array(take(&mut rest, 2)?)?)) };
    let count = short()?;
    let weight = i32::from(short()?.cast_signed());
    let sign = short()?;
    short()?;
    if sign > NUMERIC_NEGATIVE {
        return Err("a number that is none ('NaN', 'Infinity') has no decimal; read it as text in a query");
    }
    let mut sum: i128 = 0;
    for at in 0..i32::from(count) {
        let digit = i128::from(short()?);
        let power = NUMERIC_DIGITS * (weight - at) + scale;
        let shift = 10_i128.checked_pow(power.unsigned_abs());
        let part = match (power >= 0, shift) {
            (true, Some(shift)) => digit.checked_mul(shift).ok_or(MALFORMED)?,
            (false, Some(shift)) => digit / shift,
            (true, None) if digit != 0 => return Err(MALFORMED),
            (_, None) => 0,
        };
        sum = sum.checked_add(part).ok_or(MALFORMED)?;
    }
    if !rest.is_empty() {
        return Err(MALFORMED);
    }
    Ok(if sign == NUMERIC_NEGATIVE { -sum } else { sum })
}

#[cfg(test)]
mod tests {
    use super::{Column, decimal, uuid};
    use crate::postgres::kind::Kind;

    fn numeric(weight: i16, sign: u16, digits: &[u16]) -> Vec<u8> {
        let head = [digits.len() as u16, weight.cast_unsigned(), sign, 0];
        head.iter().chain(digits).flat_map(|short| short.to_be_bytes()).collect()
    }

    #[test]
    fn numerics_are_exact() {
        assert_eq!(decimal(&numeric(0, 0, &[1, 5000]), 2), Ok(150));
        assert_eq!(decimal(&numeric(0, 0x4000, &[12, 3400]), 2), Ok(-1234));
        assert_eq!(decimal(&numeric(-1, 0, &[50]), 4), Ok(50));
        assert_eq!(decimal(&numeric(2, 0, &[1]), 0), Ok(100_000_000));
        assert_eq!(decimal(&numeric(0, 0, &[]), 3), Ok(0));
        // 99999999999999999999999999999999999.999 of numeric(38,3).
        let most = numeric(8, 0, &[999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9990]);
        assert_eq!(decimal(&most, 3), Ok(99_999_999_999_999_999_999_999_999_999_999_999_999));
        assert!(decimal(&numeric(0, 0xC000, &[]), 0).is_err());
        assert!(decimal(&numeric(9, 0, &[9999, 9999]), 3).is_err());
    }

    #[test]
    fn damaged_values_are_refused() {
        for kind in [Kind::Int32, Kind::Uuid, Kind::Jsonb, Kind::Decimal { precision: 5, scale: 2 }, Kind::List(Box::new(Kind::Int32))] {
            for bytes in [&b""[..], b"\x00\x00\x00", b"\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x17\x7f\xff\xff\xff\x00\x00\x00\x01"] {
                assert!(Column::new(&kind).push(Some(bytes)).is_err(), "{kind:?} {bytes:?}");
            }
        }
    }

    #[test]
    fn uuids_are_written_as_usual() {
        let bytes = *b"\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14\x17\x40\x00";
        assert_eq!(&uuid(bytes), b"123e4567-e89b-12d3-a456-426614174000");
    }
}
