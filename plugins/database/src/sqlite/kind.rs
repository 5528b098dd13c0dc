//! How the values of a column are read. Any value may stand in any column of SQLite: a column's kind comes from the request,
//! from its declaration, or from a sample, and a value of another kind is a misfit.

use arrow::datatypes::{DataType, Field, TimeUnit};
use azora_connect::{element, json};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use rusqlite::types::ValueRef;
use serde_json::Value;

/// How timestamps are written, behind the date.
const TIMES: [&str; 2] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"];
/// Longest piece of a value that a reason shows.
const SHOWN_CHARS_MAX: usize = 40;
/// Days from the first day of the common era to the first of 1970.
const EPOCH_DAYS: i32 = 719_163;

/// How a column's values are read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Bool,
    /// With the least and the most that its column holds.
    Int(i64, i64),
    Float,
    Text,
    Bytes,
    Date,
    /// Microseconds.
    Timestamp,
    Decimal {
        precision: u8,
        scale: u8,
    },
    /// Values of several kinds, as JSON.
    Mixed,
    /// Texts that hold JSON, for columns of any other type.
    Json(Field),
}

/// A value that fits its column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fitted<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Decimal(i128),
    Json(Value),
}

impl Kind {
    /// The kind that reads into a field told by a request.
    pub(super) fn told(field: &Field) -> Self {
        match field.data_type() {
            DataType::Boolean => Self::Bool,
            DataType::Int64 => Self::Int(i64::MIN, i64::MAX),
            DataType::Int32 => Self::Int(i32::MIN.into(), i32::MAX.into()),
            DataType::Float64 | DataType::Float32 => Self::Float,
            DataType::Utf8 if !element::is_json(field) => Self::Text,
            DataType::Binary => Self::Bytes,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(..) => Self::Timestamp,
            DataType::Decimal128(precision, scale) => Self::Decimal { precision: *precision, scale: scale.unsigned_abs() },
            _ => Self::Json(field.clone()),
        }
    }

    /// The field and kind of a declared type, by SQLite's own rules; none where those say nothing.
    pub(super) fn declared(name: &str, declaration: &str) -> Option<(Field, Self)> {
        let upper = declaration.to_ascii_uppercase();
        let word = upper.split(['(', ' ']).next().unwrap_or_default();
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        let (of, kind) = match word {
            "BOOLEAN" | "BOOL" => (DataType::Boolean, Self::Bool),
            "DATE" => (DataType::Date32, Self::Date),
            "TIMESTAMPTZ" => (micros(Some("UTC")), Self::Timestamp),
            "DATETIME" | "TIMESTAMP" => (micros(None), Self::Timestamp),
            "DECIMAL" | "NUMERIC" | "DECIMAL_TEXT" => match digits(&upper) {
                Some((precision, scale)) => {
                    (DataType::Decimal128(precision, i8::try_from(scale).ok()?), Self::Decimal { precision, scale })
                }
                None => return None,
            },
            _ if upper.contains("INT") => (DataType::Int64, Self::Int(i64::MIN, i64::MAX)),
            _ if ["CHAR", "CLOB", "TEXT", "JSON", "TIME", "UUID"].iter().any(|part| upper.contains(part)) => (DataType::Utf8, Self::Text),
            _ if upper.contains("BLOB") => (DataType::Binary, Self::Bytes),
            _ if ["REAL", "FLOA", "DOUB"].iter().any(|part| upper.contains(part)) => (DataType::Float64, Self::Float),
            _ => return None,
        };
        Some((Field::new(name, of, true), kind))
    }

