//! `split`, into a list of strings that share the memory of the one that was split.

use crate::search::find;
use crate::text::{REPLACEMENT, Slots, Text};
use crate::units::count;

/// `ToUint32` of a limit, as far as it matters: lists are shorter than that.
#[optimize(size)]
fn bound(limit: f64) -> usize {
    crate::math::f64_to_int32(limit) as u32 as usize
}

/// `s.split(separator, limit)`; a limit that is left out is 4294967295.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn str_split(s: u64, separator: u64, limit: f64) -> u64 {
    let (text, separator) = (Text::of(s), Text::of(separator));
    let limit = bound(limit);
    if separator.bytes == 0 {
        return units(text, limit);
    }
    let mut parts = 1;
    let mut from = 0;
    while let Some(at) = find(text, separator, from) {
        parts += 1;
        from = at + separator.bytes;
    }
    let parts = parts.min(limit);
    let mut list = Slots::new(parts);
    let mut from = 0;
    for _ in 0..parts {
        let end = find(text, separator, from).unwrap_or(text.bytes);
        list.push(text.part(from, end).packed());
        from = end + separator.bytes;
    }
    list.packed()
}

/// `s.split('')`: one string per UTF-16 unit, U+FFFD for half a pair.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn str_chars(s: u64) -> u64 {
    units(Text::of(s), usize::MAX)
}

#[optimize(size)]
fn units(text: Text, limit: usize) -> u64 {
    let n = (count(text) as usize).min(limit);
    let mut list = Slots::new(n);
    let mut left = n;
    let mut byte = 0;
    for char in text.chars() {
        let bytes = char.len_utf8();
        let unit = if bytes == 4 { Text::constant(REPLACEMENT) } else { text.part(byte, byte + bytes) };
        for _ in 0..char.len_utf16().min(left) {
            list.push(unit.packed());
            left -= 1;
        }
        if left == 0 {
            break;
        }
        byte += bytes;
    }
    list.packed()
}

/// `[...s]`: one string per character.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn str_code_points(s: u64) -> u64 {
    let text = Text::of(s);
    let mut list = Slots::new(text.bytes);
    let mut byte = 0;
    for char in text.chars() {
        let next = byte + char.len_utf8();
        list.push(text.part(byte, next).packed());
        byte = next;
    }
    list.packed()
}
