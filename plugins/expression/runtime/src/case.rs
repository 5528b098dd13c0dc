//! `toUpperCase` and `toLowerCase`, with Unicode's special casing as JavaScript has it (no locale).

use crate::text::{Text, Writer};
use crate::vector::{self, STEP};

/// No character grows by more than this when its case changes (U+0390 goes from two bytes to six).
const GROWTH_MAX: usize = 3;

/// The string with its ASCII letters from `low` on flipped, unless it holds anything that is not ASCII.
#[inline(always)]
fn ascii(text: Text, low: u8) -> Option<Text> {
    if !text.is_ascii() {
        return None;
    }
    let mut out = Writer::new(text.bytes);
    vector::flip_case(text.at, out.place(), low);
    let mut done = STEP;
    while done < text.bytes {
        // Three steps at a time: most strings are done then.
        for n in 0..3 {
            vector::flip_case(text.at.wrapping_add(done + n * STEP), out.place().wrapping_add(done + n * STEP), low);
        }
        done += 3 * STEP;
    }
    out.advance(text.bytes);
    Some(out.finish())
}

#[cold]
#[inline(never)]
#[optimize(size)]
fn upper_wide(text: Text) -> Text {
    let mut out = Writer::new(text.bytes * GROWTH_MAX);
    for char in text.chars() {
        for upper in char.to_uppercase() {
            out.char(upper);
        }
    }
    out.finish()
}

#[cold]
#[inline(never)]
#[optimize(size)]
fn lower_wide(text: Text) -> Text {
    let mut out = Writer::new(text.bytes * GROWTH_MAX);
    let mut byte = 0;
    for char in text.chars() {
        let next = byte + char.len_utf8();
        if char == 'Σ' {
            out.char(if is_final(text, byte, next) { 'ς' } else { 'σ' });
        } else {
            for lower in char.to_lowercase() {
                out.char(lower);
            }
        }
        byte = next;
    }
    out.finish()
}

/// Whether a sigma from byte `from` to byte `to` ends a word: a cased letter before it and none behind it.
fn is_final(text: Text, from: usize, to: usize) -> bool {
    is_cased_first(text.part(0, from).chars().rev()) && !is_cased_first(text.part(to, text.bytes).chars())
}

/// Whether the first character that casing does not ignore is a cased letter.
fn is_cased_first(mut chars: impl Iterator<Item = char>) -> bool {
    chars.find(|char| !char.is_case_ignorable()).is_some_and(char::is_cased)
}

/// `s.toUpperCase()`.
#[unsafe(no_mangle)]
pub extern "C" fn str_upper(s: u64) -> u64 {
    let text = Text::of(s);
    ascii(text, b'a').unwrap_or_else(|| upper_wide(text)).packed()
}

/// `s.toLowerCase()`.
#[unsafe(no_mangle)]
pub extern "C" fn str_lower(s: u64) -> u64 {
    let text = Text::of(s);
    ascii(text, b'A').unwrap_or_else(|| lower_wide(text)).packed()
}
