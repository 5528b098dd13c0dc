//! Strings to numbers: `Number(s)`, `parseFloat`, `parseInt`.

use crate::text::Text;
use crate::trim;

/// Digits that always fit an exact integer.
const EXACT_DIGITS: usize = 15;

/// How many bytes of `bytes` are a decimal literal without a sign: digits, a point, an exponent. 0 if none are.
#[optimize(size)]
fn literal(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(0);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if whole + fraction == 0 {
            return 0;
        }
        end += 1 + fraction;
    }
    if end == 0 {
        return 0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = matches!(bytes.get(end + 1), Some(b'+' | b'-')) as usize;
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

/// The value of a literal that [`literal`] found, correctly rounded.
#[inline(never)]
#[optimize(size)]
fn decimal(bytes: &[u8]) -> f64 {
    if bytes.len() <= EXACT_DIGITS && bytes.iter().all(u8::is_ascii_digit) {
        return bytes.iter().fold(0u64, |value, byte| value * 10 + (byte - b'0') as u64) as f64;
    }
    // SAFETY: a literal is ASCII.
    unsafe { core::str::from_utf8_unchecked(bytes) }.parse().unwrap_or(f64::NAN)
}

/// A sign and what follows it.
#[optimize(size)]
fn signed(bytes: &[u8]) -> (f64, &[u8]) {
    match bytes {
        [b'-', rest @ ..] => (-1.0, rest),
        [b'+', rest @ ..] => (1.0, rest),
        _ => (1.0, bytes),
    }
}

/// The value of a digit in any radix up to 36; 36 for what is none.
#[optimize(size)]
fn digit(byte: u8) -> u32 {
    (byte as char).to_digit(36).unwrap_or(36)
}

/// How many digits of `radix` there are at the beginning.
#[optimize(size)]
fn digits(bytes: &[u8], radix: u32) -> usize {
    bytes.iter().take_while(|byte| digit(**byte) < radix).count()
}

/// The value of digits in a radix that is a power of two, rounded half to even.
#[optimize(size)]
fn binary(bytes: &[u8], radix: u32) -> f64 {
    let shift = radix.trailing_zeros();
    let mut mantissa = 0u64;
    let mut dropped = 0u32;
    let mut is_sticky = false;
    for byte in bytes {
        let value = digit(*byte) as u64;
        for bit in (0..shift).rev() {
            let bit = value >> bit & 1;
            if mantissa >> 54 == 0 {
                mantissa = mantissa << 1 | bit;
            } else {
                dropped += 1;
                is_sticky |= bit != 0;
            }
        }
    }
    // Two bits more than a double has: the conversion rounds, and the sticky bit tells a half from more.
    let scale = |value: f64| libm::scalbn(value, dropped.min(2000) as i32);
    scale((mantissa << 1 | is_sticky as u64) as f64) / 2.0
}

/// The value of digits in any other radix, in V8's way: parts that fit 32 bits, added up in doubles.
#[optimize(size)]
fn mixed(bytes: &[u8], radix: u32) -> f64 {
    const MULTIPLIER_MAX: u32 = u32::MAX / 36;
    let mut value = 0.0;
    let (mut part, mut multiplier) = (0u32, 1u32);
    for byte in bytes.iter().skip_while(|byte| **byte == b'0') {
        if multiplier * radix > MULTIPLIER_MAX {
            value = value * multiplier as f64 + part as f64;
            (part, multiplier) = (0, 1);
        }
        part = part * radix + digit(*byte);
        multiplier *= radix;
    }
    value * multiplier as f64 + part as f64
}

/// `Number(s)`.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn str_to_num(s: u64) -> f64 {
    let bytes = trim::end(trim::start(Text::of(s))).slice();
    if bytes.is_empty() {
        return 0.0;
    }
    if let [b'0', letter, rest @ ..] = bytes {
        let radix = match letter {
            b'x' | b'X' => 16,
            b'o' | b'O' => 8,
            b'b' | b'B' => 2,
            _ => 0,
        };
        if radix != 0 {
            let is_number = !rest.is_empty() && digits(rest, radix) == rest.len();
            return if is_number { binary(rest, radix) } else { f64::NAN };
        }
    }
    let (sign, rest) = signed(bytes);
    if rest == b"Infinity" {
        return sign * f64::INFINITY;
    }
    if rest.is_empty() || literal(rest) != rest.len() {
        return f64::NAN;
    }
    sign * decimal(rest)
}

/// `parseFloat(s)`.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn parse_float(s: u64) -> f64 {
    let (sign, rest) = signed(trim::start(Text::of(s)).slice());
    if rest.starts_with(b"Infinity") {
        return sign * f64::INFINITY;
    }
    match literal(rest) {
        0 => f64::NAN,
        end => sign * decimal(&rest[..end]),
    }
}

/// `parseInt(s, radix)`; a radix that is left out is 0.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn parse_int(s: u64, radix: i32) -> f64 {
    let (sign, mut rest) = signed(trim::start(Text::of(s)).slice());
    if radix != 0 && !(2..=36).contains(&radix) {
        return f64::NAN;
    }
    let mut radix = radix as u32;
    if radix == 0 || radix == 16 {
        if let [b'0', b'x' | b'X', digits @ ..] = rest {
            rest = digits;
            radix = 16;
        }
    }
    if radix == 0 {
        radix = 10;
    }
    let number = &rest[..digits(rest, radix)];
    if number.is_empty() {
        return f64::NAN;
    }
    sign * match radix {
        10 => decimal(number),
        _ if radix.is_power_of_two() => binary(number, radix),
        _ => mixed(number, radix),
    }
}
