//! Strings as JSON writes them.

use crate::text::{Text, Writer};

/// What stands for a byte in a quoted string; the letter behind the backslash, or `u` for a number.
#[inline(always)]
fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        8 => Some(b'b'),
        9 => Some(b't'),
        10 => Some(b'n'),
        12 => Some(b'f'),
        13 => Some(b'r'),
        0..0x20 => Some(b'u'),
        _ => None,
    }
}

/// `JSON.stringify(s)`.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn json_quote(s: u64) -> u64 {
    let text = Text::of(s);
    let more: usize = text.slice().iter().map(|byte| escape(*byte).map_or(0, |letter| if letter == b'u' { 5 } else { 1 })).sum();
    let mut out = Writer::new(text.bytes + more + 2);
    out.byte(b'"');
    if more == 0 {
        out.text(text);
    } else {
        for byte in text.slice() {
            match escape(*byte) {
                None => out.byte(*byte),
                Some(letter) => {
                    out.byte(b'\\');
                    out.byte(letter);
                    if letter == b'u' {
                        let hex = |digit: u8| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
                        out.bytes(&[b'0', b'0', hex(*byte >> 4), hex(*byte & 15)]);
                    }
                }
            }
        }
    }
    out.byte(b'"');
    out.finish().packed()
}
