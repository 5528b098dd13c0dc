//! Grants in JSON: `{"httpClient": {"hosts": ["api.example.com:443"], "headers": ["x-key"]}, "clock": true, "random": true,
//! "keyValue": {"bytesMax": 1048576}, "secrets": ["API_TOKEN"]}`. Written here too: the record of a plugin and of a job
//! hold what a request said.

use crate::grants::{
    GRANTED_HEADERS_MAX, GRANTED_HOSTS_MAX, GRANTED_SECRETS_MAX, Grants, HttpGrant, KeyValueGrant, SECRET_NAME_BYTES_MAX,
    STATE_BYTES_DEFAULT, STATE_BYTES_MAX,
};
use crate::wire::fields::{Fields, Unknown, child, expected};
use crate::{Code, Failure};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Reads grants that stand at a JSON Pointer.
///
/// # Errors
/// [`Code::RequestField`] with a pointer.
pub fn grants(value: &Value, pointer: &str) -> Result<Grants, Failure> {
    let mut fields = Fields::of(value, pointer)?;
    let http = fields.value("httpClient").map(|value| http(value, &fields.pointer("httpClient"))).transpose()?;
    let key_value = match fields.value("keyValue") {
        None | Some(Value::Bool(false)) => None,
        Some(Value::Bool(true)) => Some(KeyValueGrant { bytes_max: STATE_BYTES_DEFAULT }),
        Some(value) => {
            let mut inner = Fields::of(value, fields.pointer("keyValue"))?;
            let bytes_max = inner.integer("bytesMax", 1..=STATE_BYTES_MAX)?.unwrap_or(STATE_BYTES_DEFAULT);
            inner.finish(Unknown::Refuse)?;
            Some(KeyValueGrant { bytes_max })
        }
    };
    let is_secret = |name: &str| {
        (1..=SECRET_NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    let secrets = names(&mut fields, "secrets", GRANTED_SECRETS_MAX, is_secret)?;
    let grants = Grants {
        http_client: http,
        clock: fields.flag("clock")?.unwrap_or_default(),
        random: fields.flag("random")?.unwrap_or_default(),
        key_value,
        secrets,
    };
    fields.finish(Unknown::Refuse)?;
    Ok(grants)
}

fn http(value: &Value, pointer: &str) -> Result<HttpGrant, Failure> {
    let mut fields = Fields::of(value, pointer)?;
    let texts = fields.texts("hosts")?.ok_or_else(|| fields.missing("hosts").hint(r#"for example {"hosts": ["api.example.com:443"]}"#))?;
    if texts.is_empty() || texts.len() > GRANTED_HOSTS_MAX {
        return Err(Failure::new(Code::RequestField, format!("1 to {GRANTED_HOSTS_MAX} hosts can be granted, not {}", texts.len()))
            .at(fields.pointer("hosts")));
    }
    let at = |index: usize| child(&fields.pointer("hosts"), &index.to_string());
    let hosts = texts
        .iter()
        .enumerate()
        .map(|(index, text)| text.parse().map_err(|failure: Failure| failure.at(at(index))))
        .collect::<Result<_, _>>()?;
    let is_token = |name: &str| {
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let headers = names(&mut fields, "headers", GRANTED_HEADERS_MAX, is_token)?;
    fields.finish(Unknown::Refuse)?;
    Ok(HttpGrant { hosts, headers: headers.iter().map(|name| name.to_ascii_lowercase()).collect() })
}

fn names(fields: &mut Fields<'_>, name: &'static str, most: usize, is_allowed: impl Fn(&str) -> bool) -> Result<BTreeSet<String>, Failure> {
    let texts = fields.texts(name)?.unwrap_or_default();
    if texts.len() > most {
        return Err(
            Failure::new(Code::RequestField, format!("at most {most} names are allowed, not {}", texts.len())).at(fields.pointer(name))
        );
    }
    if let Some((at, text)) = texts.iter().enumerate().find(|(_, text)| !is_allowed(text)) {
        return Err(expected("a name", &Value::from(text.as_str())).at(child(&fields.pointer(name), &at.to_string())));
    }
    Ok(texts.into_iter().collect())
}

/// Grants as [`grants`] reads them.
#[must_use]
pub fn grants_json(grants: &Grants) -> Value {
    let mut members = Map::new();
    if let Some(http) = &grants.http_client {
        let hosts: Vec<String> = http.hosts.iter().map(ToString::to_string).collect();
        let mut shown = json!({ "hosts": hosts });
        if let (false, Some(shown)) = (http.headers.is_empty(), shown.as_object_mut()) {
            shown.insert("headers".to_owned(), json!(http.headers));
        }
        members.insert("httpClient".to_owned(), shown);
    }
    if grants.clock {
        members.insert("clock".to_owned(), Value::from(true));
    }
    if grants.random {
        members.insert("random".to_owned(), Value::from(true));
    }
    if let Some(KeyValueGrant { bytes_max }) = grants.key_value {
        members.insert("keyValue".to_owned(), json!({ "bytesMax": bytes_max }));
    }
    if !grants.secrets.is_empty() {
        members.insert("secrets".to_owned(), json!(grants.secrets));
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::{grants, grants_json};
    use serde_json::json;

    #[test]
    fn grants_read_back_as_they_were_written() {
        let all = json!({"httpClient": {"hosts": ["api.example.com:443", "*.example.org:8443"], "headers": ["api-key"]},
            "clock": true, "random": true, "keyValue": {"bytesMax": 7}, "secrets": ["A", "b.c"]});
        assert_eq!(grants_json(&grants(&all, "").unwrap()), all);
        assert_eq!(grants_json(&grants(&json!({}), "").unwrap()), json!({}));
    }

    #[test]
    fn wrong_grants_name_their_place() {
        for (value, pointer) in [
            (json!([]), "/g"),
            (json!({"network": true}), "/g/network"),
            (json!({"httpClient": {}}), "/g/httpClient"),
            (json!({"httpClient": {"hosts": []}}), "/g/httpClient/hosts"),
            (json!({"httpClient": {"hosts": ["ok.example:1", "http://x"]}}), "/g/httpClient/hosts/1"),
            (json!({"httpClient": {"hosts": ["x"], "headers": ["a b"]}}), "/g/httpClient/headers/0"),
            (json!({"keyValue": {"bytesMax": 0}}), "/g/keyValue/bytesMax"),
            (json!({"clock": 1}), "/g/clock"),
            (json!({"secrets": ["../x"]}), "/g/secrets/0"),
        ] {
            let failure = grants(&value, "/g").unwrap_err();
            assert_eq!(failure.pointer.as_deref(), Some(pointer), "{value}: {failure}");
        }
    }
}
