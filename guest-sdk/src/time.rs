//! Moments and days, and how both lie in columns. No clock: a plugin has none unless it is granted.

use crate::array::Array;
use crate::failure::{Failure, Result};
use crate::read::{Item, Read};
use crate::schema::{DataType, TimeUnit};
use crate::write::{NumberBuilder, Write};
use std::borrow::Cow;
use std::fmt;

const MICROS_A_SECOND: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;
const MICROS_A_DAY: i64 = SECONDS_A_DAY * MICROS_A_SECOND;

/// A moment: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted. About ±292,000 years.
///
/// Reads timestamps of every unit (nanoseconds are rounded down to microseconds), with or without a time zone: without
/// one the clock time is taken as UTC. Writes `timestamp(us, UTC)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A day of the Gregorian calendar: days since 1970-01-01. Reads and writes `date32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Date(i32);

impl Timestamp {
    /// From microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the epoch; none where it is out of range.
    #[must_use]
    pub fn from_millis(millis: i64) -> Option<Self> {
        millis.checked_mul(1000).map(Self)
    }

    /// From seconds since the epoch; none where it is out of range.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        seconds.checked_mul(MICROS_A_SECOND).map(Self)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The day, in UTC.
    #[must_use]
    pub const fn date(self) -> Date {
        // ±292,000 years are ±107 million days.
        Date(self.0.div_euclid(MICROS_A_DAY) as i32)
    }

    /// Microseconds since midnight, in UTC.
    #[must_use]
    pub const fn micros_of_day(self) -> i64 {
        self.0.rem_euclid(MICROS_A_DAY)
    }

    /// The hour, 0 to 23, in UTC.
    #[must_use]
    pub const fn hour(self) -> u32 {
        (self.micros_of_day() / (3600 * MICROS_A_SECOND)) as u32
    }

    /// The minute, 0 to 59, in UTC.
    #[must_use]
    pub const fn minute(self) -> u32 {
        (self.micros_of_day() / (60 * MICROS_A_SECOND) % 60) as u32
    }

    /// The second, 0 to 59, in UTC.
    #[must_use]
    pub const fn second(self) -> u32 {
        (self.micros_of_day() / MICROS_A_SECOND % 60) as u32
    }

    /// The latest moment that is not after this one and a whole multiple of `micros` from the epoch; the moment itself
    /// where `micros` is not positive or the answer is out of range.
    #[must_use]
    pub fn truncate(self, micros: i64) -> Self {
        if micros <= 0 { self } else { self.0.checked_sub(self.0.rem_euclid(micros)).map_or(self, Self) }
    }

    /// That much later, or earlier; none where it is out of range.
    #[must_use]
    pub fn checked_add_micros(self, micros: i64) -> Option<Self> {
        self.0.checked_add(micros).map(Self)
    }
}

impl Date {
    /// From days since 1970-01-01.
    #[must_use]
    pub const fn from_days(days: i32) -> Self {
        Self(days)
    }

    /// From a year, month (1 to 12) and day; none where there is no such day.
    #[must_use]
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year.abs() > 1_000_000 {
            return None;
        }
        // The calendar of 400 years has 146,097 days; years start in March so that the leap day is the last one.
        let year = i64::from(year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let day_of_year = (153 * (i64::from(month) + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
        let year_of_era = year.rem_euclid(400);
        let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
        let date = Self(i32::try_from(days).ok()?);
        (date.ymd() == ((year + i64::from(month <= 2)) as i32, month, day)).then_some(date)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn days(self) -> i32 {
        self.0
    }

    /// Year, month (1 to 12) and day (1 to 31).
    #[must_use]
    pub const fn ymd(self) -> (i32, u32, u32) {
        let days = self.0 as i64 + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year as i32, month as u32, day as u32)
    }

    /// The day of the week, Monday is 0.
    #[must_use]
    pub const fn weekday(self) -> u32 {
        (self.0 as i64 + 3).rem_euclid(7) as u32
    }

    /// Its first moment, in UTC.
    #[must_use]
    pub const fn midnight(self) -> Timestamp {
        Timestamp((self.0 as i64).saturating_mul(MICROS_A_DAY))
    }
}

/// `2026-11-23`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// `2026-11-23T15:04:05.678Z`, with as many digits of the second as it needs.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{:02}:{:02}:{:02}", self.date(), self.hour(), self.minute(), self.second())?;
        match self.micros_of_day() % MICROS_A_SECOND {
            0 => f.write_str("Z"),
            micros if micros % 1000 == 0 => write!(f, ".{:03}Z", micros / 1000),
            micros => write!(f, ".{micros:06}Z"),
        }
    }
}

