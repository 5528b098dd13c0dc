//! Small JSON for configurations, answers of servers and rows: the SDK has no serde, so that a plugin stays small. Authors
//! who want serde take [`Json`] as their configuration and parse its text themselves.

use crate::failure::{Failure, Result};
use std::fmt;

/// Deepest nesting; the host allows no more either.
const DEPTH_MAX: usize = 64;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without point and exponent that fits.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object, in order; the last of two equal keys counts.
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Parses a text.
    ///
    /// # Errors
    /// [`Failure::invalid_input`] with the byte at which it is no JSON.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(0)?;
        parser.blanks();
        if parser.at == text.len() { Ok(value) } else { Err(parser.error("end")) }
    }

    /// The value under a key of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, where it is one.
    #[must_use]
    pub const fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// The number, whole or not, where it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(integer) => Some(*integer as f64),
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// The elements, where it is an array.
    #[must_use]
    pub fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// What it is, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// The text that [`Json::parse`] reads. Floats that are no numbers become null.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(integer) => write!(f, "{integer}"),
            Self::Float(float) if float.is_finite() => write!(f, "{float:?}"),
            Self::Float(_) => f.write_str("null"),
            Self::Text(text) => f.write_str(&quote(text)),
            Self::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { "," })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Self::Object(entries) => {
                f.write_str("{")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{}:{value}", if at == 0 { "" } else { "," }, quote(key))?;
                }
                f.write_str("}")
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn error(&self, expected: &str) -> Failure {
        Failure::invalid_input(format!("not JSON: expected {expected} at byte {}", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        let is_there = self.text.as_bytes()[self.at..].starts_with(token.as_bytes());
        if is_there {
            self.at += token.len();
        }
        is_there
    }

    fn value(&mut self, depth: usize) -> Result<Json> {
        if depth > DEPTH_MAX {
            return Err(Failure::invalid_input(format!("JSON is nested deeper than {DEPTH_MAX} levels")));
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.eat("null") => Ok(Json::Null),
            _ if self.eat("true") => Ok(Json::Bool(true)),
            _ if self.eat("false") => Ok(Json::Bool(false)),
            _ => Err(self.error("a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut entries = Vec::new();
        self.blanks();
        if self.eat("}") {
            return Ok(Json::Object(entries));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.error("a key"));
            }
            let key = self.string()?;
            self.blanks();
            if !self.eat(":") {
                return Err(self.error("':'"));
            }
            entries.push((key, self.value(depth + 1)?));
            self.blanks();
            if self.eat("}") {
                return Ok(Json::Object(entries));
            }
            if !self.eat(",") {
                return Err(self.error("',' or '}'"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.eat("]") {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.eat("]") {
                return Ok(Json::List(items));
            }
            if !self.eat(",") {
                return Err(self.error("',' or ']'"));
            }
        }
    }

    fn number(&mut self) -> Result<Json> {
        let start = self.at;
        let digits = |parser: &mut Self| {
            let from = parser.at;
            while parser.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                parser.at += 1;
            }
            if parser.at > from { Ok(()) } else { Err(parser.error("a digit")) }
        };
        self.eat("-");
        if !self.eat("0") {
            digits(self)?;
        }
        let mut is_integer = true;
        if self.eat(".") {
            is_integer = false;
            digits(self)?;
        }
        if self.eat("e") || self.eat("E") {
            is_integer = false;
            let _has_sign = self.eat("+") || self.eat("-");
            digits(self)?;
        }
        let text = &self.text[start..self.at];
        match text.parse() {
            Ok(integer) if is_integer => Ok(Json::Integer(integer)),
            _ => text.parse().map(Json::Float).map_err(|_| self.error("a number")),
        }
    }

    fn string(&mut self) -> Result<String> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(plain) = rest.find(|each: char| each == '"' || each == '\\' || each < ' ') else {
                return Err(self.error("the end of a string"));
            };
            text.push_str(&rest[..plain]);
            self.at += plain;
            if self.eat("\"") {
                return Ok(text);
            }
            if !self.eat("\\") {
                return Err(self.error("an escaped control character"));
            }
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char> {
        let byte = self.peek().ok_or_else(|| self.error("an escape"))?;
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.error("an escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Result<char> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.eat("\\u") {
            let second = self.hex()?;
            // A half that does not pair makes no character below.
            0x1_0000 + ((first - 0xd800) << 10) + second.checked_sub(0xdc00).filter(|low| *low < 0x400).unwrap_or(u32::MAX >> 1)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.error("a character"))
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(|| self.error("four hex digits"))?;
        self.at += 4;
        Ok(code)
    }
}

/// Writes a text as a JSON string.
#[must_use]
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for each in text.chars() {
        match each {
            '"' | '\\' => quoted.extend(['\\', each]),
            '\n' => quoted.push_str("\\n"),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind() {
        let text =
            r#" {"a": [1, -2.5e1, 9223372036854775807, 9223372036854775808], "b": "\u00e9\ud83d\ude00\n", "c": {"d": null, "e": true}} "#;
        let json = Json::parse(text).unwrap();
        let numbers = vec![Json::Integer(1), Json::Float(-25.0), Json::Integer(i64::MAX), Json::Float(9_223_372_036_854_775_808.0)];
        assert_eq!(json.get("a"), Some(&Json::List(numbers)));
        assert_eq!(json.get("b"), Some(&Json::Text("é😀\n".into())));
        assert_eq!(json.get("c").and_then(|c| c.get("e")), Some(&Json::Bool(true)));
    }

    #[test]
    fn broken_texts_are_refused() {
        for text in
            ["", "{", "[1,]", "01", "1.", "\"a", "\"\n\"", "\"\\x\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "tru", "{\"a\" 1}", "1 2", "-"]
        {
            assert!(Json::parse(text).is_err(), "{text}");
        }
        assert!(Json::parse(&"[".repeat(100)).is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = r#"{"a":[1,-2.5,1e300,null,true,"x\"\u0001"],"b":{}}"#;
        let json = Json::parse(text).unwrap();
        assert_eq!(Json::parse(&json.to_string()).unwrap(), json);
        assert_eq!(Json::List(vec![Json::Float(f64::NAN), Json::Float(2.0)]).to_string(), "[null,2.0]");
    }

    #[test]
    fn quoted_texts_read_back() {
        let text = "a\"b\\c\nd\u{1}é";
        assert_eq!(Json::parse(&quote(text)), Ok(Json::Text(text.into())));
    }
}
