//! A configuration against a connector's JSON Schema: every fault with its place, and no value in any of them, since a value
//! may be a secret.
//!
//! The words of JSON Schema that describe configurations are known: `type`, `enum`, `const`, `required`, `properties`,
//! `additionalProperties`, `items`, `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `minLength`, `maxLength`,
//! `minItems`, `maxItems`, `allOf`, `anyOf`, `oneOf`. Others say nothing here: connectors check their configuration again.

use azora_spec::wire::{meant, shown, suggestion};
use azora_spec::{Code, Failure};
use serde_json::{Map, Value};

/// Most faults of one configuration that are told.
pub const FAULTS_MAX: usize = 50;
/// Deepest nesting of a schema.
const DEPTH_MAX: usize = 32;
/// The types that JSON has.
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// What is wrong with a configuration, by a schema. Pointers begin at the configuration.
#[must_use]
pub fn faults(schema: &Value, config: &Map<String, Value>) -> Vec<Failure> {
    let mut found = Vec::new();
    check(schema, &Value::Object(config.clone()), "", 0, &mut found);
    found.truncate(FAULTS_MAX);
    found
}

/// Whether a value is a schema that [`faults`] can work with.
///
/// # Errors
/// Why not, with its place.
pub fn check_schema(schema: &Value) -> Result<(), String> {
    shape(schema, "", 0)
}

fn shape(schema: &Value, at: &str, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("{at} nests deeper than {DEPTH_MAX}"));
    }
    let members = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(members) => members,
        _ => return Err(format!("{at} is neither an object nor true or false")),
    };
    if let Some(of) = members.get("type")
        && (types(of).is_empty() || !types(of).iter().all(|word| TYPES.contains(word)))
    {
        return Err(format!("{at}/type is not a type of JSON"));
    }
    for word in ["properties", "patternProperties", "$defs"] {
        for (name, inner) in members.get(word).and_then(Value::as_object).into_iter().flatten() {
            shape(inner, &format!("{at}/{word}/{}", escaped(name)), depth + 1)?;
        }
    }
    for word in ["items", "additionalProperties"] {
        if let Some(inner) = members.get(word) {
            shape(inner, &format!("{at}/{word}"), depth + 1)?;
        }
    }
    for word in ["allOf", "anyOf", "oneOf"] {
        for (number, inner) in members.get(word).and_then(Value::as_array).into_iter().flatten().enumerate() {
            shape(inner, &format!("{at}/{word}/{number}"), depth + 1)?;
        }
    }
    Ok(())
}

