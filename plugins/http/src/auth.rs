//! Headers of requests, those that prove who asks among them. Values are secrets from here on.

use azora_connect::Secrets;
use azora_spec::wire::{Fields, Unknown, shown};
use azora_spec::{Code, Failure, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Most headers of a configuration.
const HEADERS_MAX: usize = 64;

/// Headers by name; the values are never shown.
pub(crate) type Headers = Vec<(String, Secret)>;

/// `headers` and `auth` of a configuration.
pub(crate) fn read(fields: &mut Fields<'_>, secrets: &Secrets) -> Result<Headers, Failure> {
    let mut headers = Headers::new();
    if let Some(given) = fields.object("headers")? {
        if given.len() > HEADERS_MAX {
            return Err(fields.wrong("headers", format!("at most {HEADERS_MAX} headers can be sent")));
        }
        for (name, value) in given {
            let wrong = || fields.wrong("headers", format!("header '{}' is a text or {{\"secret\": \"NAME\"}}", shown(&name)));
            headers.push((name.clone(), secrets.read(&value).ok_or_else(wrong)??));
        }
    }
    if let Some(mut auth) = fields.inner("auth")? {
        let value = match auth.required_text("type")? {
            "bearer" => format!("Bearer {}", required(&mut auth, secrets, "token")?.expose()),
            "basic" => {
                let name = auth.name_of(&["user", "username"])?;
                let user = auth.required_text(name)?.to_owned();
                let password = required(&mut auth, secrets, "password")?;
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose())))
            }
            other => {
                return Err(auth
                    .wrong("type", format!("'{}' is neither 'bearer' nor 'basic'", shown(other)))
                    .hint("other proofs are headers: write them into 'headers'"));
            }
        };
        auth.finish(Unknown::Refuse)?;
        headers.push(("authorization".to_owned(), Secret::new(value)));
    }
    Ok(headers)
}

fn required(fields: &mut Fields<'_>, secrets: &Secrets, name: &'static str) -> Result<Secret, Failure> {
    match secrets.field(fields, name)? {
        Some(secret) => Ok(secret),
        None => Err(Failure::new(Code::ConnectorConfig, format!("'{name}' is missing")).at(fields.pointer(name))),
    }
}

/// How both look in a JSON Schema.
pub(crate) fn schema() -> [(&'static str, Value); 2] {
    let secret = json!({"anyOf": [{"type": "string"}, {"type": "object", "required": ["secret"]}], "writeOnly": true});
    [
        ("headers", json!({"type": "object", "additionalProperties": secret, "writeOnly": true})),
        (
            "auth",
            json!({"type": "object", "required": ["type"], "additionalProperties": false, "properties": {
                "type": {"enum": ["bearer", "basic"]}, "token": secret, "user": {"type": "string"}, "username": {"type": "string", "description": "the same as user"}, "password": secret,
            }}),
        ),
    ]
}
