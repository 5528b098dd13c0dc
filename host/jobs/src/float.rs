//! Recorded requests keep every number exactly.
//!
//! The JSON reader may be off by one unit in the last place when it reads a floating-point number, which would let a job
//! compute something else after a restart. Numbers that do not survive being written and read are recorded by their bits.

use serde_json::{Map, Value};

/// Key of the object that stands for a number; a caller's own key of that beginning is marked.
const KEY: &str = "$f64";
const MARK: &str = "$f64~";

/// Replaces numbers that would not survive.
pub(crate) fn freeze(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(float) if !survives(value, float) => {
                Value::Object(Map::from_iter([(KEY.to_owned(), Value::String(format!("{:016x}", float.to_bits())))]))
            }
            _ => value.clone(),
        },
        Value::Array(items) => Value::Array(items.iter().map(freeze).collect()),
        Value::Object(fields) => Value::Object(fields.iter().map(|(key, value)| (mark(key), freeze(value))).collect()),
        _ => value.clone(),
    }
}

/// Undoes [`freeze`].
pub(crate) fn thaw(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(thaw).collect()),
        Value::Object(fields) => match number(&fields) {
            Some(number) => Value::Number(number),
            None => Value::Object(
                fields.into_iter().map(|(key, value)| (key.strip_prefix(MARK).map_or(key.clone(), str::to_owned), thaw(value))).collect(),
            ),
        },
        other => other,
    }
}

fn survives(value: &Value, float: f64) -> bool {
    let read = serde_json::from_str::<f64>(&value.to_string());
    read.is_ok_and(|read| read.to_bits() == float.to_bits())
}

fn mark(key: &str) -> String {
    if key.starts_with(KEY) { format!("{MARK}{key}") } else { key.to_owned() }
}

fn number(fields: &Map<String, Value>) -> Option<serde_json::Number> {
    let Some(Value::String(bits)) = fields.get(KEY).filter(|_| fields.len() == 1) else { return None };
    serde_json::Number::from_f64(f64::from_bits(u64::from_str_radix(bits, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::{freeze, thaw};
    use serde_json::{Value, json};

    fn round_trip(value: &Value) -> Value {
        thaw(serde_json::from_str(&freeze(value).to_string()).unwrap())
    }

    #[test]
    fn every_number_survives_being_recorded() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let float = f64::from_bits(state);
            if float.is_finite() {
                let read = round_trip(&json!([float]));
                assert_eq!(read[0].as_f64().map(f64::to_bits), Some(float.to_bits()), "{float:e}");
            }
        }
    }

    #[test]
    fn keys_that_look_like_ours_are_kept() {
        let value = json!({"$f64": "x", "a": {"$f64~": 1, "$f64": {"$f64": "3ff0000000000000"}}, "list": [1, 2.5, null, {}]});
        assert_eq!(round_trip(&value), value);
    }
}