    /// A value as this kind wants it, or why it is not one.
    pub(super) fn fit<'a>(&self, value: ValueRef<'a>) -> Result<Fitted<'a>, String> {
        let misfit = || format!("{} is not {}", shown(value), self.wanted());
        Ok(match (self, value) {
            (_, ValueRef::Null) => Fitted::Null,
            (Self::Bool, ValueRef::Integer(number @ 0..=1)) => Fitted::Bool(number == 1),
            (Self::Int(min, max), ValueRef::Integer(number)) if (*min..=*max).contains(&number) => Fitted::Int(number),
            (Self::Float, ValueRef::Real(number)) => Fitted::Float(number),
            // Beyond 2^53 a whole number would become another one.
            (Self::Float, ValueRef::Integer(number)) if number.unsigned_abs() <= 1 << 53 => Fitted::Float(number as f64),
            (Self::Text, ValueRef::Text(text)) => Fitted::Text(utf8(text).ok_or_else(misfit)?),
            (Self::Bytes, ValueRef::Blob(bytes)) => Fitted::Bytes(bytes),
            (Self::Date, ValueRef::Text(text)) => Fitted::Int(utf8(text).and_then(days).ok_or_else(misfit)?.into()),
            (Self::Timestamp, ValueRef::Text(text)) => Fitted::Int(utf8(text).and_then(micros).ok_or_else(misfit)?),
            (Self::Decimal { precision, scale }, value) => Fitted::Decimal(decimal(value, *precision, *scale).ok_or_else(misfit)?),
            (Self::Mixed, ValueRef::Integer(number)) => Fitted::Json(number.into()),
            (Self::Mixed, ValueRef::Real(number)) => Fitted::Json(number.into()),
            (Self::Mixed, ValueRef::Text(text)) => Fitted::Json(utf8(text).ok_or_else(misfit)?.into()),
            (Self::Json(field), value) => {
                let value = match value {
                    ValueRef::Text(text) => serde_json::from_slice(text).map_err(|_| misfit())?,
                    ValueRef::Integer(number) => Value::from(number),
                    ValueRef::Real(number) => Value::from(number),
                    _ => return Err(misfit()),
                };
                json::array(field, &[Some(&value)]).map_err(|_| format!("{} is not {}", json::shown(&value), field.data_type()))?;
                Fitted::Json(value)
            }
            _ => return Err(misfit()),
        })
    }

    fn wanted(&self) -> &'static str {
        match self {
            Self::Bool => "a boolean (0 or 1)",
            Self::Int(..) => "a whole number of its column's size",
            Self::Float => "a number",
            Self::Text => "a text in UTF-8",
            Self::Bytes => "a blob",
            Self::Date => "a date (YYYY-MM-DD)",
            Self::Timestamp => "a timestamp (YYYY-MM-DD HH:MM:SS)",
            Self::Decimal { .. } => "a decimal of its column's digits",
            Self::Mixed => "a number or a text",
            Self::Json(_) => "JSON",
        }
    }
}

/// What a sample of a column holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    integers: bool,
    reals: bool,
    texts: bool,
    blobs: bool,
    is_misfit: bool,
}

impl Seen {
    /// Looks at a value; `kind` is the declared one.
    pub(super) fn look(&mut self, kind: Option<&Kind>, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => return,
            ValueRef::Integer(_) => self.integers = true,
            ValueRef::Real(_) => self.reals = true,
            ValueRef::Text(_) => self.texts = true,
            ValueRef::Blob(_) => self.blobs = true,
        }
        self.is_misfit |= kind.is_some_and(|kind| kind.fit(value).is_err());
    }

    /// Whether a declaration that is only a custom of people, such as DATE, does not hold.
    pub(super) const fn denies(&self, kind: &Kind) -> bool {
        self.is_misfit && matches!(kind, Kind::Bool | Kind::Date | Kind::Timestamp | Kind::Decimal { .. })
    }

    /// The field and kind of what was seen.
    pub(super) fn kind(&self, name: &str) -> (Field, Kind) {
        let field = |of| Field::new(name, of, true);
        match (self.integers, self.reals, self.texts, self.blobs) {
            (true, false, false, false) => (field(DataType::Int64), Kind::Int(i64::MIN, i64::MAX)),
            (_, true, false, false) => (field(DataType::Float64), Kind::Float),
            (false, false, true, false) => (field(DataType::Utf8), Kind::Text),
            (false, false, false, true) => (field(DataType::Binary), Kind::Bytes),
            _ => (element::json_field(name), Kind::Mixed),
        }
    }
}

/// The digits of `DECIMAL(12, 2)`, where a column can have them.
fn digits(declaration: &str) -> Option<(u8, u8)> {
    let inside = declaration.split_once('(')?.1.split_once(')')?.0;
    let (precision, scale) = inside.split_once(',').unwrap_or((inside, "0"));
    let (precision, scale): (u8, u8) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    ((1..=38).contains(&precision) && scale <= precision).then_some((precision, scale))
}

fn utf8(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok()
}

/// Days since 1970 of a date, of any time of that day too where it is midnight.
fn days(text: &str) -> Option<i32> {
    use chrono::Datelike;
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().or_else(|| {
        let micros = micros(text)?;
        (micros % 86_400_000_000 == 0).then(|| DateTime::from_timestamp_micros(micros)).flatten().map(|at| at.date_naive())
    })?;
    Some(date.num_days_from_ce() - EPOCH_DAYS)
}

/// Microseconds since 1970 of a text in ISO 8601, in UTC where it has no zone.
fn micros(text: &str) -> Option<i64> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    }
    let text = text.replacen('T', " ", 1);
    for format in TIMES {
        if let Ok(at) = NaiveDateTime::parse_from_str(text.strip_suffix('Z').unwrap_or(&text), format) {
            return Some(at.and_utc().timestamp_micros());
        }
        if let Ok(at) = DateTime::parse_from_str(&text, &format!("{format}%#z")) {
            return Some(at.timestamp_micros());
        }
    }
    None
}

