//! Numbers to strings: `String(x)`, `toFixed`, `toPrecision`, `toExponential`, `toString(radix)`.

use crate::arena;
use crate::decimal::Decimal;
use crate::failure;
use crate::text::{Text, Writer};
use crate::vector;

/// Digits behind the point, or in all, that may be asked for.
const DIGITS_MAX: i32 = 100;
/// From here on `toFixed` writes as `String` does.
const FIXED_MAX: f64 = 1e21;
/// Whole numbers below it are exact and written digit by digit.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// Whole numbers below it have at most eight digits.
const SMALL_MAX: i64 = 100_000_000;
/// The longest 64-bit integer has 20 characters.
const INTEGER_MAX: usize = 20;
/// Room for what `toString(radix)` writes on each side of the point: 1074 binary digits, and 1023.
const RADIX_SIDE: usize = 1100;

/// NaN and the infinities have names; every other number has none.
#[optimize(size)]
fn name(x: f64) -> Option<u64> {
    if x.is_nan() {
        Some(Text::constant("NaN").packed())
    } else if x == f64::INFINITY {
        Some(Text::constant("Infinity").packed())
    } else if x == f64::NEG_INFINITY {
        Some(Text::constant("-Infinity").packed())
    } else {
        None
    }
}

/// `String(x)` for an Int64.
#[unsafe(no_mangle)]
pub extern "C" fn int_to_str(x: i64) -> u64 {
    if (0..SMALL_MAX).contains(&x) {
        return small(x as u32);
    }
    // Written from the last digit on, so the string begins somewhere inside of what is taken.
    let place = arena::take(INTEGER_MAX);
    let mut at = INTEGER_MAX;
    let mut put = |byte: u8| {
        at -= 1;
        // SAFETY: no integer has more characters than were taken.
        unsafe { *place.add(at) = byte };
    };
    let mut left = x.unsigned_abs();
    // Divisions of 64 bits are slow, those of 32 bits are multiplications.
    while left > u32::MAX as u64 {
        put(b'0' + (left % 10) as u8);
        left /= 10;
    }
    let mut left = left as u32;
    loop {
        put(b'0' + (left % 10) as u8);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if x < 0 {
        put(b'-');
    }
    Text { at: place.wrapping_add(at), bytes: INTEGER_MAX - at }.packed()
}

/// The digits of a number below [`SMALL_MAX`], gathered in a word.
#[inline(always)]
fn small(mut left: u32) -> u64 {
    let place = arena::take(8);
    let (mut digits, mut bytes) = (0, 0);
    loop {
        digits = digits << 8 | (b'0' as u64 + (left % 10) as u64);
        bytes += 1;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    vector::put(place, digits);
    Text { at: place, bytes }.packed()
}

/// `String(x)` for a Float64.
#[unsafe(no_mangle)]
pub extern "C" fn num_to_str(x: f64) -> u64 {
    let whole = x as i64;
    if whole as f64 == x && x.abs() < EXACT_MAX {
        return int_to_str(whole);
    }
    if let Some(name) = name(x) {
        return name;
    }
    shortest(x)
}

#[inline(never)]
#[optimize(size)]
fn shortest(x: f64) -> u64 {
    let mut buffer = ryu_js::Buffer::new();
    let digits = buffer.format_finite(x).as_bytes();
    let mut out = Writer::new(digits.len());
    out.bytes(digits);
    out.finish().packed()
}

/// `x.toFixed(digits)`.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn num_to_fixed(x: f64, digits: i32) -> u64 {
    if !(0..=DIGITS_MAX).contains(&digits) {
        failure::note("RangeError: toFixed takes 0 to 100 digits");
        return 0;
    }
    if !(x.abs() < FIXED_MAX) {
        return num_to_str(x);
    }
    let digits = digits as usize;
    let mut decimal = Decimal::new(x.abs(), digits + 1);
    decimal.round(decimal.point + digits);
    let mut out = Writer::new(decimal.point + digits + 3);
    if x < 0.0 {
        out.byte(b'-');
    }
    if decimal.point == 0 {
        out.byte(b'0');
    }
    put(&mut out, &decimal, 0, decimal.point);
    if digits > 0 {
        out.byte(b'.');
        put(&mut out, &decimal, decimal.point, decimal.point + digits);
    }
    out.finish().packed()
}

/// Appends the digits from one index to another.
#[optimize(size)]
fn put(out: &mut Writer, decimal: &Decimal, from: usize, to: usize) {
    for index in from..to {
        out.byte(b'0' + decimal.digit(index));
    }
}

/// The expansion of a number above zero, rounded to `digits` digits, and the index of the first of them.
#[optimize(size)]
fn significant(x: f64, digits: usize) -> (Decimal, usize) {
    // log10(2) is below 0.302, so these are at least the zeros behind the point.
    let binary = if x < f64::MIN_POSITIVE { -1074 } else { (x.to_bits() >> 52) as i32 - 1023 };
    let zeros = (-binary).max(0) as usize * 302 / 1000 + 1;
    let mut decimal = Decimal::new(x, zeros + digits + 1);
    let first = decimal.first().unwrap_or(0);
    decimal.round(first + digits);
    let first = decimal.first().unwrap_or(0);
    (decimal, first)
}

/// Appends `d.ddde+x` from the digits at `first` on.
#[optimize(size)]
fn exponential(out: &mut Writer, decimal: &Decimal, first: usize, digits: usize, exponent: i32) {
    put(out, decimal, first, first + 1);
    if digits > 1 {
        out.byte(b'.');
        put(out, decimal, first + 1, first + digits);
    }
    out.byte(b'e');
    out.byte(if exponent < 0 { b'-' } else { b'+' });
    let exponent = exponent.unsigned_abs();
    if exponent >= 100 {
        out.byte(b'0' + (exponent / 100) as u8);
    }
    if exponent >= 10 {
        out.byte(b'0' + (exponent / 10 % 10) as u8);
    }
    out.byte(b'0' + (exponent % 10) as u8);
}

/// `x.toPrecision(digits)`.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn num_to_precision(x: f64, digits: i32) -> u64 {
    if let Some(name) = name(x) {
        return name;
    }
    if !(1..=DIGITS_MAX).contains(&digits) {
        failure::note("RangeError: toPrecision takes 1 to 100 digits");
        return 0;
    }
    let n = digits as usize;
    let (decimal, first) = significant(x.abs(), n);
    let exponent = if x == 0.0 { 0 } else { decimal.point as i32 - 1 - first as i32 };
    let mut out = Writer::new(n + 16);
    if x < 0.0 {
        out.byte(b'-');
    }
    if exponent < -6 || exponent >= digits {
        exponential(&mut out, &decimal, first, n, exponent);
    } else if exponent < 0 {
        out.bytes(b"0.");
        for _ in 1..-exponent {
            out.byte(b'0');
        }
        put(&mut out, &decimal, first, first + n);
    } else {
        let whole = exponent as usize + 1;
        put(&mut out, &decimal, first, first + whole);
        if n > whole {
            out.byte(b'.');
            put(&mut out, &decimal, first + whole, first + n);
        }
    }
    out.finish().packed()
}

