//! Comparing and searching.

use crate::text::Text;
use crate::units::{clamped, count, place};
use crate::vector::{self, BLOCK, STEP};

/// Whether `bytes` bytes are the same at both places.
#[inline(always)]
pub fn same(left: *const u8, right: *const u8, bytes: usize) -> bool {
    if bytes <= STEP {
        return vector::differ(left, right) & vector::first(bytes) == 0;
    }
    let mut done = 0;
    loop {
        let differ = vector::differ_in_block(left.wrapping_add(done), right.wrapping_add(done));
        if differ & vector::first_of_block(bytes - done) != 0 {
            return false;
        }
        done += BLOCK;
        if done >= bytes {
            return true;
        }
    }
}

/// The first byte at or behind `from` where `needle`, which is not empty, stands.
pub fn find(text: Text, needle: Text, from: usize) -> Option<usize> {
    if needle.bytes > text.bytes {
        return None;
    }
    let (first, last, gap) = (needle.byte(0), needle.byte(needle.bytes - 1), needle.bytes - 1);
    let positions = text.bytes - gap;
    let mut at = from;
    while at < positions {
        let mut found = vector::candidates(text.at.wrapping_add(at), first, last, gap) & vector::first(positions - at);
        while found != 0 {
            let hit = at + found.trailing_zeros() as usize;
            // Two bytes were compared already.
            if needle.bytes <= 2 || same(text.at.wrapping_add(hit), needle.at, needle.bytes) {
                return Some(hit);
            }
            found &= found - 1;
        }
        at += STEP;
    }
    None
}

/// The last byte at or before `from` where `needle`, which is not empty, stands.
fn find_last(text: Text, needle: Text, from: usize) -> Option<usize> {
    if needle.bytes > text.bytes {
        return None;
    }
    let mut at = from.min(text.bytes - needle.bytes) + 1;
    while at > 0 {
        at -= 1;
        if text.byte(at) == needle.byte(0) && same(text.at.wrapping_add(at), needle.at, needle.bytes) {
            return Some(at);
        }
    }
    None
}

/// The byte where a search from unit `position` begins: a position inside a character is behind it, because no
/// needle begins with half a character.
fn begin(text: Text, position: f64) -> usize {
    let position = clamped(position, text.bytes as u32);
    if position == 0 {
        return 0;
    }
    let place = place(text, 0, position);
    if place.is_inside { (place.byte + 4).min(text.bytes) } else { place.byte }
}

/// The UTF-16 position of a byte.
#[inline]
fn position(text: Text, byte: usize) -> f64 {
    count(text.part(0, byte)) as f64
}

/// `a === b`.
#[unsafe(no_mangle)]
pub extern "C" fn str_eq(a: u64, b: u64) -> u32 {
    let (a, b) = (Text::of(a), Text::of(b));
    (a.bytes == b.bytes && same(a.at, b.at, a.bytes)) as u32
}

/// The order of `a < b`, by UTF-16 units: -1, 0 or 1.
#[unsafe(no_mangle)]
pub extern "C" fn str_cmp(a: u64, b: u64) -> i32 {
    let (a, b) = (Text::of(a), Text::of(b));
    let common = a.bytes.min(b.bytes);
    let mut done = 0;
    while done < common {
        let differ = vector::differ(a.at.wrapping_add(done), b.at.wrapping_add(done)) & vector::first(common - done);
        if differ != 0 {
            let at = done + differ.trailing_zeros() as usize;
            let (left, right) = (a.byte(at), b.byte(at));
            // Surrogates stand below U+E000 to U+FFFF, so characters of four bytes come before those.
            let is_swapped = left >= 0xEE && right >= 0xEE && (left >= 0xF0) != (right >= 0xF0);
            return if (left < right) != is_swapped { -1 } else { 1 };
        }
        done += STEP;
    }
    (a.bytes > b.bytes) as i32 - (a.bytes < b.bytes) as i32
}

/// `s.indexOf(needle, from)`; a start that is left out is 0.
#[unsafe(no_mangle)]
pub extern "C" fn str_index_of(s: u64, needle: u64, from: f64) -> f64 {
    let (text, needle) = (Text::of(s), Text::of(needle));
    if needle.bytes == 0 {
        return clamped(from, count(text)) as f64;
    }
    find(text, needle, begin(text, from)).map_or(-1.0, |byte| position(text, byte))
}

/// `s.lastIndexOf(needle, from)`; a start that is left out is infinity.
#[unsafe(no_mangle)]
pub extern "C" fn str_last_index_of(s: u64, needle: u64, from: f64) -> f64 {
    let (text, needle) = (Text::of(s), Text::of(needle));
    let from = if from.is_nan() { f64::INFINITY } else { from };
    if needle.bytes == 0 {
        return clamped(from, count(text)) as f64;
    }
    // A position inside a character still allows the match that begins with that character's first unit.
    let from = place(text, 0, clamped(from, text.bytes as u32)).byte;
    find_last(text, needle, from).map_or(-1.0, |byte| position(text, byte))
}

/// `s.includes(needle, from)`; a start that is left out is 0.
#[unsafe(no_mangle)]
pub extern "C" fn str_includes(s: u64, needle: u64, from: f64) -> u32 {
    let (text, needle) = (Text::of(s), Text::of(needle));
    (needle.bytes == 0 || find(text, needle, begin(text, from)).is_some()) as u32
}

/// `s.startsWith(needle, from)`; a start that is left out is 0.
#[unsafe(no_mangle)]
pub extern "C" fn str_starts_with(s: u64, needle: u64, from: f64) -> u32 {
    let (text, needle) = (Text::of(s), Text::of(needle));
    if needle.bytes == 0 {
        return 1;
    }
    let place = place(text, 0, clamped(from, text.bytes as u32));
    (!place.is_inside && needle.bytes <= text.bytes - place.byte && same(text.at.wrapping_add(place.byte), needle.at, needle.bytes)) as u32
}

/// `s.endsWith(needle, end)`; an end that is left out is infinity.
#[unsafe(no_mangle)]
pub extern "C" fn str_ends_with(s: u64, needle: u64, end: f64) -> u32 {
    let (text, needle) = (Text::of(s), Text::of(needle));
    if needle.bytes == 0 {
        return 1;
    }
    let end = clamped(end, text.bytes as u32) as usize;
    let place = if end == text.bytes { place_end(text) } else { place(text, 0, end as u32) };
    (!place.is_inside && needle.bytes <= place.byte && same(text.at.wrapping_add(place.byte - needle.bytes), needle.at, needle.bytes))
        as u32
}

/// The end of a string, which needs no counting.
fn place_end(text: Text) -> crate::units::Place {
    crate::units::Place { byte: text.bytes, is_inside: false }
}
