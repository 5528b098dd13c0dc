//! JSON Schemas of configurations, for people and tools. What is checked lives in `config.rs`.

use crate::config::Engine;
use serde_json::{Value, json};

/// The schema of an engine's configuration, or of all of them.
pub(crate) fn config(engine: Option<Engine>) -> Value {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 256});
    let names = json!({"anyOf": [name, {"type": "array", "items": name, "minItems": 1, "uniqueItems": true}]});
    let mut properties = json!({
        "connection": connection(),
        "table": {"type": "string", "description": "a table, or schema.table"},
        "schema": {"type": "string", "description": "the table's schema, where its name has a dot"},
        "query": {"type": "string", "description": "a SELECT to read instead of a table"},
        "columns": names,
        "filter": {"type": "string", "description": "a condition in SQL on the rows to read"},
        "partitionColumn": {"type": "string", "description": "a column of whole numbers, dates or timestamps to cut the rows by"},
        "mode": {"enum": ["append", "insert", "upsert", "overwrite", "replace"], "description": "of a sink"},
        "keys": names,
        "create": {"type": "boolean", "description": "of a sink: make the table where it is not there"},
    });
    if let Some(map) = properties.as_object_mut() {
        others(map);
        if engine == Some(Engine::MongoDb) {
            for member in ["table", "schema", "partitionColumn"] {
                map.remove(member);
            }
        }
        if matches!(engine, None | Some(Engine::MongoDb)) {
            documents(map, engine.is_none());
        }
        if engine.is_none() {
            let words = ["postgresql", "postgres", "mysql", "mariadb", "sqlite", "mongodb", "mongo"];
            map.insert("databaseType".to_owned(), json!({"enum": words, "default": "postgresql"}));
        }
        if matches!(engine, None | Some(Engine::Sqlite)) {
            map.insert("path".to_owned(), json!({"type": "string", "description": "of SQLite: the file below a configured root"}));
            let about = "of SQLite and MongoDB: columns and their types, in place of those that are found";
            map.insert("types".to_owned(), json!({"type": "object", "additionalProperties": {"type": "string"}, "description": about}));
        }
        if engine == Some(Engine::Sqlite) {
            map.insert("connection".to_owned(), file());
        }
    }
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

/// What callers may say beside, where it means the same or is not the connector's business.
fn others(map: &mut serde_json::Map<String, Value>) {
    let about = "the connection as a URL: scheme://user:password@host:port/database, or sqlite:PATH";
    map.insert("url".to_owned(), json!({"type": ["string", "object"], "writeOnly": true, "description": about}));
    for (name, of) in [("parallelism", "integer"), ("batchSize", "integer"), ("enableStreaming", "boolean"), ("databaseType", "string")] {
        map.insert(name.to_owned(), json!({"type": of, "description": "of existing callers; it changes nothing here"}));
    }
}

/// What collections of documents have beside or instead of what tables have.
fn documents(map: &mut serde_json::Map<String, Value>, is_any: bool) {
    let text = if is_any { "a SELECT to read instead of a table; of MongoDB: the same as filter" } else { "the same as filter" };
    let document = |about: &str| json!({"type": ["object", "string"], "description": about});
    map.insert("query".to_owned(), document(text));
    let text =
        if is_any { "a condition in SQL on the rows to read; of MongoDB: a document" } else { "which documents to read, in extended JSON" };
    map.insert("filter".to_owned(), document(text));
    map.insert("collection".to_owned(), json!({"type": "string", "description": "of MongoDB: a collection"}));
    map.insert("database".to_owned(), json!({"type": "string", "description": "of MongoDB: the database, where the connection has none"}));
    map.insert("projection".to_owned(), json!({"type": "object", "description": "of MongoDB: members to send or to leave out"}));
    map.insert("types".to_owned(), json!({"type": "object", "additionalProperties": {"type": "string"}, "description": "columns and their types, in place of those that are found"}));
}

/// The `connection` of a database that is a file.
fn file() -> Value {
    json!({
        "anyOf": [
            {"type": "string", "description": "a path, or sqlite:PATH"},
            {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "path": {"type": "string"},
                    "file": {"type": "string", "description": "the same"},
                    "filename": {"type": "string", "description": "the same"},
                    "database": {"type": "string", "description": "the same"},
                    "url": {"type": "string", "description": "sqlite:PATH"},
                    "busyTimeoutMs": {"type": "integer", "default": 10000, "maximum": 60000},
                    "statementTimeoutMs": {"type": "integer", "default": 3600000},
                },
            },
        ],
    })
}

fn connection() -> Value {
    json!({
        "anyOf": [
            {"type": "string", "writeOnly": true, "description": "scheme://user:password@host:port/database"},
            {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "url": {"type": ["string", "object"], "writeOnly": true},
                    "host": {"type": "string", "default": "localhost"},
                    "port": {"type": ["integer", "string"], "minimum": 1, "maximum": 65535},
                    "user": {"type": "string"},
                    "username": {"type": "string", "description": "the same"},
                    "password": {"type": ["string", "object"], "writeOnly": true},
                    "database": {"type": "string"},
                    "db": {"type": "string", "description": "the same"},
                    "dbname": {"type": "string", "description": "the same"},
                    "authSource": {"type": "string", "description": "of MongoDB: the database in which the user is kept"},
                    "tls": {"enum": ["disable", "prefer", "require", "verify-full"], "default": "prefer"},
                    "caCertificate": {"type": "string", "description": "an authority's certificate in PEM"},
                    "connectTimeoutMs": {"type": "integer", "default": 10000, "maximum": 60000},
                    "statementTimeoutMs": {"type": "integer", "default": 3600000},
                },
            },
        ],
    })
}
