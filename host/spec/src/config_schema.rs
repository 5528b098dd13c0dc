//! Checks a configuration of a plugin's function or connector against its JSON Schema: the keywords with which
//! configurations are described. The schema is a stranger's: what is followed of it is bounded, and nothing of it is
//! fetched, compiled or called again by reference.
//!
//! Known are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, the bounds of numbers,
//! lengths of strings, arrays and objects, `anyOf`, `oneOf`, `allOf` and `not`. As the standard says, others are
//! annotations: the plugin itself still sees the configuration when it is bound.

use serde_json::{Map, Value};

/// Deepest schema that is followed.
const DEPTH_MAX: usize = 32;

/// What is wrong, and where: a JSON Pointer into the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Where.
    pub pointer: String,
    /// What, in words for a person.
    pub message: String,
}

/// Checks a value.
///
/// # Errors
/// The first thing that does not fit.
pub fn check(schema: &Value, value: &Value) -> Result<(), Wrong> {
    at(schema, value, "", 0)
}

fn at(schema: &Value, value: &Value, pointer: &str, depth: usize) -> Result<(), Wrong> {
    let wrong = |message: String| Err(Wrong { pointer: pointer.to_owned(), message });
    let schema = match schema {
        Value::Object(schema) => schema,
        Value::Bool(false) => return wrong("nothing is allowed here".to_owned()),
        _ => return Ok(()),
    };
    if depth > DEPTH_MAX {
        return wrong(format!("the schema nests deeper than {DEPTH_MAX}"));
    }
    if let Some(types) = schema.get("type") {
        let names: Vec<&str> =
            types.as_str().map_or_else(|| types.as_array().into_iter().flatten().filter_map(Value::as_str).collect(), |name| vec![name]);
        if !names.iter().any(|name| is_type(name, value)) {
            return wrong(format!("{} is wanted, not {}", names.join(" or "), shown(value)));
        }
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.iter().any(|allowed| is_same(allowed, value))
    {
        return wrong(format!("{} is none of {}", shown(value), allowed.iter().map(shown).collect::<Vec<_>>().join(", ")));
    }
    if let Some(only) = schema.get("const")
        && !is_same(only, value)
    {
        return wrong(format!("only {} is allowed", shown(only)));
    }
    match value {
        Value::Number(number) => check_number(schema, number.as_f64().unwrap_or(f64::NAN)).or_else(wrong)?,
        Value::String(text) => check_length(schema, text.chars().count(), ("minLength", "maxLength"), "characters").or_else(wrong)?,
        Value::Array(items) => check_items(schema, items, pointer, depth)?,
        Value::Object(members) => check_members(schema, members, pointer, depth)?,
        Value::Null | Value::Bool(_) => {}
    }
    check_combined(schema, value, pointer, depth)
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

/// Equality of JSON values, in which 1 and 1.0 are the same number.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

fn check_number(schema: &Map<String, Value>, number: f64) -> Result<(), String> {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    if let Some(least) = bound("minimum").filter(|least| number < *least) {
        return Err(format!("{number} is below {least}"));
    }
    if let Some(most) = bound("maximum").filter(|most| number > *most) {
        return Err(format!("{number} is above {most}"));
    }
    if let Some(least) = bound("exclusiveMinimum").filter(|least| number <= *least) {
        return Err(format!("{number} is not above {least}"));
    }
    if let Some(most) = bound("exclusiveMaximum").filter(|most| number >= *most) {
        return Err(format!("{number} is not below {most}"));
    }
    match bound("multipleOf").filter(|step| *step > 0.0 && (number / step).fract() != 0.0) {
        Some(step) => Err(format!("{number} is not a multiple of {step}")),
        None => Ok(()),
    }
}

fn check_length(schema: &Map<String, Value>, length: usize, (least, most): (&str, &str), unit: &str) -> Result<(), String> {
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    if let Some(least) = bound(least).filter(|least| (length as u64) < *least) {
        return Err(format!("at least {least} {unit} are wanted, not {length}"));
    }
    match bound(most).filter(|most| length as u64 > *most) {
        Some(most) => Err(format!("at most {most} {unit} are allowed, not {length}")),
        None => Ok(()),
    }
}

fn check_items(schema: &Map<String, Value>, items: &[Value], pointer: &str, depth: usize) -> Result<(), Wrong> {
    check_length(schema, items.len(), ("minItems", "maxItems"), "items")
        .map_err(|message| Wrong { pointer: pointer.to_owned(), message })?;
    if let Some(each) = schema.get("items") {
        for (place, item) in items.iter().enumerate() {
            at(each, item, &format!("{pointer}/{place}"), depth + 1)?;
        }
    }
    Ok(())
}

fn check_members(schema: &Map<String, Value>, members: &Map<String, Value>, pointer: &str, depth: usize) -> Result<(), Wrong> {
    let wrong = |message: String| Wrong { pointer: pointer.to_owned(), message };
    check_length(schema, members.len(), ("minProperties", "maxProperties"), "properties").map_err(wrong)?;
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            return Err(wrong(format!("'{name}' is missing")));
        }
    }
    let known = schema.get("properties").and_then(Value::as_object);
    for (name, member) in members {
        let inside = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        match (known.and_then(|known| known.get(name)), schema.get("additionalProperties")) {
            (Some(schema), _) => at(schema, member, &inside, depth + 1)?,
            (None, Some(Value::Bool(false))) => {
                let names: Vec<&str> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                let message = format!("'{}' is unknown; known are {}", name.escape_debug(), names.join(", "));
                return Err(Wrong { pointer: inside, message });
            }
            (None, Some(schema)) => at(schema, member, &inside, depth + 1)?,
            (None, None) => {}
        }
    }
    Ok(())
}

