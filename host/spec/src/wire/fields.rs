//! A JSON object being read: typed access by name, pointers for errors, and at the end the fields that nobody asked for.

use crate::wire::suggest::{closest, meant, suggestion};
use crate::{Code, Failure};
use serde_json::{Map, Value};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What happens to fields that are not part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are refused, with the name that may have been meant.
    Refuse,
    /// They are skipped, as the service that this contract replaces did.
    Ignore,
}

/// Longest piece of a caller's text that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 40;

/// An object and what was read of it so far. A field that is `null` counts as absent.
#[derive(Debug)]
pub struct Fields<'a> {
    code: Code,
    map: &'a Map<String, Value>,
    pointer: String,
    seen: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Starts reading an object that stands at a JSON Pointer.
    ///
    /// # Errors
    /// Where it is no object.
    pub fn of(value: &'a Value, pointer: impl Into<String>) -> Result<Self, Failure> {
        let pointer = pointer.into();
        match value {
            Value::Object(map) => Ok(Self { code: Code::RequestField, map, pointer, seen: Vec::new() }),
            other => Err(expected("an object", other).at(pointer)),
        }
    }

    /// Starts reading a connector's configuration: pointers begin at it, failures have the code of a configuration.
    #[must_use]
    pub const fn config(map: &'a Map<String, Value>) -> Self {
        Self { code: Code::ConnectorConfig, map, pointer: String::new(), seen: Vec::new() }
    }

    /// Starts reading an object inside of this one, with the same code of failures.
    ///
    /// # Errors
    /// Where the field is no object.
    pub fn inner(&mut self, name: &'static str) -> Result<Option<Fields<'a>>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self { code: self.code, map, pointer: self.pointer(name), seen: Vec::new() })),
            Some(other) => Err(self.unexpected("an object", other, self.pointer(name))),
        }
    }

    /// The failure for a field whose value has the right type and still cannot be.
    #[must_use]
    pub fn wrong(&self, name: &str, message: impl Into<String>) -> Failure {
        Failure::new(self.code, message).at(self.pointer(name))
    }

    fn unexpected(&self, wanted: impl Display, got: &Value, pointer: String) -> Failure {
        Failure { code: self.code, ..expected(wanted, got) }.at(pointer)
    }

    /// The pointer of a field.
    #[must_use]
    pub fn pointer(&self, name: &str) -> String {
        child(&self.pointer, name)
    }

    /// Whether the field is there and not `null`; does not count as reading it.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// The field's value.
    pub fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.present(name).filter(|value| !value.is_null())
    }

    /// The field's value, where `null` is a value like any other.
    pub fn present(&mut self, name: &'static str) -> Option<&'a Value> {
        if !self.seen.contains(&name) {
            self.seen.push(name);
        }
        self.map.get(name)
    }

    /// The one of several names for the same field that is there. The first name is the contract's own.
    ///
    /// # Errors
    /// Where several are there.
    pub fn name_of(&mut self, names: &[&'static str]) -> Result<&'static str, Failure> {
        let mut found = None;
        for name in names {
            if self.value(name).is_some() {
                if let Some(first) = found {
                    return Err(Failure::new(self.code, format!("'{first}' and '{name}' are the same field")).at(self.pointer(name)));
                }
                found = Some(*name);
            }
        }
        Ok(found.or(names.first().copied()).unwrap_or_default())
    }

    /// A text.
    ///
    /// # Errors
    /// Where the field holds something else.
    pub fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.unexpected("a string", other, self.pointer(name))),
        }
    }

    /// A text that must be there and not be empty.
    ///
    /// # Errors
    /// Where the field holds something else.
    pub fn required_text(&mut self, name: &'static str) -> Result<&'a str, Failure> {
        match self.text(name)? {
            None => Err(self.missing(name)),
            Some("") => Err(Failure::new(self.code, format!("'{name}' is empty")).at(self.pointer(name))),
            Some(text) => Ok(text),
        }
    }

    /// A truth value.
    ///
    /// # Errors
    /// Where the field holds something else.
    pub fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.unexpected("true or false", other, self.pointer(name))),
        }
    }

    /// A whole number in a range.
    ///
    /// # Errors
    /// Where the field holds something else.
    pub fn integer(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Result<Option<u64>, Failure> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value.as_u64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let wanted = match (*range.start(), *range.end()) {
                    (start, u64::MAX) => format!("an integer of at least {start}"),
                    (start, end) => format!("an integer from {start} to {end}"),
                };
                Err(self.unexpected(wanted, value, self.pointer(name)))
            }
        }
    }

    /// The same as a `usize`.
    ///
    /// # Errors
    /// Where the field holds something else.
    pub fn size(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Result<Option<usize>, Failure> {
        match self.integer(name, range)? {
            None => Ok(None),
            Some(number) => usize::try_from(number)
                .map(Some)
                .map_err(|_| Failure::new(self.code, format!("'{name}' is too large for this server")).at(self.pointer(name))),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// Where the field holds something else.
    pub fn number(&mut self, name: &'static str) -> Result<Option<f64>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| self.unexpected("a number", value, self.pointer(name))),
        }
    }

    /// An object, cloned; for configurations that are checked elsewhere.
    ///
    /// # Errors
    /// Where the field holds something else.
    pub fn object(&mut self, name: &'static str) -> Result<Option<Map<String, Value>>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map.clone())),
            Some(other) => Err(self.unexpected("an object", other, self.pointer(name))),
        }
    }

    /// An array.
    ///
    /// # Errors
    /// Where the field holds something else.
    pub fn array(&mut self, name: &'static str) -> Result<Option<&'a [Value]>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(other) => Err(self.unexpected("an array", other, self.pointer(name))),
        }
    }

    /// One word of several, in any letter case.
    ///
    /// # Errors
    /// Where it is another one.
    pub fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        if let Some((_, found)) = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
            return Ok(Some(*found));
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let failure = self.wrong(name, format!("expected one of {}, got the string '{}'", words.join(", "), shown(text)));
        Err(Failure { hint: meant(text, words), ..failure })
    }

    /// A time in milliseconds.
    ///
    /// # Errors
    /// Where it is not in the range.
    pub fn milliseconds(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Result<Option<Duration>, Failure> {
        Ok(self.integer(name, range)?.map(Duration::from_millis))
    }

    /// One text, or a list of them.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn text_or_texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Failure> {
        match self.value(name) {
            Some(Value::String(text)) => Ok(Some(vec![text.clone()])),
            _ => self.texts(name),
        }
    }

    /// An array of texts.
    ///
    /// # Errors
    /// Where the field holds something else.
    pub fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Failure> {
        let Some(values) = self.array(name)? else { return Ok(None) };
        let pointer = self.pointer(name);
        let texts = values.iter().enumerate().map(|(at, value)| {
            value.as_str().map(str::to_owned).ok_or_else(|| self.unexpected("a string", value, child(&pointer, &at.to_string())))
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// Everything that was not read, cloned; it all counts as read after that.
    #[must_use]
    pub fn rest(self) -> Map<String, Value> {
        self.map.iter().filter(|(name, _)| !self.seen.contains(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The failure for a field that must be there.
    #[must_use]
    pub fn missing(&self, name: &str) -> Failure {
        let failure = Failure::new(self.code, format!("'{name}' is missing")).at(self.pointer.clone());
        match self.map.keys().map(String::as_str).filter(|key| !self.seen.contains(key)).find(|key| closest(key, [name]).is_some()) {
            Some(key) => failure.hint(format!("did you mean '{name}' by '{}'?", shown(key))),
            None => failure,
        }
    }

    /// Ends the reading: fields that were never asked for are refused or skipped.
    ///
    /// # Errors
    /// Where a field was never asked for.
    pub fn finish(self, unknown: Unknown) -> Result<(), Failure> {
        if unknown == Unknown::Ignore {
            return Ok(());
        }
        let Some(key) = self.map.keys().find(|key| !self.seen.contains(&key.as_str())) else { return Ok(()) };
        let failure = Failure::new(self.code, format!("unknown field '{}'", shown(key))).at(self.pointer(key));
        Err(failure.hint(suggestion(key, self.seen.iter().copied(), "known fields here are")))
    }
}

/// The failure for a value of the wrong kind.
pub(super) fn expected(wanted: impl Display, got: &Value) -> Failure {
    let got = match got {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string '{}'", shown(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    Failure::new(Code::RequestField, format!("expected {wanted}, got {got}"))
}

/// A caller's text, escaped and cut so that it may stand in an error.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        cut.push('…');
    }
    cut
}

/// The pointer of a member, escaped as RFC 6901 says.
pub(super) fn child(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
