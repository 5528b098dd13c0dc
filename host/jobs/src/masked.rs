//! A request as it may be shown again: without the values that connectors call secret, without users and queries of URLs.

use crate::shared::Shared;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What stands for a value.
const MASK: &str = "***";
/// How a reference to a secret begins, which is no secret.
const REFERENCE: &str = "${secret:";
/// Members whose whole text a caller chooses, and which may hold a token as well as anything.
const ALSO: [&str; 2] = ["body", "subscribe"];
/// A member that holds nothing but the caller's rows.
const ROWS: &str = "data";

impl Shared {
    /// A request without secrets.
    pub(crate) fn masked(&self, request: Value) -> Value {
        let mut names = BTreeSet::from(ALSO.map(str::to_owned));
        for connector in self.engine.registry().iter() {
            secret_names(&connector.config_schema(), &mut names);
        }
        mask(request, &names)
    }
}

/// The members that a schema marks as written only.
fn secret_names(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (name, of) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if is_write_only(of) {
                    names.insert(name.clone());
                }
            }
            members.values().for_each(|inner| secret_names(inner, names));
        }
        Value::Array(items) => items.iter().for_each(|inner| secret_names(inner, names)),
        _ => {}
    }
}

/// Whether a member is secret in any of its forms.
fn is_write_only(schema: &Value) -> bool {
    let forms = |word: &str| schema.get(word).and_then(Value::as_array).into_iter().flatten().any(is_write_only);
    schema.get("writeOnly") == Some(&Value::Bool(true)) || forms("anyOf") || forms("oneOf")
}

fn mask(value: Value, names: &BTreeSet<String>) -> Value {
    match value {
        Value::Object(members) => {
            let is_plugin = members.contains_key("plugin");
            let masked = |(name, inner): (String, Value)| {
                let inner = match name.as_str() {
                    ROWS => inner,
                    // A stranger's connector may call anything a secret.
                    "config" if is_plugin => hidden(inner),
                    name if names.contains(name) => secret(inner, names),
                    _ => mask(inner, names),
                };
                (name, inner)
            };
            Value::Object(members.into_iter().map(masked).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|inner| mask(inner, names)).collect()),
        Value::String(text) => Value::String(bare(&text)),
        other => other,
    }
}

/// A member that is secret as a text; as an object its own members decide, where they are known.
fn secret(value: Value, names: &BTreeSet<String>) -> Value {
    match value {
        Value::String(text) if text.contains("://") && !text.starts_with(REFERENCE) => Value::String(bare(&text)),
        Value::Object(members) if members.keys().any(|name| names.contains(name)) => mask(Value::Object(members), names),
        other => hidden(other),
    }
}

/// Nothing but references.
fn hidden(value: Value) -> Value {
    match value {
        Value::String(text) if text.starts_with(REFERENCE) && text.find('}') == Some(text.len() - 1) => Value::String(text),
        Value::Object(members) if members.len() == 1 && members.get("secret").is_some_and(Value::is_string) => Value::Object(members),
        Value::Object(members) => Value::Object(members.into_iter().map(|(name, inner)| (name, hidden(inner))).collect::<Map<_, _>>()),
        Value::Array(items) => Value::Array(items.into_iter().map(hidden).collect()),
        Value::String(_) | Value::Number(_) => Value::String(MASK.to_owned()),
        other => other,
    }
}

/// A text in which a URL has neither user nor query.
fn bare(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else { return text.to_owned() };
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?***"));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or_else(|| authority.to_owned(), |(_, host)| format!("{MASK}@{host}"));
    // A password may hold a slash; what stands behind a later `@` is then the host.
    let (host, path) = match path.rsplit_once('@') {
        Some((_, behind)) => (format!("{MASK}@{behind}"), ""),
        None => (host, path),
    };
    format!("{scheme}://{host}{path}{query}")
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::{bare, mask, secret_names};
    use serde_json::json;
    use std::collections::BTreeSet;

    #[test]
    fn urls_lose_users_and_queries() {
        let check = |text: &str, expect: &str| assert_eq!(bare(text), expect);
        check("redis://:canary@h:1/0", "redis://***@h:1/0");
        check("https://h/p?token=canary", "https://h/p?***");
        check("postgres://u:a/b@h/d", "postgres://***@h/d");
        check("no url: x", "no url: x");
    }

    #[test]
    fn what_a_schema_marks_is_hidden() {
        let schema = json!({"properties": {
            "connection": {"anyOf": [{"type": "string", "writeOnly": true}, {"properties": {"password": {"writeOnly": true}, "host": {}}}]},
            "headers": {"writeOnly": true, "additionalProperties": {"writeOnly": true}},
            "table": {"type": "string"},
        }});
        let mut names = BTreeSet::new();
        secret_names(&schema, &mut names);
        let request = json!({
            "source": {"type": "d", "connection": {"host": "h", "password": "canary"}, "table": "t", "headers": {"a": "canary", "b": {"secret": "N"}}},
            "sink": {"type": "d", "connection": "d://u:canary@h/x"},
            "other": {"source": {"plugin": "p", "config": {"token": "canary", "n": 4711, "ref": "${secret:X}"}}},
            "data": [{"password": "a row's"}],
        });
        let shown = mask(request, &names);
        assert_eq!(
            shown["source"],
            json!({"type": "d", "connection": {"host": "h", "password": "***"}, "table": "t", "headers": {"a": "***", "b": {"secret": "N"}}})
        );
        assert_eq!(shown["sink"]["connection"], "d://***@h/x");
        assert_eq!(shown["other"]["source"]["config"], json!({"token": "***", "n": "***", "ref": "${secret:X}"}));
        assert_eq!(shown["data"][0]["password"], "a row's");
    }
}
