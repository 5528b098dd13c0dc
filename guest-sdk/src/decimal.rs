//! Exact decimal numbers and how they lie in columns.

use crate::array::Array;
use crate::failure::{Failure, Result};
use crate::read::{Item, Read};
use crate::schema::DataType;
use crate::write::{NumberBuilder, Write};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A number with at most `P` digits (1 to 38), `S` of them (0 to `P`) behind the point. Writes `decimal128(P, S)`.
///
/// Reads decimals with no more digits behind the point, and integers; a value that does not fit fails with its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal<const P: u8, const S: u8>(i128);

/// Why a text is no decimal of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalError {
    /// Not digits with at most one point.
    NotANumber,
    /// More digits than the type has.
    OutOfRange,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "not a decimal number",
            Self::OutOfRange => "decimal number has too many digits",
        })
    }
}

impl std::error::Error for DecimalError {}

const fn power_of_ten(exponent: u8) -> i128 {
    10_i128.pow(exponent as u32)
}

impl<const P: u8, const S: u8> Decimal<P, S> {
    // Named by every constructor, so that a type such as `Decimal<50, 2>` fails to compile when it is used.
    const LIMIT: i128 = {
        assert!(P >= 1 && P <= 38 && S <= P, "a decimal has 1 to 38 digits, and no more behind the point than in all");
        power_of_ten(P)
    };

    /// From the digits without the point: `1234` with two places is 12.34. None where there are more than `P` digits.
    #[must_use]
    pub const fn from_unscaled(unscaled: i128) -> Option<Self> {
        if unscaled > -Self::LIMIT && unscaled < Self::LIMIT { Some(Self(unscaled)) } else { None }
    }

    /// From a whole number; none where it does not fit.
    #[must_use]
    pub fn from_integer(integer: i64) -> Option<Self> {
        i128::from(integer).checked_mul(power_of_ten(S)).and_then(Self::from_unscaled)
    }

    /// The digits without the point.
    #[must_use]
    pub const fn unscaled(self) -> i128 {
        self.0
    }

    /// The nearest float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / power_of_ten(S) as f64
    }

    /// The sum; none where it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_unscaled)
    }

    /// The difference; none where it does not fit.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::from_unscaled)
    }

    /// The product, rounded to `S` places half away from zero; none where it does not fit.
    #[must_use]
    pub fn checked_mul<const Q: u8, const T: u8>(self, other: Decimal<Q, T>) -> Option<Self> {
        let product = self.0.checked_mul(other.unscaled())?;
        let unit = power_of_ten(T);
        let (whole, rest) = (product / unit, product % unit);
        let away = if rest.unsigned_abs() * 2 >= unit.unsigned_abs() { product.signum() } else { 0 };
        Self::from_unscaled(whole + away)
    }
}

impl<const P: u8, const S: u8> FromStr for Decimal<P, S> {
    type Err = DecimalError;

    /// Takes an optional sign, digits, and a point with at most `S` digits behind it.
    fn from_str(text: &str) -> std::result::Result<Self, DecimalError> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
            return Err(DecimalError::NotANumber);
        }
        let padding = usize::from(S).checked_sub(fraction.len()).ok_or(DecimalError::OutOfRange)?;
        let all = whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', padding));
        let mut unscaled = 0_i128;
        for digit in all {
            let shifted = unscaled.checked_mul(10).and_then(|value| value.checked_add(i128::from(digit - b'0')));
            unscaled = shifted.ok_or(DecimalError::OutOfRange)?;
        }
        Self::from_unscaled(if is_negative { -unscaled } else { unscaled }).ok_or(DecimalError::OutOfRange)
    }
}

impl<const P: u8, const S: u8> fmt::Display for Decimal<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let digits = self.0.unsigned_abs();
        if S == 0 {
            return write!(f, "{sign}{digits}");
        }
        let unit = power_of_ten(S).unsigned_abs();
        write!(f, "{sign}{}.{:0width$}", digits / unit, digits % unit, width = usize::from(S))
    }
}

impl<'a, const P: u8, const S: u8> Read<'a> for Decimal<P, S> {
    type Column = Cow<'a, [i128]>;
    type View = &'a [i128];

    fn data_type() -> DataType {
        <Self as Write>::data_type()
    }

    fn accepts(data_type: &DataType) -> bool {
        match data_type {
            DataType::Decimal128 { scale, .. } => *scale <= S as i8,
            other => i64::accepts(other),
        }
    }

    fn column(array: &Array<'a>) -> Result<Self::Column> {
        let (values, scale): (Cow<'a, [i128]>, i8) = match array.data_type() {
            DataType::Decimal128 { precision, scale } if *scale == S as i8 && *precision <= P => return Ok(array.values()),
            DataType::Decimal128 { scale, .. } => (array.values(), *scale),
            _ => (i64::column(array)?.iter().map(|&value| i128::from(value)).collect(), 0),
        };
        // Not above 38 + 127 places apart; what is more than i128 holds overflows below.
        let factor = 10_i128.checked_pow((i32::from(S) - i32::from(scale)).unsigned_abs());
        let validity = array.validity();
        let scaled =
            values.iter().enumerate().map(|(row, &value)| {
                let fitting = if value == 0 { Some(0) } else { factor.and_then(|factor| value.checked_mul(factor)) };
                match fitting.and_then(Self::from_unscaled) {
                    Some(decimal) => Ok(decimal.0),
                    None if !validity.is_valid(row) => Ok(0),
                    None => Err(Failure::overflow(format!("a value of column '{}' does not fit decimal128({P}, {S})", array.field.name))
                        .at_row(row)),
                }
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

impl<const P: u8, const S: u8> Write for Decimal<P, S> {
    type Builder = NumberBuilder<i128>;

    fn data_type() -> DataType {
        let _ = Self::LIMIT;
        DataType::Decimal128 { precision: P, scale: S as i8 }
    }

    fn builder(rows: usize) -> Self::Builder {
        NumberBuilder::new(rows)
    }

    #[inline]
    fn append(self, builder: &mut Self::Builder) {
        builder.push(self.0);
    }
}

impl<const P: u8, const S: u8> Item for Decimal<P, S> {}

#[cfg(test)]
mod tests {
    use super::*;

    type Money = Decimal<9, 2>;

    #[test]
    fn text_and_numbers_agree() {
        for text in ["0.00", "12.34", "-0.05", "9999999.99", "-9999999.99"] {
            assert_eq!(text.parse::<Money>().map(|money| money.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("7".parse::<Money>().map(Money::unscaled), Ok(700));
        assert_eq!("+.5".parse::<Money>().map(Money::unscaled), Ok(50));
        for (text, error) in [
            ("", DecimalError::NotANumber),
            ("1e3", DecimalError::NotANumber),
            ("1.234", DecimalError::OutOfRange),
            ("10000000", DecimalError::OutOfRange),
        ] {
            assert_eq!(text.parse::<Money>(), Err(error), "{text}");
        }
    }

    #[test]
    fn products_round_half_away_from_zero() {
        let money = |unscaled| Money::from_unscaled(unscaled).unwrap();
        let rate = Decimal::<4, 3>::from_unscaled(75).unwrap();
        assert_eq!(money(1000).checked_mul(rate), Some(money(75)));
        assert_eq!(money(-20).checked_mul(rate), Some(money(-2)));
        assert_eq!(money(999_999_999).checked_add(money(1)), None);
    }
}