/// `x.toExponential(digits)`; digits that are left out, as many as needed, are -1.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn num_to_exponential(x: f64, digits: i32) -> u64 {
    if let Some(name) = name(x) {
        return name;
    }
    if !(-1..=DIGITS_MAX).contains(&digits) {
        failure::note("RangeError: toExponential takes 0 to 100 digits");
        return 0;
    }
    let mut out = Writer::new(DIGITS_MAX as usize + 16);
    if x < 0.0 {
        out.byte(b'-');
    }
    if digits < 0 {
        return shortest_exponential(x.abs(), out);
    }
    let n = digits as usize + 1;
    let (decimal, first) = significant(x.abs(), n);
    let exponent = if x == 0.0 { 0 } else { decimal.point as i32 - 1 - first as i32 };
    exponential(&mut out, &decimal, first, n, exponent);
    out.finish().packed()
}

/// Appends the fewest digits that tell the number from its neighbours, with an exponent.
#[optimize(size)]
fn shortest_exponential(x: f64, mut out: Writer) -> u64 {
    let mut buffer = ryu_js::Buffer::new();
    let text = buffer.format_finite(x).as_bytes();
    let end = text.iter().position(|byte| *byte == b'e').unwrap_or(text.len());
    let (mantissa, written) = text.split_at(end);
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len()) as i32;
    // The exponent that was written counts from behind the first digit, as ours does.
    let mut exponent = 0;
    for byte in written.iter().filter(|byte| byte.is_ascii_digit()) {
        exponent = exponent * 10 + (byte - b'0') as i32;
    }
    if written.get(1) == Some(&b'-') {
        exponent = -exponent;
    }
    let is_digit = |byte: &&u8| byte.is_ascii_digit();
    let zeros = mantissa.iter().filter(is_digit).take_while(|byte| **byte == b'0').count();
    let significant = || mantissa.iter().filter(is_digit).skip(zeros);
    let n = significant().enumerate().filter(|(_, byte)| **byte != b'0').last().map_or(1, |(last, _)| last + 1);
    exponent += point - 1 - zeros as i32;
    let mut decimal = Decimal::empty();
    significant().take(n).for_each(|byte| decimal.push(byte - b'0'));
    exponential(&mut out, &decimal, 0, n, if x == 0.0 { 0 } else { exponent });
    out.finish().packed()
}