impl<'a> Read<'a> for Timestamp {
    type Column = Cow<'a, [i64]>;
    type View = &'a [i64];

    fn data_type() -> DataType {
        <Self as Write>::data_type()
    }

    fn accepts(data_type: &DataType) -> bool {
        matches!(data_type, DataType::Timestamp { .. } | DataType::Null)
    }

    fn column(array: &Array<'a>) -> Result<Self::Column> {
        let scale = match array.data_type() {
            DataType::Timestamp { unit: TimeUnit::Second, .. } => MICROS_A_SECOND,
            DataType::Timestamp { unit: TimeUnit::Millisecond, .. } => 1000,
            DataType::Timestamp { unit: TimeUnit::Nanosecond, .. } => {
                return Ok(array.values::<i64>().iter().map(|nanos| nanos.div_euclid(1000)).collect());
            }
            DataType::Null => return Ok(Cow::Owned(vec![0; array.len])),
            _ => return Ok(array.values()),
        };
        let validity = array.validity();
        let values = array.values::<i64>();
        let scaled = values.iter().enumerate().map(|(row, value)| match value.checked_mul(scale) {
            Some(micros) => Ok(micros),
            // What lies under a null is nobody's business.
            None if !validity.is_valid(row) => Ok(0),
            None => Err(Failure::overflow(format!("timestamp {value} of column '{}' is out of range", array.field.name)).at_row(row)),
        });
        scaled.collect()
    }

    fn view(column: &'a Self::Column) -> Self::View {
        column
    }

    #[inline]
    fn get(values: Self::View, row: usize) -> Self {
        Self(values[row])
    }
}

impl Write for Timestamp {
    type Builder = NumberBuilder<i64>;

    fn data_type() -> DataType {
        DataType::Timestamp { unit: TimeUnit::Microsecond, zone: Some("UTC".to_owned()) }
    }

    fn builder(rows: usize) -> Self::Builder {
        NumberBuilder::new(rows)
    }

    #[inline]
    fn append(self, builder: &mut Self::Builder) {
        builder.push(self.0);
    }
}

impl<'a> Read<'a> for Date {
    type Column = Cow<'a, [i32]>;
    type View = &'a [i32];

    fn data_type() -> DataType {
        DataType::Date32
    }

    fn accepts(data_type: &DataType) -> bool {
        matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Null)
    }

    fn column(array: &Array<'a>) -> Result<Self::Column> {
        Ok(match array.data_type() {
            DataType::Date64 => array.values::<i64>().iter().map(|millis| millis.div_euclid(SECONDS_A_DAY * 1000) as i32).collect(),
            DataType::Null => Cow::Owned(vec![0; array.len]),
            _ => array.values(),
        })
    }

    fn view(column: &'a Self::Column) -> Self::View {
        column
    }

    #[inline]
    fn get(values: Self::View, row: usize) -> Self {
        Self(values[row])
    }
}

impl Write for Date {
    type Builder = NumberBuilder<i32>;

    fn data_type() -> DataType {
        DataType::Date32
    }

    fn builder(rows: usize) -> Self::Builder {
        NumberBuilder::new(rows)
    }

    #[inline]
    fn append(self, builder: &mut Self::Builder) {
        builder.push(self.0);
    }
}

impl Item for Timestamp {}
impl Item for Date {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = Date::from_days(days).ymd();
            assert_eq!(Date::from_ymd(year, month, day), Some(Date::from_days(days)));
        }
        assert_eq!(Date::from_ymd(2026, 2, 29), None);
        assert_eq!(Date::from_ymd(2024, 2, 29).map(|date| date.to_string()).as_deref(), Some("2024-02-29"));
        assert_eq!(Date::from_ymd(2026, 11, 23).map(Date::weekday), Some(0));
    }

    #[test]
    fn moments_print_as_rfc_3339() {
        assert_eq!(Timestamp::from_micros(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_micros(-1).to_string(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::from_millis(1_700_000_000_123).map(|at| at.to_string()).as_deref(), Some("2023-11-14T22:13:20.123Z"));
    }

    #[test]
    fn truncation_goes_down_before_the_epoch_too() {
        assert_eq!(Timestamp::from_micros(-1).truncate(10), Timestamp::from_micros(-10));
        assert_eq!(Timestamp::from_micros(i64::MIN).truncate(7), Timestamp::from_micros(i64::MIN));
    }
}
