//! `trim`, `trimStart`, `trimEnd`, with JavaScript's set of white space and line ends.

use crate::text::Text;

/// The bytes of the white space that begins a string, 0 if it begins with none.
#[inline(always)]
fn leading(text: Text) -> usize {
    let Some(&first) = text.slice().first() else { return 0 };
    match first {
        b' ' | 9..=13 => 1,
        0..=0x7F => 0,
        _ => leading_wide(text.slice()),
    }
}

#[cold]
#[inline(never)]
#[optimize(size)]
fn leading_wide(bytes: &[u8]) -> usize {
    match bytes {
        [0xC2, 0xA0, ..] => 2,
        [a, b, c, ..] if is_wide_space(*a, *b, *c) => 3,
        _ => 0,
    }
}

/// U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000 and U+FEFF.
fn is_wide_space(a: u8, b: u8, c: u8) -> bool {
    matches!(
        (a, b, c),
        (0xE1, 0x9A, 0x80) | (0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF) | (0xE2, 0x81, 0x9F) | (0xE3, 0x80, 0x80) | (0xEF, 0xBB, 0xBF)
    )
}

/// The bytes of the white space that ends a string, 0 if it ends with none.
#[inline(always)]
fn trailing(text: Text) -> usize {
    let Some(&last) = text.slice().last() else { return 0 };
    match last {
        b' ' | 9..=13 => 1,
        0..=0x7F => 0,
        _ => trailing_wide(text.slice()),
    }
}

#[cold]
#[inline(never)]
#[optimize(size)]
fn trailing_wide(bytes: &[u8]) -> usize {
    match bytes {
        [.., 0xC2, 0xA0] => 2,
        [.., a, b, c] if is_wide_space(*a, *b, *c) => 3,
        _ => 0,
    }
}

/// Without the white space at the beginning.
pub fn start(mut text: Text) -> Text {
    loop {
        match leading(text) {
            0 => return text,
            n => text = text.part(n, text.bytes),
        }
    }
}

/// Without the white space at the end.
pub fn end(mut text: Text) -> Text {
    loop {
        match trailing(text) {
            0 => return text,
            n => text = text.part(0, text.bytes - n),
        }
    }
}

/// `s.trim()`.
#[unsafe(no_mangle)]
pub extern "C" fn str_trim(s: u64) -> u64 {
    end(start(Text::of(s))).packed()
}

/// `s.trimStart()`.
#[unsafe(no_mangle)]
pub extern "C" fn str_trim_start(s: u64) -> u64 {
    start(Text::of(s)).packed()
}

/// `s.trimEnd()`.
#[unsafe(no_mangle)]
pub extern "C" fn str_trim_end(s: u64) -> u64 {
    end(Text::of(s)).packed()
}
