//! Where in a request a fault stands that was found below the request: connectors point into their own configuration, and
//! catalogs do not point at all.

use azora_spec::{Code, Failure};
use serde_json::Value;

/// Where configurations of sources stand in a request.
const SOURCES: &[&str] = &["/source/config", "/source", "/input/source/config", "/input/source", "/input/config", "/input", "/config"];

/// Gives the failure of a job the pointer that it has in the job's request. Pointers that lead somewhere already stay.
pub(crate) fn locate(request: &Value, failure: Failure) -> Failure {
    match &failure.pointer {
        Some(pointer) if is_inside(failure.code, pointer) && request.pointer(pointer).is_none() => {
            match rebased(request, pointer, &failure.message) {
                Some(pointer) => failure.at(pointer),
                None => failure,
            }
        }
        None if failure.code == Code::DatasetUnknown => {
            let places = ["/dataset", "/input/dataset", "/input/name"];
            let found = places.into_iter().find(|place| request.pointer(place).is_some());
            failure.at(found.unwrap_or_default())
        }
        _ => failure,
    }
}

/// A copy of a request without its rows, which may be many and are never pointed into.
pub(crate) fn outline(request: &Value) -> Value {
    let Some(members) = request.as_object() else { return Value::Null };
    let copied = members.iter().filter(|(name, _)| *name != "data").map(|(name, value)| match name.as_str() {
        "input" => (name.clone(), outline(value)),
        "tables" => {
            let tables = value.as_object().into_iter().flatten().map(|(name, table)| (name.clone(), outline(table)));
            (name.clone(), Value::Object(tables.collect()))
        }
        _ => (name.clone(), value.clone()),
    });
    Value::Object(copied.collect())
}

/// Whether a pointer leads into a configuration: those of tables and of a connector's folders say so themselves.
fn is_inside(code: Code, pointer: &str) -> bool {
    is_about_configuration(code) || pointer.starts_with("/tables/") || pointer.starts_with("/partitionBy")
}

const fn is_about_configuration(code: Code) -> bool {
    matches!(
        code,
        Code::ConnectorConfig
            | Code::ConnectorUnavailable
            | Code::ConnectorDenied
            | Code::ConnectorMissing
            | Code::ConnectorBusy
            | Code::PathOutside
            | Code::PathMissing
            | Code::PathUnusable
            | Code::FileFormat
            | Code::SinkExists
            | Code::RequestField
    )
}

/// The place of a pointer into a configuration. Where both source and sink have such a member, the one whose text the
/// message repeats is meant, and before that a sink for a fault that only sinks have.
fn rebased(request: &Value, pointer: &str, message: &str) -> Option<String> {
    if let Some((name, below)) = pointer.strip_prefix("/tables/").map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
        let table = format!("/tables/{name}");
        let inner = SOURCES.iter().map(|place| format!("{table}{place}/{below}")).find(|place| request.pointer(place).is_some());
        return inner.or_else(|| request.pointer(&table).is_some().then_some(table));
    }
    let last = request["operations"].as_array().map_or(0, |operations| operations.len().saturating_sub(1));
    let sinks = ["/sink/config".to_owned(), "/sink".to_owned(), format!("/operations/{last}/sink"), format!("/operations/{last}")];
    let places = SOURCES.iter().map(|place| (*place).to_owned()).chain(sinks);
    let found: Vec<String> = places.map(|place| place + pointer).filter(|place| request.pointer(place).is_some()).collect();
    let is_named = |place: &&String| request.pointer(place).and_then(Value::as_str).is_some_and(|text| message.contains(text));
    found.iter().find(is_named).or(found.first()).cloned()
}

#[cfg(test)]
mod tests {
    use super::{locate, outline};
    use azora_spec::{Code, Failure};
    use serde_json::{Value, json};

    fn check(request: &Value, failure: Failure, expect: Option<&str>) {
        assert_eq!(locate(request, failure).pointer.as_deref(), expect, "{request}");
    }

    #[test]
    fn faults_of_a_configuration_stand_where_it_does() {
        let outside = |path: &str| Failure::new(Code::PathOutside, format!("'{path}' is not below a configured root")).at("/path");
        check(&json!({"source": {"type": "csv", "path": "/a"}}), outside("/a"), Some("/source/path"));
        check(&json!({"source": {"type": "csv", "config": {"path": "/a"}}}), outside("/a"), Some("/source/config/path"));
        check(&json!({"type": "file", "config": {"path": "/a"}}), outside("/a"), Some("/config/path"));
        let both = json!({"source": {"path": "/a"}, "operations": [{"type": "write", "sink": {"path": "/b"}}]});
        check(&both, outside("/a"), Some("/source/path"));
        check(&both, outside("/b"), Some("/operations/0/sink/path"));
        check(&json!({"data": [1]}), outside("/a"), Some("/path"));
        let denied = Failure::new(Code::ConnectorDenied, "refused the user").at("/connection/password");
        let ingest = json!({"type": "postgresql", "config": {"connection": {"password": "x"}}});
        check(&ingest, denied, Some("/config/connection/password"));
    }

    #[test]
    fn an_outline_has_no_rows() {
        let request = json!({"data": [1], "input": {"data": [2], "type": "inline"}, "operations": []});
        assert_eq!(outline(&request), json!({"input": {"type": "inline"}, "operations": []}));
    }

    #[test]
    fn other_pointers_stay() {
        let request = json!({"operations": [{"type": "map", "function": "x"}]});
        check(&request, Failure::new(Code::LambdaSyntax, "no").at("/operations/0/function"), Some("/operations/0/function"));
        check(&request, Failure::new(Code::OperationEmpty, "empty"), None);
    }

    #[test]
    fn a_dataset_that_is_not_there_is_named_by_the_request() {
        check(&json!({"dataset": "a"}), Failure::new(Code::DatasetUnknown, "no dataset 'a'"), Some("/dataset"));
        check(&json!({"input": {"dataset": "a"}}), Failure::new(Code::DatasetUnknown, "no dataset 'a'"), Some("/input/dataset"));
    }
}
