//! UTF-16 positions in UTF-8 strings: length, and the cuts `slice`, `substring`, `substr` and `at`.

use crate::text::{REPLACEMENT, Text, UNDEFINED, Writer};
use crate::vector::{self, BLOCK, STEP};

/// Where a UTF-16 position falls in the bytes.
#[derive(Clone, Copy)]
pub struct Place {
    /// The byte that begins the character there.
    pub byte: usize,
    /// The position is between the two units of that character.
    pub is_inside: bool,
}

/// How many UTF-16 units a string has.
#[inline]
pub fn count(text: Text) -> u32 {
    if text.bytes <= STEP {
        return vector::units(text.at, vector::first(text.bytes));
    }
    let mut units = 0;
    let mut done = 0;
    loop {
        units += vector::units_in_block(text.at.wrapping_add(done), vector::first_of_block(text.bytes - done));
        done += BLOCK;
        if done >= text.bytes {
            return units;
        }
    }
}

/// Where unit `position` begins, counted from byte `from`, which begins a character; the end if there are fewer units.
#[optimize(size)]
pub fn place(text: Text, from: usize, position: u32) -> Place {
    let mut byte = from;
    let mut left = position;
    while byte + STEP <= text.bytes && left > STEP as u32 {
        // 16 bytes have at most 17 units, a pair beginning in the last one; `left` cannot be passed inside of them.
        left -= vector::units(text.at.wrapping_add(byte), 0xFFFF);
        byte += STEP;
    }
    while byte < text.bytes {
        let lead = text.byte(byte);
        if lead & 0xC0 == 0x80 {
            byte += 1;
            continue;
        }
        if left == 0 {
            break;
        }
        if lead >= 0xF0 {
            if left == 1 {
                return Place { byte, is_inside: true };
            }
            left -= 1;
        }
        left -= 1;
        byte += 1;
    }
    Place { byte, is_inside: false }
}

/// From unit `from` to unit `to`.
#[inline]
pub fn cut(text: Text, from: u32, to: u32) -> Text {
    if from >= to {
        return text.part(0, 0);
    }
    let end = (to as usize).min(text.bytes);
    if text.is_ascii_up_to(end) && (end == to as usize || end == text.bytes) {
        return text.part((from as usize).min(end), end);
    }
    cut_wide(text, from, to)
}

#[cold]
#[inline(never)]
#[optimize(size)]
fn cut_wide(text: Text, from: u32, to: u32) -> Text {
    let begin = place(text, 0, from);
    let end = if begin.is_inside { place(text, begin.byte, to - from + 1) } else { place(text, begin.byte, to - from) };
    if !begin.is_inside && !end.is_inside {
        return text.part(begin.byte, end.byte);
    }
    let first = if begin.is_inside { (begin.byte + 4).min(text.bytes) } else { begin.byte };
    let mut out = Writer::new(text.bytes + 8);
    if begin.is_inside {
        out.bytes(REPLACEMENT.as_bytes());
    }
    out.text(text.part(first, end.byte.max(first)));
    if end.is_inside {
        out.bytes(REPLACEMENT.as_bytes());
    }
    out.finish()
}

/// A position that counts from the end where it is negative, held inside `0..=length`.
#[inline(always)]
pub fn relative(position: f64, length: u32) -> u32 {
    let whole = position as i64;
    let length = length as i64;
    if whole < 0 { whole.saturating_add(length).max(0) as u32 } else { whole.min(length) as u32 }
}

/// A position held inside `0..=length`.
#[inline(always)]
pub fn clamped(position: f64, length: u32) -> u32 {
    (position as i64).clamp(0, length as i64) as u32
}

/// `s.length`, as an `i32`.
#[unsafe(no_mangle)]
pub extern "C" fn str_len(s: u64) -> u32 {
    count(Text::of(s))
}

/// `s.slice(start, end)`; an end that is left out is infinity.
#[unsafe(no_mangle)]
pub extern "C" fn str_slice(s: u64, start: f64, end: f64) -> u64 {
    let text = Text::of(s);
    // Bytes are never fewer than units, so they bound positions that count from the beginning.
    let length = if start < 0.0 || end < 0.0 { count(text) } else { text.bytes as u32 };
    cut(text, relative(start, length), relative(end, length)).packed()
}

/// `s.substring(start, end)`; an end that is left out is infinity.
#[unsafe(no_mangle)]
pub extern "C" fn str_substring(s: u64, start: f64, end: f64) -> u64 {
    let text = Text::of(s);
    let (start, end) = (clamped(start, text.bytes as u32), clamped(end, text.bytes as u32));
    cut(text, start.min(end), start.max(end)).packed()
}

/// `s.substr(start, length)`; a length that is left out is infinity.
#[unsafe(no_mangle)]
pub extern "C" fn str_substr(s: u64, start: f64, length: f64) -> u64 {
    let text = Text::of(s);
    let units = if start < 0.0 { count(text) } else { text.bytes as u32 };
    let start = relative(start, units);
    cut(text, start, start.saturating_add(clamped(length, text.bytes as u32)).min(units)).packed()
}

/// The string of the unit at `position`, if there is one.
#[inline(always)]
fn unit_at(text: Text, position: i64) -> Option<Text> {
    if position < 0 || position >= text.bytes as i64 {
        return None;
    }
    let unit = cut(text, position as u32, position as u32 + 1);
    (unit.bytes != 0).then_some(unit)
}

/// `s.charAt(position)`; empty where there is no such unit.
#[unsafe(no_mangle)]
pub extern "C" fn str_char_at(s: u64, position: f64) -> u64 {
    unit_at(Text::of(s), position as i64).map_or(s & 0xFFFF_FFFF, Text::packed)
}

/// `s[position]` for a whole number: `undefined` where there is no such unit.
#[unsafe(no_mangle)]
pub extern "C" fn str_index(s: u64, position: f64) -> u64 {
    if position as i64 as f64 != position {
        return UNDEFINED;
    }
    unit_at(Text::of(s), position as i64).map_or(UNDEFINED, Text::packed)
}

/// `s.at(position)`; `undefined` where there is no such unit.
#[unsafe(no_mangle)]
pub extern "C" fn str_at(s: u64, position: f64) -> u64 {
    let text = Text::of(s);
    let mut position = position as i64;
    if position < 0 {
        position = position.saturating_add(count(text) as i64);
    }
    unit_at(text, position).map_or(UNDEFINED, Text::packed)
}
