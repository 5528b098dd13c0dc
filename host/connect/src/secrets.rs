//! Secrets by name: requests hold references, the server holds values, and a reference becomes a value only while a
//! connection is opened. What is stored or shown is the reference.

use azora_spec::wire::{Fields, shown};
use azora_spec::{Code, Failure, Secret};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a reference begins in a text: `${secret:NAME}`.
const OPEN: &str = "${secret:";
/// Longest text in which references are replaced.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The secrets of a server. Letter case, `-`, `.` and `_` of names do not count, so that a variable can name each.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    values: Arc<BTreeMap<String, Secret>>,
}

impl Secrets {
    /// These secrets.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = (String, Secret)>) -> Self {
        Self { values: Arc::new(values.into_iter().map(|(name, value)| (normal(&name), value)).collect()) }
    }

    /// These and others; where both have a name, the other one's value counts.
    #[must_use]
    pub fn and(&self, others: impl IntoIterator<Item = (String, Secret)>) -> Self {
        let mut values = (*self.values).clone();
        values.extend(others.into_iter().map(|(name, value)| (normal(&name), value)));
        Self { values: Arc::new(values) }
    }

    /// The secret of a name.
    ///
    /// # Errors
    /// [`Code::SecretUnknown`]; names of other secrets are not told.
    pub fn get(&self, name: &str) -> Result<Secret, Failure> {
        self.values.get(&normal(name)).cloned().ok_or_else(|| {
            Failure::new(Code::SecretUnknown, format!("there is no secret '{}'", shown(name))).hint(format!(
                "the operator sets it as the variable AZORA_SECRET_{} or in the secrets file",
                shown(&normal(name)).replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
            ))
        })
    }

    /// A field that may hold a secret: a text, a text with references, or `{"secret": "NAME"}`. Its value is never shown.
    ///
    /// # Errors
    /// [`Code::ConnectorConfig`] where it is something else, [`Code::SecretUnknown`] for an unknown name.
    pub fn field(&self, fields: &mut Fields<'_>, name: &'static str) -> Result<Option<Secret>, Failure> {
        let wrong = |fields: &Fields<'_>| fields.wrong(name, format!("'{name}' is a text or {{\"secret\": \"NAME\"}}"));
        match fields.value(name) {
            None => Ok(None),
            Some(value) => match self.read(value) {
                Some(secret) => secret.map(Some).map_err(|failure| failure.at(fields.pointer(name))),
                None => Err(wrong(fields)),
            },
        }
    }

    /// The same of a bare value, for lists and maps of texts such as headers. None where it is neither a text nor a reference.
    #[must_use]
    pub fn read(&self, value: &Value) -> Option<Result<Secret, Failure>> {
        match value {
            Value::String(text) => Some(self.expand(text)),
            Value::Object(object) if object.len() == 1 => object.get("secret")?.as_str().map(|name| self.get(name)),
            _ => None,
        }
    }

    /// A text with every `${secret:NAME}` in it replaced. `$${secret:` stands for the bare text `${secret:`.
    ///
    /// # Errors
    /// [`Code::SecretUnknown`] for an unknown name, [`Code::ConnectorConfig`] for a reference without an end.
    pub fn expand(&self, text: &str) -> Result<Secret, Failure> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Failure::new(Code::ConnectorConfig, format!("the text is longer than {TEXT_BYTES_MAX} bytes")));
        }
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once(OPEN) {
            if let Some(before) = before.strip_suffix('$') {
                expanded.push_str(before);
                expanded.push_str(OPEN);
                rest = behind;
                continue;
            }
            let (name, after) = behind
                .split_once('}')
                .ok_or_else(|| Failure::new(Code::ConnectorConfig, "a reference to a secret has no end").hint("write ${secret:NAME}"))?;
            expanded.push_str(before);
            expanded.push_str(self.get(name)?.expose());
            rest = after;
        }
        expanded.push_str(rest);
        Ok(Secret::new(expanded))
    }
}

fn normal(name: &str) -> String {
    name.trim().to_ascii_uppercase().replace(['-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::Secrets;
    use azora_spec::wire::Fields;
    use azora_spec::{Code, Secret};
    use serde_json::json;

    fn secrets() -> Secrets {
        Secrets::new([("DB_PASSWORD".to_owned(), Secret::new("canary-1".to_owned()))])
    }

    #[test]
    fn references_become_values() {
        let check = |text: &str, expect: &str| assert_eq!(secrets().expand(text).unwrap().expose(), expect, "{text}");
        check("plain", "plain");
        check("${secret:DB_PASSWORD}", "canary-1");
        check("redis://:${secret:db-password}@h", "redis://:canary-1@h");
        check("${secret:db.password}${secret:DB_PASSWORD}", "canary-1canary-1");
        check("$${secret:x}", "${secret:x}");
        let unknown = secrets().expand("${secret:other}").unwrap_err();
        assert_eq!(unknown.code, Code::SecretUnknown);
        assert!(unknown.hint.unwrap().contains("AZORA_SECRET_OTHER"));
        assert_eq!(secrets().expand("${secret:DB").unwrap_err().code, Code::ConnectorConfig);
    }

    #[test]
    fn a_value_of_a_wrong_type_is_not_shown() {
        let config = json!({"password": 123_456, "other": {"secret": "DB_PASSWORD"}, "token": {"secret": "X"}});
        let mut fields = Fields::config(config.as_object().unwrap());
        let wrong = secrets().field(&mut fields, "password").unwrap_err();
        assert_eq!(wrong.pointer.as_deref(), Some("/password"));
        assert!(!wrong.message.contains("123"), "{}", wrong.message);
        let secret = secrets().field(&mut fields, "other").unwrap().unwrap();
        assert_eq!((secret.expose(), format!("{secret:?}").as_str()), ("canary-1", "***"));
        assert_eq!(secrets().field(&mut fields, "token").unwrap_err().pointer.as_deref(), Some("/token"));
        assert!(secrets().field(&mut fields, "absent").unwrap().is_none());
        assert!(!format!("{:?}", secrets()).contains("canary"));
    }
}