fn check_combined(schema: &Map<String, Value>, value: &Value, pointer: &str, depth: usize) -> Result<(), Wrong> {
    let list = |name: &str| schema.get(name).and_then(Value::as_array);
    let wrong = |message: &str| Err(Wrong { pointer: pointer.to_owned(), message: message.to_owned() });
    for each in list("allOf").into_iter().flatten() {
        at(each, value, pointer, depth + 1)?;
    }
    let fitting = |all: &[Value]| all.iter().filter(|each| at(each, value, pointer, depth + 1).is_ok()).count();
    if list("anyOf").is_some_and(|all| fitting(all) == 0) {
        return wrong("none of the allowed forms fits");
    }
    if list("oneOf").is_some_and(|all| fitting(all) != 1) {
        return wrong("exactly one of the allowed forms must fit");
    }
    match schema.get("not") {
        Some(not) if at(not, value, pointer, depth + 1).is_ok() => wrong("this form is not allowed"),
        _ => Ok(()),
    }
}

/// A value in a message, cut where it is long.
fn shown(value: &Value) -> String {
    const CHARACTERS_MAX: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::{Value, json};

    #[test]
    fn configurations_are_checked() {
        let schema = json!({
            "type": "object",
            "properties": {
                "unit": {"enum": ["km", "mi"]},
                "digits": {"type": "integer", "minimum": 0, "maximum": 9},
                "names": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 2},
                "either": {"oneOf": [{"type": "string"}, {"type": "number"}]},
                "a/b": {"const": 1},
            },
            "required": ["unit"],
            "additionalProperties": false,
        });
        let pointer = |config: Value| check(&schema, &config).map_err(|wrong| wrong.pointer);
        assert_eq!(pointer(json!({"unit": "km", "digits": 3, "names": ["a"], "either": 1.5, "a/b": 1.0})), Ok(()));
        let fails = |config: Value, at: &str| assert_eq!(pointer(config), Err(at.to_owned()));
        fails(json!({}), "");
        fails(json!({"unit": "m"}), "/unit");
        fails(json!({"unit": "km", "digits": 3.5}), "/digits");
        fails(json!({"unit": "km", "digits": 10}), "/digits");
        fails(json!({"unit": "km", "names": ["a", ""]}), "/names/1");
        fails(json!({"unit": "km", "names": ["a", "b", "c"]}), "/names");
        fails(json!({"unit": "km", "either": true}), "/either");
        fails(json!({"unit": "km", "a/b": 2}), "/a~1b");
        fails(json!({"unit": "km", "colour": 1}), "/colour");
    }
}
