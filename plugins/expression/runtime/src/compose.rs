//! Making strings of strings: concatenation, `repeat`, padding, `replace`, `join`.

use crate::arena;
use crate::failure;
use crate::search::find;
use crate::text::{Text, Writer, slots};
use crate::units::{count, cut};
use crate::vector::{self, STEP};

/// The longest string that JavaScript has, in UTF-16 units; here it bounds bytes, which are never fewer.
const BYTES_MAX: u64 = (1 << 29) - 24;

/// Whether a string of so many bytes may be made; notes the failure where not.
#[inline(always)]
fn fits(bytes: u64) -> bool {
    if bytes > BYTES_MAX {
        failure::note("RangeError: the string is longer than 536870888 bytes");
        return false;
    }
    true
}

/// `a + b`.
#[unsafe(no_mangle)]
pub extern "C" fn str_concat(a: u64, b: u64) -> u64 {
    let (a, b) = (Text::of(a), Text::of(b));
    if !fits(a.bytes as u64 + b.bytes as u64) {
        return 0;
    }
    if a.bytes >= STEP && arena::extend(a.at.wrapping_add(a.bytes), b.bytes) {
        vector::copy(b.at, a.at.wrapping_add(a.bytes).cast_mut(), b.bytes);
        return Text { at: a.at, bytes: a.bytes + b.bytes }.packed();
    }
    let mut out = Writer::new(a.bytes + b.bytes);
    if a.bytes + b.bytes <= STEP {
        vector::join2(out.place(), a.at, a.bytes, b.at);
        out.advance(a.bytes + b.bytes);
    } else {
        out.text(a);
        out.text(b);
    }
    out.finish().packed()
}

/// `a + b + c`, in one go.
#[unsafe(no_mangle)]
pub extern "C" fn str_concat3(a: u64, b: u64, c: u64) -> u64 {
    let (a, b, c) = (Text::of(a), Text::of(b), Text::of(c));
    if !fits(a.bytes as u64 + b.bytes as u64 + c.bytes as u64) {
        return 0;
    }
    let bytes = a.bytes + b.bytes + c.bytes;
    if a.bytes >= STEP && arena::extend(a.at.wrapping_add(a.bytes), b.bytes + c.bytes) {
        let end = a.at.wrapping_add(a.bytes).cast_mut();
        vector::copy(b.at, end, b.bytes);
        vector::copy(c.at, end.wrapping_add(b.bytes), c.bytes);
        return Text { at: a.at, bytes }.packed();
    }
    let mut out = Writer::new(bytes);
    if bytes <= STEP {
        vector::join3(out.place(), a.at, a.bytes, b.at, b.bytes, c.at);
        out.advance(bytes);
    } else {
        out.text(a);
        out.text(b);
        out.text(c);
    }
    out.finish().packed()
}

/// A copy behind everything that is allocated, for strings that outlive a reset.
#[unsafe(no_mangle)]
pub extern "C" fn str_copy(s: u64) -> u64 {
    let text = Text::of(s);
    let mut out = Writer::new(text.bytes);
    out.text(text);
    out.finish().packed()
}

/// Copies a string to `to`, which may overlap it from below and has 16 bytes of room behind the copy; answers the copy.
#[unsafe(no_mangle)]
pub extern "C" fn str_move(s: u64, to: u32) -> u64 {
    let text = Text::of(s);
    let to = to as usize as *mut u8;
    // SAFETY: the caller owns the place.
    unsafe { core::ptr::copy(text.at, to, text.bytes) };
    Text { at: to, bytes: text.bytes }.packed()
}

/// `list.join(separator)` for a list of strings.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn list_join(list: u64, separator: u64) -> u64 {
    let (parts, separator) = (slots(list), Text::of(separator));
    let mut bytes = separator.bytes as u64 * (parts.len() as u64).saturating_sub(1);
    for part in parts {
        bytes += Text::of(*part).bytes as u64;
    }
    if !fits(bytes) {
        return 0;
    }
    let mut out = Writer::new(bytes as usize);
    for (index, part) in parts.iter().enumerate() {
        if index != 0 {
            out.text(separator);
        }
        out.text(Text::of(*part));
    }
    out.finish().packed()
}

/// `s.repeat(times)`.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn str_repeat(s: u64, times: f64) -> u64 {
    let text = Text::of(s);
    let times = times as i64;
    if times < 0 || times == i64::MAX {
        failure::note("RangeError: repeat needs a count that is finite and not negative");
        return 0;
    }
    if text.bytes == 0 {
        return s;
    }
    if !fits((text.bytes as u64).saturating_mul(times as u64)) {
        return 0;
    }
    let mut out = Writer::new(text.bytes * times as usize);
    for _ in 0..times {
        out.text(text);
    }
    out.finish().packed()
}

/// What pads a string to `length` units: whole fills and the beginning of one more.
struct Padding {
    fill: Text,
    whole: u32,
    rest: Text,
}

