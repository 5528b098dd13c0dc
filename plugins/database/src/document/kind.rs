//! The types of documents' members, found by looking at a sample of them.

use arrow::datatypes::{DataType, Field, TimeUnit};
use azora_connect::element;
use mongodb::bson::{Bson, Document};
use std::sync::Arc;

/// Deepest member that has columns of its own; what is below is JSON.
const DEPTH_MAX: usize = 32;
/// Most members of one document that have columns of their own; a document with more is JSON.
const MEMBERS_MAX: usize = 1600;
/// Most digits of a decimal column.
const DIGITS_MAX: usize = 38;

/// What is known of the type of some values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Nothing but nulls so far.
    Null,
    Bool,
    Int,
    Float,
    Text,
    Bytes,
    /// Milliseconds.
    Date,
    /// Digits in front of the point and behind it.
    Decimal(usize, usize),
    List(Box<Kind>),
    Members(Vec<(String, Kind)>),
    /// Values of several types, as JSON texts.
    Json,
}

impl Kind {
    /// The type of one value, so deep in a document.
    fn nested(value: &Bson, depth: usize) -> Self {
        match value {
            Bson::Null | Bson::Undefined => Self::Null,
            Bson::Boolean(_) => Self::Bool,
            Bson::Int32(_) | Bson::Int64(_) => Self::Int,
            Bson::Double(_) => Self::Float,
            Bson::String(_) | Bson::ObjectId(_) | Bson::Symbol(_) => Self::Text,
            Bson::Binary(_) => Self::Bytes,
            Bson::DateTime(_) => Self::Date,
            Bson::Decimal128(number) => match digits(&number.to_string()) {
                Some(number) => Self::Decimal(number.whole(), number.scale()),
                None => Self::Json,
            },
            Bson::Array(_) | Bson::Document(_) if depth >= DEPTH_MAX => Self::Json,
            Bson::Array(items) => Self::List(Box::new(items.iter().fold(Self::Null, |all, item| all.merge(Self::nested(item, depth + 1))))),
            Bson::Document(document) if document.len() > MEMBERS_MAX => Self::Json,
            Bson::Document(document) => Self::members(document, depth + 1),
            _ => Self::Json,
        }
    }

    /// The type of a document as a row.
    pub(super) fn row(document: &Document) -> Self {
        Self::members(document, 0)
    }

    fn members(document: &Document, depth: usize) -> Self {
        Self::Members(document.iter().map(|(name, value)| (name.clone(), Self::nested(value, depth))).collect())
    }

    /// The type that takes values of both.
    pub(super) fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, other) | (other, Self::Null) => other,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            (Self::Decimal(whole, scale), Self::Decimal(other, more)) => Self::Decimal(whole.max(other), scale.max(more)),
            // 19 digits hold every whole number of 64 bits.
            (Self::Int, Self::Decimal(whole, scale)) | (Self::Decimal(whole, scale), Self::Int) => Self::Decimal(whole.max(19), scale),
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.merge(*b))),
            (Self::Members(mut all), Self::Members(more)) => {
                for (name, kind) in more {
                    match all.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, known)) => *known = std::mem::replace(known, Self::Null).merge(kind),
                        None => all.push((name, kind)),
                    }
                }
                if all.len() > MEMBERS_MAX { Self::Json } else { Self::Members(all) }
            }
            (a, b) if a == b => a,
            _ => Self::Json,
        }
    }

    /// As a column. What was never seen with a value may be anything.
    pub(super) fn field(&self, name: &str) -> Field {
        let of = match self {
            Self::Null | Self::Json => return element::json_field(name),
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Decimal(whole, scale) if whole + scale <= DIGITS_MAX => match i8::try_from(*scale) {
                // As wide as a column can be: later values may be larger than those of the sample.
                Ok(scale) => DataType::Decimal128(38, scale),
                Err(_) => return element::json_field(name),
            },
            Self::Decimal(..) => return element::json_field(name),
            Self::List(item) => DataType::List(Arc::new(item.field("item"))),
            Self::Members(members) => DataType::Struct(members.iter().map(|(name, kind)| kind.field(name)).collect()),
        };
        Field::new(name, of, true)
    }
}

/// A decimal number, digit by digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digits {
    is_negative: bool,
    digits: String,
    /// The power of ten of the last digit.
    exponent: i32,
}

