//! `POST /api/v1/lambda/explain`: a lambda or operations, and what elements they get.

use crate::wire::fields::Fields;
use crate::{Code, Failure};
use serde_json::{Map, Value, json};

/// Deepest schema that is followed.
const DEPTH_MAX: usize = 16;
/// The types of a schema, each with a value that has it.
const EXAMPLES: [(&str, Example); 4] =
    [("int64", Example::Integer), ("float64", Example::Number), ("utf8", Example::Text), ("boolean", Example::Boolean)];

#[derive(Clone, Copy)]
enum Example {
    Integer,
    Number,
    Text,
    Boolean,
}

/// What is to be explained, as the job that would do it: `lambda` stands for one `map`, `schema` for one element of it.
///
/// # Errors
/// [`Code::RequestField`].
pub fn explained_job(request: &Value) -> Result<Value, Failure> {
    let mut fields = Fields::of(request, "")?;
    let lambda = fields.text("lambda")?;
    let operations = fields.value("operations").cloned();
    let operations = match (lambda, operations) {
        (Some(lambda), None) => json!([{"type": "map", "function": lambda}]),
        (None, Some(operations)) => operations,
        (Some(_), Some(_)) => return Err(wrong("'lambda' and 'operations' exclude one another", "/lambda")),
        (None, None) => return Err(wrong("'lambda' or 'operations' is missing", "/lambda")),
    };
    let mut job = Map::new();
    for name in ["data", "dataset", "source", "input"] {
        if let Some(value) = fields.value(name) {
            job.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(schema) = fields.value("schema") {
        if !job.is_empty() {
            return Err(wrong("a schema stands in place of data", "/schema"));
        }
        job.insert("data".to_owned(), json!([example(schema, "/schema", 0)?]));
    }
    if job.is_empty() {
        return Err(wrong("'schema', 'data', 'dataset' or 'source' says what the elements are; it is missing", "/schema"));
    }
    job.insert("operations".to_owned(), operations);
    Ok(Value::Object(job))
}

fn wrong(message: &str, pointer: &str) -> Failure {
    Failure::new(Code::RequestField, message).at(pointer)
}

/// A value of a type: a word, `[item]`, or an object of types.
fn example(schema: &Value, pointer: &str, depth: usize) -> Result<Value, Failure> {
    if depth > DEPTH_MAX {
        return Err(wrong("the schema nests too deep", pointer));
    }
    match schema {
        Value::Object(members) => {
            let member = |(name, of): (&String, &Value)| {
                let inside = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                Ok((name.clone(), example(of, &inside, depth + 1)?))
            };
            members.iter().map(member).collect::<Result<Map<_, _>, Failure>>().map(Value::Object)
        }
        Value::Array(items) => match items.as_slice() {
            [item] => Ok(json!([example(item, &format!("{pointer}/0"), depth + 1)?])),
            _ => Err(wrong("a list is written [type]", pointer)),
        },
        Value::String(word) => match EXAMPLES.iter().find(|(name, _)| name == word) {
            Some((_, Example::Integer)) => Ok(json!(1)),
            Some((_, Example::Number)) => Ok(json!(1.5)),
            Some((_, Example::Text)) => Ok(json!("a")),
            Some((_, Example::Boolean)) => Ok(json!(true)),
            None => {
                let known: Vec<&str> = EXAMPLES.iter().map(|(name, _)| *name).collect();
                Err(wrong("an unknown type", pointer).hint(format!("types are {}, [type] and {{\"name\": type}}", known.join(", "))))
            }
        },
        _ => Err(wrong("a type is a word, [type] or an object of types", pointer)),
    }
}

#[cfg(test)]
mod tests {
    use super::{explained_job, json};

    #[test]
    fn schemas_become_one_element() {
        let job = explained_job(&json!({"lambda": "x => x", "schema": {"a": "int64", "b": ["utf8"], "c": {"d": "float64"}}})).unwrap();
        assert_eq!(job["data"], json!([{"a": 1, "b": ["a"], "c": {"d": 1.5}}]));
        assert_eq!(job["operations"], json!([{"type": "map", "function": "x => x"}]));
    }

    #[test]
    fn what_is_missing_or_unknown_is_said() {
        let pointer = |request| explained_job(&request).unwrap_err().pointer;
        assert_eq!(pointer(json!({"data": [1]})).as_deref(), Some("/lambda"));
        assert_eq!(pointer(json!({"lambda": "x => x"})).as_deref(), Some("/schema"));
        assert_eq!(pointer(json!({"lambda": "x => x", "schema": {"a/b": "int"}})).as_deref(), Some("/schema/a~1b"));
        assert_eq!(pointer(json!({"lambda": "x => x", "operations": [], "data": []})).as_deref(), Some("/lambda"));
    }
}