impl Padding {
    /// None where nothing is to be added.
    #[optimize(size)]
    fn new(text: Text, length: f64, fill: Text) -> Option<Self> {
        let length = length as i64;
        if length <= 0 || fill.bytes == 0 {
            return None;
        }
        let missing = length - count(text) as i64;
        if missing <= 0 || !fits(length as u64) {
            return None;
        }
        let missing = missing as u32;
        let fill_units = count(fill);
        let rest = cut(fill, 0, missing % fill_units);
        Some(Self { fill, whole: missing / fill_units, rest })
    }

    fn bytes(&self) -> usize {
        self.fill.bytes * self.whole as usize + self.rest.bytes
    }

    #[optimize(size)]
    fn write(&self, out: &mut Writer) {
        for _ in 0..self.whole {
            out.text(self.fill);
        }
        out.text(self.rest);
    }
}

/// `s.padStart(length, fill)`; a fill that is left out is one space.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn str_pad_start(s: u64, length: f64, fill: u64) -> u64 {
    let text = Text::of(s);
    let Some(padding) = Padding::new(text, length, Text::of(fill)) else { return s };
    let mut out = Writer::new(padding.bytes() + text.bytes);
    padding.write(&mut out);
    out.text(text);
    out.finish().packed()
}

/// `s.padEnd(length, fill)`; a fill that is left out is one space.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn str_pad_end(s: u64, length: f64, fill: u64) -> u64 {
    let text = Text::of(s);
    let Some(padding) = Padding::new(text, length, Text::of(fill)) else { return s };
    let mut out = Writer::new(padding.bytes() + text.bytes);
    out.text(text);
    padding.write(&mut out);
    out.finish().packed()
}

/// How many bytes the replacement has for a match from byte `from` to byte `to`, written out where `out` is given:
/// `$$`, `$&`, `` $` `` and `$'` stand for a dollar sign, the match, what is before it and what is behind it.
#[optimize(size)]
fn substitute(text: Text, from: usize, to: usize, by: Text, mut out: Option<&mut Writer>) -> usize {
    let mut bytes = 0;
    let mut done = 0;
    let mut put = |part: Text| {
        bytes += part.bytes;
        if let Some(out) = out.as_deref_mut() {
            out.text(part);
        }
    };
    let dollar = Text::constant("$");
    while let Some(at) = find(by, dollar, done) {
        let stands_for = match by.slice().get(at + 1) {
            Some(b'$') => by.part(at, at + 1),
            Some(b'&') => text.part(from, to),
            Some(b'`') => text.part(0, from),
            Some(b'\'') => text.part(to, text.bytes),
            _ => {
                put(by.part(done, at + 1));
                done = at + 1;
                continue;
            }
        };
        put(by.part(done, at));
        put(stands_for);
        done = at + 2;
    }
    put(by.part(done, by.bytes));
    bytes
}

/// `s.replace(pattern, by)` for a pattern that is a string.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn str_replace(s: u64, pattern: u64, by: u64) -> u64 {
    let (text, pattern, by) = (Text::of(s), Text::of(pattern), Text::of(by));
    let found = if pattern.bytes == 0 { Some(0) } else { find(text, pattern, 0) };
    let Some(from) = found else { return s };
    let to = from + pattern.bytes;
    let bytes = text.bytes - pattern.bytes + substitute(text, from, to, by, None);
    if !fits(bytes as u64) {
        return 0;
    }
    let mut out = Writer::new(bytes);
    out.text(text.part(0, from));
    substitute(text, from, to, by, Some(&mut out));
    out.text(text.part(to, text.bytes));
    out.finish().packed()
}

/// The next match at or behind byte `from`. The empty pattern matches between all UTF-16 units, but no string can be
/// put inside a character of two units: there it matches around the character.
fn next(text: Text, pattern: Text, from: usize) -> Option<usize> {
    if pattern.bytes != 0 {
        return find(text, pattern, from);
    }
    let mut at = from;
    while at < text.bytes && text.byte(at) & 0xC0 == 0x80 {
        at += 1;
    }
    (at <= text.bytes).then_some(at)
}

/// `s.replaceAll(pattern, by)` for a pattern that is a string.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn str_replace_all(s: u64, pattern: u64, by: u64) -> u64 {
    let (text, pattern, by) = (Text::of(s), Text::of(pattern), Text::of(by));
    // The empty pattern moves on by one byte, so that `next` finds the next character.
    let step = pattern.bytes.max(1);
    let mut bytes = text.bytes as u64;
    let mut from = 0;
    while let Some(at) = next(text, pattern, from) {
        bytes += substitute(text, at, at + pattern.bytes, by, None) as u64;
        bytes -= pattern.bytes as u64;
        if !fits(bytes) {
            return 0;
        }
        from = at + step;
    }
    if from == 0 {
        return s;
    }
    let mut out = Writer::new(bytes as usize);
    let (mut from, mut done) = (0, 0);
    while let Some(at) = next(text, pattern, from) {
        out.text(text.part(done, at));
        substitute(text, at, at + pattern.bytes, by, Some(&mut out));
        done = at + pattern.bytes;
        from = at + step;
    }
    out.text(text.part(done, text.bytes));
    out.finish().packed()
}
