//! What is read from and written to collections of documents. Filters are JSON, in MongoDB's extended form where a value has
//! no JSON of its own; what would run code on the server is refused.

use super::{Fields, Mode, OTHERS, SQL_BYTES_MAX, mode, told};
use arrow::datatypes::Fields as Columns;
use azora_spec::{Code, Failure};
use mongodb::bson::{Bson, Document};
use serde_json::{Map, Value};

/// Members that others read.
const SKIPPED: &[&str] = &["connection", "url", "database"];
/// Operators that run JavaScript on the server.
const SCRIPTS: [&str; 3] = ["$where", "$function", "$accumulator"];

/// What is read, and how.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) collection: String,
    pub(crate) filter: Document,
    /// The columns to read, all where empty.
    pub(crate) columns: Vec<String>,
    /// The server's own way to choose members; `_id` is always in it.
    pub(crate) projection: Option<Document>,
    pub(crate) is_id_hidden: bool,
    pub(crate) types: Columns,
}

/// Where rows are written.
#[derive(Debug, Clone)]
pub(crate) struct Writing {
    pub(crate) collection: String,
    pub(crate) mode: Mode,
    pub(crate) keys: Vec<String>,
    pub(crate) create: bool,
}

/// Reads what a source reads.
pub(crate) fn reading(config: &Map<String, Value>) -> Result<Reading, Failure> {
    let mut fields = Fields::top(config);
    fields.skip(SKIPPED);
    fields.skip(OTHERS);
    fields.skip(&["types", "query", "filter", "projection"]);
    let collection = collection(&mut fields)?;
    let filter = match (document(config, "query")?, document(config, "filter")?) {
        (Some(_), Some(_)) => return Err(fields.wrong("filter", "a source has a query or a filter, which are the same here")),
        (query, filter) => query.or(filter).unwrap_or_default(),
    };
    let columns = fields.names("columns")?;
    let mut projection = document(config, "projection")?;
    if projection.is_some() && !columns.is_empty() {
        return Err(fields.wrong("projection", "a source has columns or a projection, not both"));
    }
    let is_id_hidden = projection.as_mut().and_then(|projection| projection.remove("_id")).is_some_and(|id| is_no(&id));
    let reading = Reading { collection, filter, columns, projection, is_id_hidden, types: told(config, "types")? };
    fields.finish()?;
    Ok(reading)
}

/// Reads where a sink writes.
pub(crate) fn writing(config: &Map<String, Value>) -> Result<Writing, Failure> {
    let mut fields = Fields::top(config);
    fields.skip(SKIPPED);
    fields.skip(OTHERS);
    let collection = collection(&mut fields)?;
    let (mode, keys) = mode(&mut fields)?;
    let writing = Writing { collection, mode, keys, create: fields.flag("create")?.unwrap_or(false) };
    fields.finish()?;
    Ok(writing)
}

fn collection(fields: &mut Fields<'_>) -> Result<String, Failure> {
    let name = fields.name("collection")?.ok_or_else(|| fields.missing("collection"))?;
    if name.contains(['$', '\0']) || name.starts_with("system.") {
        return Err(fields.wrong("collection", "a collection's name has no '$' and does not begin with 'system.'"));
    }
    Ok(name.to_owned())
}

const fn is_no(value: &Bson) -> bool {
    matches!(value, Bson::Int32(0) | Bson::Int64(0) | Bson::Boolean(false))
}