/// The digit for a value below 36.
#[optimize(size)]
fn digit(value: f64) -> u8 {
    let value = value as u8;
    if value < 10 { b'0' + value } else { b'a' + (value - 10) }
}

/// The value of a digit.
#[optimize(size)]
fn value(digit: u8) -> u8 {
    if digit > b'9' { digit - b'a' + 10 } else { digit - b'0' }
}

/// `x.toString(radix)`. The standard leaves the digits to the engine; these are V8's.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn num_to_radix(x: f64, radix: i32) -> u64 {
    if !(2..=36).contains(&radix) {
        failure::note("RangeError: toString takes a radix from 2 to 36");
        return 0;
    }
    if radix == 10 {
        return num_to_str(x);
    }
    if let Some(name) = name(x) {
        return name;
    }
    let mut digits = [0u8; 2 * RADIX_SIDE];
    let size = x.abs();
    let (mut integer, end) = behind_point(size, radix, &mut digits);
    let radix = radix as f64;
    let mut begin = RADIX_SIDE;
    // Digits beyond the precision of a double are zeros.
    while integer / radix >= EXACT_MAX {
        integer /= radix;
        begin -= 1;
        digits[begin] = b'0';
    }
    loop {
        let rest = crate::math::f64_rem(integer, radix);
        begin -= 1;
        digits[begin] = digit(rest);
        integer = (integer - rest) / radix;
        if integer <= 0.0 {
            break;
        }
    }
    let mut out = Writer::new(end - begin + 1);
    if x < 0.0 {
        out.byte(b'-');
    }
    out.bytes(&digits[begin..end]);
    out.finish().packed()
}

/// Writes the point and the digits behind it; answers the integer part, which may have been rounded up, and the end.
#[optimize(size)]
fn behind_point(size: f64, radix: i32, digits: &mut [u8; 2 * RADIX_SIDE]) -> (f64, usize) {
    let integer = libm::floor(size);
    let mut fraction = size - integer;
    let mut end = RADIX_SIDE;
    // Half the distance to the next double: what is below it needs no digits.
    let mut delta = 0.5 * (f64::from_bits(size.to_bits() + 1) - size);
    delta = delta.max(f64::from_bits(1));
    if fraction < delta {
        return (integer, end);
    }
    digits[end] = b'.';
    end += 1;
    loop {
        fraction *= radix as f64;
        delta *= radix as f64;
        let whole = libm::trunc(fraction);
        digits[end] = digit(whole);
        end += 1;
        fraction -= whole;
        let is_up = fraction > 0.5 || (fraction == 0.5 && whole as i32 & 1 == 1);
        if is_up && fraction + delta > 1.0 {
            return carry(integer, radix, end, digits);
        }
        if fraction < delta {
            return (integer, end);
        }
    }
}

/// Adds one to the last digit that can take it, and drops those behind it.
#[optimize(size)]
fn carry(integer: f64, radix: i32, mut end: usize, digits: &mut [u8; 2 * RADIX_SIDE]) -> (f64, usize) {
    loop {
        end -= 1;
        if end == RADIX_SIDE {
            return (integer + 1.0, end);
        }
        let next = value(digits[end]) + 1;
        if (next as i32) < radix {
            digits[end] = digit(next as f64);
            return (integer, end + 1);
        }
    }
}
