//! Characters and their codes: `charCodeAt`, `codePointAt`, `fromCharCode`, `fromCodePoint`.

use crate::failure;
use crate::math::f64_to_int32;
use crate::text::{Text, Writer};
use crate::units::place;

/// The code point of the character that begins at `byte`.
fn decode(text: Text, byte: usize) -> u32 {
    text.part(byte, text.bytes).chars().next().map_or(0, u32::from)
}

/// What stands at a UTF-16 position: a character, and whether the position is its second unit.
#[inline]
fn unit(text: Text, position: f64) -> Option<(u32, bool)> {
    let position = position as i64;
    if position < 0 || position >= text.bytes as i64 {
        return None;
    }
    if text.is_ascii_up_to(position as usize + 1) {
        return Some((text.byte(position as usize) as u32, false));
    }
    let place = place(text, 0, position as u32);
    (place.byte < text.bytes).then(|| (decode(text, place.byte), place.is_inside))
}

/// `s.charCodeAt(position)`; NaN where there is no such unit.
#[unsafe(no_mangle)]
pub extern "C" fn str_char_code_at(s: u64, position: f64) -> f64 {
    match unit(Text::of(s), position) {
        None => f64::NAN,
        Some((code, true)) => (0xDC00 + ((code - 0x1_0000) & 0x3FF)) as f64,
        Some((code, false)) if code >= 0x1_0000 => (0xD800 + ((code - 0x1_0000) >> 10)) as f64,
        Some((code, false)) => code as f64,
    }
}

/// `s.codePointAt(position)`; NaN for `undefined`.
#[unsafe(no_mangle)]
pub extern "C" fn str_code_point_at(s: u64, position: f64) -> f64 {
    match unit(Text::of(s), position) {
        None => f64::NAN,
        Some((code, true)) => (0xDC00 + ((code - 0x1_0000) & 0x3FF)) as f64,
        Some((code, false)) => code as f64,
    }
}

/// `String.fromCharCode(code)`; a lone surrogate becomes U+FFFD.
#[unsafe(no_mangle)]
pub extern "C" fn str_from_char_code(code: f64) -> u64 {
    let mut out = Writer::new(4);
    out.char(char::from_u32(f64_to_int32(code) as u32 & 0xFFFF).unwrap_or('\u{FFFD}'));
    out.finish().packed()
}

/// `String.fromCodePoint(code)`; a lone surrogate becomes U+FFFD, what is no code point is a `RangeError`.
#[unsafe(no_mangle)]
pub extern "C" fn str_from_code_point(code: f64) -> u64 {
    let mut out = Writer::new(4);
    if code >= 0.0 && code <= 0x10_FFFF as f64 && code as u32 as f64 == code {
        out.char(char::from_u32(code as u32).unwrap_or('\u{FFFD}'));
    } else {
        failure::note("RangeError: invalid code point");
    }
    out.finish().packed()
}