/// A document: an object, or the text of one.
fn document(config: &Map<String, Value>, member: &'static str) -> Result<Option<Document>, Failure> {
    let wrong = |message: String| Failure::new(Code::ConnectorConfig, message).at(format!("/{member}"));
    let parsed;
    let value = match config.get(member) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.len() > SQL_BYTES_MAX => {
            return Err(wrong(format!("'{member}' has more than {SQL_BYTES_MAX} bytes")));
        }
        Some(Value::String(text)) => {
            parsed = serde_json::from_str(text).map_err(|error| wrong(format!("'{member}' is not JSON: {error}")))?;
            &parsed
        }
        Some(value) => value,
    };
    if !value.is_object() {
        return Err(wrong(format!("'{member}' is a document, such as {{\"age\": {{\"$gt\": 18}}}}")));
    }
    let document: Document = serde_json::from_value(value.clone()).map_err(|error| wrong(format!("'{member}' is no document: {error}")))?;
    match document.iter().find_map(|(name, value)| script(name, value)) {
        Some(operator) => Err(wrong(format!("'{operator}' runs code on the server and is not allowed")).hint("use operators that compare")),
        None => Ok(Some(document)),
    }
}

/// The first operator that runs code. JSON texts nest at most 128 deep.
fn script(name: &str, value: &Bson) -> Option<&'static str> {
    if let Some(operator) = SCRIPTS.into_iter().find(|operator| *operator == name) {
        return Some(operator);
    }
    match value {
        Bson::Document(document) => document.iter().find_map(|(name, value)| script(name, value)),
        Bson::Array(items) => items.iter().find_map(|value| script("", value)),
        Bson::JavaScriptCode(_) | Bson::JavaScriptCodeWithScope(_) => Some("$code"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{reading, writing};
    use crate::config::Mode;
    use mongodb::bson::{Bson, doc, oid::ObjectId};
    use serde_json::{Value, json};

    #[test]
    fn filters_are_documents_in_extended_json() {
        let filter = |value: Value| reading(json!({"collection": "c", "query": value}).as_object().unwrap()).unwrap().filter;
        assert_eq!(filter(json!({"age": {"$gt": 18}})), doc! {"age": {"$gt": 18}});
        assert_eq!(filter(json!("{\"a\": null}")), doc! {"a": Bson::Null});
        let id = ObjectId::parse_str("65a000000000000000000001").unwrap();
        assert_eq!(filter(json!({"_id": {"$oid": "65a000000000000000000001"}})), doc! {"_id": id});
        let date = filter(json!({"at": {"$lt": {"$date": "2024-01-01T00:00:00Z"}}}));
        assert!(matches!(date.get_document("at").unwrap().get("$lt"), Some(Bson::DateTime(_))), "{date}");
    }

    #[test]
    fn complaints_point_at_the_member() {
        let check = |config: Value, pointer: &str| {
            let failure = reading(config.as_object().unwrap()).map(|_| ()).unwrap_err();
            assert_eq!(failure.pointer.as_deref(), Some(pointer), "{failure}");
        };
        check(json!({}), "/collection");
        check(json!({"collection": "system.users"}), "/collection");
        check(json!({"collection": "c", "query": "{"}), "/query");
        check(json!({"collection": "c", "query": 7}), "/query");
        check(json!({"collection": "c", "filter": {"$or": [{"$where": "sleep(1000)"}]}}), "/filter");
        check(json!({"collection": "c", "filter": {"a": {"$code": "1"}}}), "/filter");
        check(json!({"collection": "c", "query": {}, "filter": {}}), "/filter");
        check(json!({"collection": "c", "columns": ["a"], "projection": {"a": 1}}), "/projection");
        check(json!({"collection": "c", "types": {"a": "money"}}), "/types/a");
        check(json!({"collection": "c", "table": "t"}), "/table");
    }

    #[test]
    fn sinks_have_the_modes_of_all() {
        let of = |config: Value| writing(config.as_object().unwrap()).map(|writing| writing.mode);
        assert_eq!(of(json!({"collection": "c"})).unwrap(), Mode::Append);
        assert_eq!(of(json!({"collection": "c", "keys": "k"})).unwrap(), Mode::Upsert);
        assert_eq!(of(json!({"collection": "c", "mode": "replace"})).unwrap(), Mode::Overwrite);
        assert_eq!(of(json!({"collection": "c", "mode": "upsert"})).unwrap_err().pointer.as_deref(), Some("/keys"));
    }
}