/// A number as whole units of the last digit; none where digits would be lost.
fn decimal(value: ValueRef<'_>, precision: u8, scale: u8) -> Option<i128> {
    let written;
    let text = match value {
        ValueRef::Text(text) => utf8(text)?,
        ValueRef::Integer(number) => {
            written = number.to_string();
            &written
        }
        ValueRef::Real(number) if number.is_finite() => {
            written = number.to_string();
            &written
        }
        _ => return None,
    };
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || !is_plain(whole) || !is_plain(fraction) || fraction.len() > usize::from(scale) {
        return None;
    }
    let scale = usize::from(scale);
    let number: i128 = format!("{whole}{fraction:0<scale$}").parse().ok()?;
    let is_within = number < 10_i128.pow(u32::from(precision));
    is_within.then_some(if is_negative { -number } else { number })
}

/// A value for a message.
fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            let cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            format!("{cut:?}{}", if cut.len() < text.len() { "…" } else { "" })
        }
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fitted, Kind, Seen};
    use arrow::datatypes::DataType;
    use rusqlite::types::ValueRef;

    fn fit<'a>(declaration: &str, value: ValueRef<'a>) -> Option<Fitted<'a>> {
        Kind::declared("a", declaration).unwrap().1.fit(value).ok()
    }

    #[test]
    fn declarations_have_kinds() {
        let check = |declaration: &str, of: DataType| {
            assert_eq!(Kind::declared("a", declaration).unwrap().0.data_type(), &of, "{declaration}");
        };
        check("unsigned big int", DataType::Int64);
        check("VARCHAR(20)", DataType::Utf8);
        check("double precision", DataType::Float64);
        check("DECIMAL(12, 2)", DataType::Decimal128(12, 2));
        check("bool", DataType::Boolean);
        for unknown in ["", "NUMERIC", "DECIMAL(99,2)", "MONEY"] {
            assert!(Kind::declared("a", unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn values_fit_or_are_told_apart() {
        let text = |text: &'static str| ValueRef::Text(text.as_bytes());
        assert_eq!(fit("INTEGER", ValueRef::Integer(7)), Some(Fitted::Int(7)));
        assert_eq!(fit("INTEGER", text("7")), None);
        assert_eq!(fit("INTEGER", ValueRef::Real(7.0)), None);
        assert_eq!(fit("REAL", ValueRef::Integer(7)), Some(Fitted::Float(7.0)));
        assert_eq!(fit("REAL", ValueRef::Integer((1 << 53) + 1)), None);
        assert_eq!(fit("BOOLEAN", ValueRef::Integer(2)), None);
        assert_eq!(fit("TEXT", ValueRef::Text(b"\xff")), None);
        assert_eq!(fit("DATE", text("1970-01-02")), Some(Fitted::Int(1)));
        assert_eq!(fit("DATE", text("1970-01-02 00:00:00")), Some(Fitted::Int(1)));
        assert_eq!(fit("DATE", text("yesterday")), None);
        for at in ["1970-01-01 00:00:01.5", "1970-01-01T00:00:01.500Z", "1970-01-01T01:00:01.5+01:00"] {
            assert_eq!(fit("DATETIME", text(at)), Some(Fitted::Int(1_500_000)), "{at}");
        }
        assert_eq!(fit("DECIMAL(5,2)", text("-123.40")), Some(Fitted::Decimal(-12340)));
        assert_eq!(fit("DECIMAL(5,2)", ValueRef::Real(0.1)), Some(Fitted::Decimal(10)));
        assert_eq!(fit("DECIMAL(5,2)", text("1.234")), None);
        assert_eq!(fit("DECIMAL(5,2)", ValueRef::Integer(1000)), None);
        assert_eq!(fit("BLOB", ValueRef::Null), Some(Fitted::Null));
    }

    #[test]
    fn samples_have_kinds() {
        let seen = |values: &[ValueRef<'_>]| {
            let mut seen = Seen::default();
            values.iter().for_each(|value| seen.look(None, *value));
            seen.kind("a").1
        };
        assert_eq!(seen(&[ValueRef::Null, ValueRef::Integer(1)]), Kind::Int(i64::MIN, i64::MAX));
        assert_eq!(seen(&[ValueRef::Integer(1), ValueRef::Real(0.5)]), Kind::Float);
        assert_eq!(seen(&[ValueRef::Integer(1), ValueRef::Text(b"x")]), Kind::Mixed);
        assert_eq!(seen(&[]), Kind::Mixed);
    }
}
