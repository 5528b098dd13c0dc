//! Where a SQLite database is: a path below a configured root, never a URI file name. Whether a file is there, and whether
//! its path stays below the root, is found out when it is opened.

use super::{Fields, STATEMENT_DEFAULT, STATEMENT_MAX, told};
use arrow::datatypes::Fields as Columns;
use azora_spec::Failure;
use serde_json::{Map, Value};
use std::time::Duration;

/// How long to wait for a file that another program has locked, where the request does not say.
const BUSY_DEFAULT: Duration = Duration::from_secs(10);
/// The longest that a request may ask for.
const BUSY_MAX: Duration = Duration::from_secs(60);
/// Members of a configuration that this file reads, beside the connection.
pub(crate) const MEMBERS: &[&str] = &["path", "types"];

/// A database file and how long to wait for it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) path: String,
    /// The member that the path stood in.
    pub(crate) pointer: &'static str,
    pub(crate) busy_time: Duration,
    pub(crate) statement_time: Duration,
}

/// Reads `path`, or a `connection` that is a path, a `sqlite:` URL, or an object with one of them.
pub(crate) fn place(config: &Map<String, Value>) -> Result<Place, Failure> {
    let mut top = Fields::top(config);
    let mut fields = Fields::connection(config)?;
    let mut found = top.text("path")?.map(|path| (path.to_owned(), "/path"));
    for (name, pointer) in [
        ("path", "/connection/path"),
        ("file", "/connection/file"),
        ("filename", "/connection/filename"),
        ("database", "/connection/database"),
    ] {
        found = fields.text(name)?.map(|path| (path.to_owned(), pointer)).or(found);
    }
    if let Some(url) = fields.text("url")? {
        let path = bare(url).map_err(|reason| fields.wrong("url", reason))?;
        found = Some((path.to_owned(), if config.get("connection").is_some_and(Value::is_string) { "/connection" } else { "/url" }));
    }
    let (path, pointer) = found.ok_or_else(|| top.missing("path").hint("'path' is the database's file below a configured root"))?;
    // SQLite would take these for something else than a file.
    if path.is_empty() || path.starts_with("file:") || path.starts_with(':') {
        let message = "a database is a file below a configured root; URI file names and databases in memory are not opened";
        return Err(top.wrong("", message).at(pointer));
    }
    let place = Place {
        path,
        pointer,
        busy_time: fields.duration("busyTimeoutMs", BUSY_MAX)?.unwrap_or(BUSY_DEFAULT),
        statement_time: fields.duration("statementTimeoutMs", STATEMENT_MAX)?.unwrap_or(STATEMENT_DEFAULT),
    };
    fields.finish()?;
    Ok(place)
}

/// Types that a request tells for columns, in place of the declared ones.
pub(crate) fn types(config: &Map<String, Value>) -> Result<Columns, Failure> {
    told(config, "types")
}

/// A path as it is, or behind `sqlite:` or `sqlite://`.
fn bare(url: &str) -> Result<&str, &'static str> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
    // Not taken for a path, which would be shown: somebody's password may stand in it.
    let has_user = url.contains("://") && path.split('/').next().is_some_and(|first| first.contains('@'));
    if has_user {
        return Err("the URL of a SQLite database is sqlite:PATH without a user or a host");
    }
    if path.contains('?') { Err("the URL of a SQLite database is sqlite:PATH without parameters") } else { Ok(path) }
}

#[cfg(test)]
mod tests {
    use super::place;
    use serde_json::{Value, json};

    #[test]
    fn a_path_stands_where_callers_put_it() {
        let check = |config: Value, path: &str, pointer: &str| {
            let place = place(config.as_object().unwrap()).unwrap();
            assert_eq!((place.path.as_str(), place.pointer), (path, pointer));
        };
        check(json!({"path": "a.db"}), "a.db", "/path");
        check(json!({"connection": {"database": "a.db", "busyTimeoutMs": 5}}), "a.db", "/connection/database");
        check(json!({"connection": "sqlite:///tmp/a.db"}), "/tmp/a.db", "/connection");
        check(json!({"url": "sqlite:a.db"}), "a.db", "/url");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (config, pointer) in [
            (json!({}), "/path"),
            (json!({"path": "file:a.db?mode=memory"}), "/path"),
            (json!({"path": ":memory:"}), "/path"),
            (json!({"connection": "sqlite:a.db?vfs=unix-none"}), "/connection/url"),
            (json!({"connection": {"path": 7}}), "/connection/path"),
            (json!({"connection": {"path": "a", "busyTimeoutMs": 600_000}}), "/connection/busyTimeoutMs"),
            (json!({"connection": {"path": "a", "host": "h"}}), "/connection/host"),
        ] {
            assert_eq!(place(config.as_object().unwrap()).unwrap_err().pointer.as_deref(), Some(pointer), "{config}");
        }
    }
}
