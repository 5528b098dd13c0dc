//! Refuses text that would make a recursive parser run out of stack, before it is parsed.

use crate::error::{DiagnosticKind, Fault, Span};

/// Bytes in one lambda.
pub(crate) const SOURCE_BYTES_MAX: usize = 64 * 1024;
/// Brackets open at once.
const DEPTH_MAX: usize = 200;
/// Names, numbers, operators and brackets in all, those inside strings included: a chain of them becomes a tree as deep.
const TOKENS_MAX: usize = 4_000;

/// Looks at the text, byte by byte. Brackets inside strings and comments do not count as nesting; what a confusing quote
/// hides from that count is still bounded by the number of tokens.
pub(crate) fn check(text: &str) -> Result<(), Fault> {
    let too_large = |at: usize, message: String| {
        let at = u32::try_from(at).unwrap_or(0);
        Err(Fault::new(DiagnosticKind::TooLarge, Span { start: at, end: at }, message))
    };
    if text.len() > SOURCE_BYTES_MAX {
        return too_large(0, format!("the function has {} bytes; the limit is {SOURCE_BYTES_MAX}", text.len()));
    }
    let bytes = text.as_bytes();
    if let Some(at) = token_over_limit(bytes) {
        return too_large(at, format!("the function has more than {TOKENS_MAX} names and operators"));
    }
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => at = string_end(bytes, at),
            b'/' if matches!(bytes.get(at + 1), Some(b'/')) => at = line_end(bytes, at),
            b'/' if matches!(bytes.get(at + 1), Some(b'*')) => at = comment_end(bytes, at),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return too_large(at, format!("brackets are nested more than {DEPTH_MAX} deep"));
        }
        at += 1;
    }
    Ok(())
}

fn token_over_limit(bytes: &[u8]) -> Option<usize> {
    let mut tokens = 0_usize;
    let mut was_word = false;
    for (at, byte) in bytes.iter().enumerate() {
        let is_word = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..);
        let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';' | b',');
        tokens += usize::from(if is_word { !was_word } else { !is_space });
        was_word = is_word;
        if tokens > TOKENS_MAX {
            return Some(at);
        }
    }
    None
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let quote = bytes.get(start);
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'\n' => return at,
            _ if Some(byte) == quote => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

fn line_end(bytes: &[u8], start: usize) -> usize {
    bytes.iter().skip(start).position(|byte| *byte == b'\n').map_or(bytes.len(), |length| start + length)
}

fn comment_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 2;
    while at + 1 < bytes.len() && bytes.get(at..at + 2) != Some(b"*/") {
        at += 1;
    }
    at + 1
}
