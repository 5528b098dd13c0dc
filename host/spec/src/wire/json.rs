//! Bytes to a JSON value, with depth and cost counted before a parser sees the text. Nothing about what the value means.

use crate::limits::{JSON_COST_BYTES_MAX, JSON_DEPTH_MAX};
use crate::{Code, Failure};
use serde_json::Value;

/// Memory that one scalar takes once it is parsed.
const SCALAR_BYTES: usize = size_of::<Value>();
/// Memory that one array or object takes beside its elements, about.
const CONTAINER_BYTES: usize = 64;
/// Memory that one key of an object takes beside its text, about: hash, index, string header, allocation.
const KEY_BYTES: usize = 64;

/// Parses a request body.
///
/// The text is scanned first, in one pass and without memory: nesting deeper than [`JSON_DEPTH_MAX`] and bodies whose
/// parsed form would take more than [`JSON_COST_BYTES_MAX`] never reach the parser.
///
/// # Errors
/// [`Code::RequestTooDeep`], [`Code::RequestTooLarge`], or [`Code::RequestSyntax`] with the line and column of the mistake.
pub fn parse(body: &[u8]) -> Result<Value, Failure> {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::new(Code::RequestSyntax, "the body is empty where JSON was expected"));
    }
    guard(body)?;
    serde_json::from_slice(body).map_err(|error| syntax(&error))
}

fn syntax(error: &serde_json::Error) -> Failure {
    // serde_json ends its texts with the place, which the message gives in its own words.
    let text = error.to_string();
    let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    Failure::new(Code::RequestSyntax, format!("the body is not JSON: {reason} at line {}, column {}", error.line(), error.column()))
}

/// Counts depth and cost. A broken text may pass; the parser finds that out.
fn guard(body: &[u8]) -> Result<(), Failure> {
    let (mut depth, mut cost) = (0_usize, SCALAR_BYTES);
    let (mut is_string, mut is_escaped) = (false, false);
    for byte in body {
        if is_string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => is_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => is_string = true,
            b'[' | b'{' => {
                depth += 1;
                cost += CONTAINER_BYTES;
                if depth > JSON_DEPTH_MAX {
                    return Err(Failure::new(Code::RequestTooDeep, format!("the body nests deeper than {JSON_DEPTH_MAX} levels")));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => cost += SCALAR_BYTES,
            b':' => cost += KEY_BYTES,
            _ => {}
        }
        if cost > JSON_COST_BYTES_MAX {
            let message = format!("the body holds more values than fit into {} MiB once parsed", JSON_COST_BYTES_MAX >> 20);
            return Err(Failure::new(Code::RequestTooLarge, message).hint("put the rows into a file and ingest it as a dataset"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::Code;
    use crate::limits::JSON_DEPTH_MAX;

    fn check(text: &str, code: Code, message: &str) {
        let failure = parse(text.as_bytes()).expect_err(text);
        assert_eq!(failure.code, code, "{failure}");
        assert!(failure.message.contains(message), "{failure}");
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        check("", Code::RequestSyntax, "the body is empty");
        check(" \n", Code::RequestSyntax, "the body is empty");
        check("{\"data\": [1, 2,\n  }", Code::RequestSyntax, "at line 2, column 3");
        check("[1] 2", Code::RequestSyntax, "trailing characters");
        check("\"\u{1}\"", Code::RequestSyntax, "control character");
        check("[1e999]", Code::RequestSyntax, "number out of range");
        assert_eq!(parse(b"\xff\xfe").expect_err("not UTF-8").code, Code::RequestSyntax);
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(JSON_DEPTH_MAX).as_bytes()).is_ok());
        check(&nested(JSON_DEPTH_MAX + 1), Code::RequestTooDeep, "64 levels");
        check(&"[".repeat(1_000_000), Code::RequestTooDeep, "64 levels");
        check(&"{\"a\":".repeat(100_000), Code::RequestTooDeep, "64 levels");
        assert!(parse(format!("{:?}", "[{\\\"".repeat(1000)).as_bytes()).is_ok());
    }

    #[test]
    fn a_body_that_would_grow_in_memory_is_refused_before_parsing() {
        check(&format!("[{}1]", "{},".repeat(8_000_000)), Code::RequestTooLarge, "once parsed");
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(parse("\u{feff}[1]".as_bytes()).expect("JSON"), serde_json::json!([1]));
    }
}