fn types(of: &Value) -> Vec<&str> {
    match of {
        Value::String(word) => vec![word],
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn check(schema: &Value, value: &Value, at: &str, depth: usize, found: &mut Vec<Failure>) {
    let wrong = |message: String| Failure::new(Code::ConnectorConfig, message).at(at);
    let members = match schema {
        Value::Bool(false) => return found.push(wrong("nothing may stand here".to_owned())),
        Value::Object(members) if depth <= DEPTH_MAX && found.len() < FAULTS_MAX => members,
        _ => return,
    };
    if let Some(of) = members.get("type") {
        let words = types(of);
        if !words.is_empty() && !words.iter().any(|word| is_of(value, word)) {
            return found.push(wrong(format!("expected {}, got {}", words.join(" or "), word_of(value))));
        }
    }
    if let Some(allowed) = members.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let words: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        let failure = wrong(format!("expected one of {}", allowed.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")));
        found.push(Failure { hint: value.as_str().and_then(|text| meant(text, words)), ..failure });
    }
    if members.get("const").is_some_and(|only| only != value) {
        found.push(wrong(format!("expected {}", members.get("const").unwrap_or(&Value::Null))));
    }
    bounds(members, value, at, found);
    inside(members, value, at, depth, found);
    branches(members, value, at, depth, found);
}

/// Numbers and lengths.
fn bounds(members: &Map<String, Value>, value: &Value, at: &str, found: &mut Vec<Failure>) {
    let limit = |word: &str| members.get(word).and_then(Value::as_f64);
    let (size, of) = match value {
        Value::Number(number) => (number.as_f64(), ["minimum", "maximum"]),
        Value::String(text) => (Some(text.chars().count() as f64), ["minLength", "maxLength"]),
        Value::Array(items) => (Some(items.len() as f64), ["minItems", "maxItems"]),
        _ => return,
    };
    let Some(size) = size else { return };
    let mut wrong = |message: String| found.push(Failure::new(Code::ConnectorConfig, message).at(at));
    let what = if value.is_number() { "" } else { " long" };
    if let Some(least) = limit(of[0]).filter(|least| size < *least) {
        wrong(format!("expected at least {least}{what}"));
    }
    if let Some(most) = limit(of[1]).filter(|most| size > *most) {
        wrong(format!("expected at most {most}{what}"));
    }
    if value.is_number() {
        if let Some(bound) = limit("exclusiveMinimum").filter(|bound| size <= *bound) {
            wrong(format!("expected more than {bound}"));
        }
        if let Some(bound) = limit("exclusiveMaximum").filter(|bound| size >= *bound) {
            wrong(format!("expected less than {bound}"));
        }
    }
}

/// Members of objects and items of arrays.
fn inside(members: &Map<String, Value>, value: &Value, at: &str, depth: usize, found: &mut Vec<Failure>) {
    if let (Value::Array(items), Some(of)) = (value, members.get("items")) {
        for (number, item) in items.iter().enumerate() {
            check(of, item, &format!("{at}/{number}"), depth + 1, found);
        }
    }
    let Value::Object(object) = value else { return };
    let none = Map::new();
    let properties = members.get("properties").and_then(Value::as_object).unwrap_or(&none);
    for name in members.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if object.get(name).is_none_or(Value::is_null) {
            found.push(Failure::new(Code::ConnectorConfig, format!("'{}' is missing", shown(name))).at(at));
        }
    }
    for (name, inner) in object {
        let place = format!("{at}/{}", escaped(name));
        match (properties.get(name), members.get("additionalProperties")) {
            // A member that is null counts as absent everywhere.
            _ if inner.is_null() => {}
            (Some(of), _) => check(of, inner, &place, depth + 1, found),
            (None, Some(Value::Bool(false))) => {
                let failure = Failure::new(Code::ConnectorConfig, format!("unknown field '{}'", shown(name))).at(place);
                found.push(failure.hint(suggestion(name, properties.keys().map(String::as_str), "known fields here are")));
            }
            (None, Some(of)) => check(of, inner, &place, depth + 1, found),
            (None, None) => {}
        }
    }
}

fn branches(members: &Map<String, Value>, value: &Value, at: &str, depth: usize, found: &mut Vec<Failure>) {
    let of = |word: &str| members.get(word).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for schema in of("allOf") {
        check(schema, value, at, depth + 1, found);
    }
    let fits = |schema: &&Value| {
        let mut inner = Vec::new();
        check(schema, value, at, depth + 1, &mut inner);
        inner.is_empty()
    };
    let (any, one) = (of("anyOf"), of("oneOf"));
    let is_right = (any.is_empty() || any.iter().any(|schema| fits(&schema))) && (one.is_empty() || one.iter().filter(fits).count() == 1);
    if is_right {
        return;
    }
    // Of forms of several types the one of the value's type was meant: what is wrong with that one says more.
    let is_meant = |schema: &&Value| match schema.get("type") {
        Some(Value::String(word)) => is_of(value, word),
        _ => false,
    };
    let mut meant = any.iter().chain(one).filter(is_meant);
    if let (Some(only), None) = (meant.next(), meant.next()) {
        check(only, value, at, depth + 1, found);
    } else {
        found.push(Failure::new(Code::ConnectorConfig, "it fits none of the forms that it may have").at(at));
    }
}

fn is_of(value: &Value, word: &str) -> bool {
    match word {
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        other => word_of(value) == other,
    }
}

const fn word_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::{check_schema, faults};
    use serde_json::{Value, json};

    #[test]
    fn every_fault_has_its_place_and_no_value() {
        let schema = json!({"type": "object", "required": ["topic"], "additionalProperties": false, "properties": {
            "topic": {"type": "string"}, "batchSize": {"type": "integer", "minimum": 1}, "password": {"type": "string", "writeOnly": true},
            "inner": {"type": "object", "properties": {"mode": {"enum": ["fast", "slow"]}}},
            "brokers": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}, "half": {"type": "integer"}}});
        check_schema(&schema).unwrap();
        let config = json!({"topik": "t", "batchSize": 0, "password": 4711, "inner": {"mode": "fsat"}, "brokers": [4711], "half": 0.5});
        let found = faults(&schema, config.as_object().unwrap());
        let mut places: Vec<&str> = found.iter().filter_map(|failure| failure.pointer.as_deref()).collect();
        places.sort_unstable();
        assert_eq!(places, ["", "/batchSize", "/brokers/0", "/half", "/inner/mode", "/password", "/topik"]);
        for hint in ["did you mean 'topic'?", "did you mean 'fast'?"] {
            assert!(found.iter().any(|failure| failure.hint.as_deref() == Some(hint)), "{found:?}");
        }
        assert!(found.iter().all(|failure| !failure.message.contains("4711")), "{found:?}");
        for config in [json!({"topic": "t", "brokers": ["a"], "half": 2.0}), json!({"topic": "t", "brokers": "a", "batchSize": null})] {
            assert!(faults(&schema, config.as_object().unwrap()).is_empty(), "{config}");
        }
    }

    #[test]
    fn what_is_no_schema_is_told_apart() {
        for schema in [json!({"type": "nonsense"}), json!({"properties": {"a": 1}}), json!([]), json!({"items": {"type": []}})] {
            assert!(check_schema(&schema).is_err(), "{schema}");
        }
        assert!(check_schema(&Value::Bool(true)).is_ok());
        let deep = (0..100).fold(json!(true), |inner, _| json!({"items": inner}));
        assert!(check_schema(&deep).is_err());
    }
}