/// Reads a decimal as the server writes it, for example `-1.50` or `1.5E+3`; none where it is no number or infinite.
pub(super) fn digits(text: &str) -> Option<Digits> {
    let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = text.split_once(['E', 'e']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.trim_start_matches('+').parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let kept = digits.trim_start_matches('0');
    Some(Digits { is_negative, digits: if kept.is_empty() { "0".to_owned() } else { kept.to_owned() }, exponent })
}

impl Digits {
    fn whole(&self) -> usize {
        let length = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        usize::try_from(length.saturating_add(self.exponent.into()).max(1)).unwrap_or(usize::MAX)
    }

    fn scale(&self) -> usize {
        usize::try_from(-i64::from(self.exponent)).unwrap_or(0)
    }

    /// In units of the last digit of a column; none where digits would be lost.
    pub(super) fn unscaled(&self, precision: u8, scale: i8) -> Option<i128> {
        let shift = i32::from(scale).checked_add(self.exponent)?;
        let digits = if shift >= 0 {
            let zeros = usize::try_from(shift).ok().filter(|zeros| *zeros <= DIGITS_MAX || self.digits == "0")?;
            if self.digits == "0" { "0".to_owned() } else { format!("{}{}", self.digits, "0".repeat(zeros)) }
        } else {
            let cut = usize::try_from(-shift).ok()?;
            let kept = self.digits.len().saturating_sub(cut);
            let (kept, lost) = self.digits.split_at_checked(kept)?;
            if lost.bytes().any(|byte| byte != b'0') {
                return None;
            }
            if kept.is_empty() { "0".to_owned() } else { kept.to_owned() }
        };
        let number: i128 = digits.parse().ok()?;
        let is_within = 10_i128.checked_pow(u32::from(precision)).is_none_or(|limit| number < limit);
        is_within.then_some(if self.is_negative { -number } else { number })
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, digits};
    use arrow::datatypes::DataType;
    use azora_connect::element;
    use mongodb::bson::{Bson, DateTime, doc, oid::ObjectId};

    fn kind(values: &[Bson]) -> Kind {
        values.iter().fold(Kind::Null, |all, value| all.merge(Kind::nested(value, 0)))
    }

    #[test]
    fn values_of_one_type_have_it_and_others_are_json() {
        let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
        assert_eq!(kind(&[Bson::Int32(1), Bson::Int64(2)]), Kind::Int);
        assert_eq!(kind(&[Bson::Int32(1), Bson::Null, Bson::Double(0.5)]), Kind::Float);
        assert_eq!(kind(&[Bson::ObjectId(ObjectId::new()), Bson::String("a".to_owned())]), Kind::Text);
        assert_eq!(kind(&[Bson::DateTime(DateTime::MIN), Bson::Int32(1)]), Kind::Json);
        assert_eq!(kind(&[decimal("1.50"), decimal("-123.4")]), Kind::Decimal(3, 2));
        assert_eq!(kind(&[decimal("NaN")]), Kind::Json);
        let list = kind(&[Bson::Array(vec![Bson::Int32(1)]), Bson::Array(vec![])]);
        assert_eq!(list, Kind::List(Box::new(Kind::Int)));
    }

    #[test]
    fn rows_have_all_members_that_were_seen() {
        let all = Kind::row(&doc! {"_id": 1, "place": {"city": "Łódź"}})
            .merge(Kind::row(&doc! {"_id": 2, "place": {"zip": 90}, "x": Bson::Null}));
        let DataType::Struct(fields) = all.field("").data_type().clone() else { panic!("{all:?}") };
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["_id", "place", "x"]);
        assert!(matches!(fields[1].data_type(), DataType::Struct(inner) if inner.len() == 2));
        assert!(element::is_json(&fields[2]));
    }

    #[test]
    fn decimals_lose_no_digit() {
        let unscaled = |text: &str, scale: i8| digits(text).unwrap().unscaled(38, scale);
        assert_eq!(unscaled("-1.50", 2), Some(-150));
        assert_eq!(unscaled("1.5E+3", 1), Some(15_000));
        assert_eq!(unscaled("1.500", 1), Some(15));
        assert_eq!(unscaled("0E-10", 2), Some(0));
        assert_eq!(unscaled("1.25", 1), None);
        assert_eq!(unscaled("1E+6000", 0), None);
        assert_eq!(digits("12.3").unwrap().unscaled(2, 1), None);
        assert_eq!(digits("Infinity"), None);
    }
}
