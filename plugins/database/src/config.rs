//! What a request says about a database, checked and typed. What only the server can tell, for example whether a table is
//! there, is asked by the engines.

mod address;
pub(crate) mod document;
mod fields;
pub(crate) mod file;

use crate::sql::Table;
use arrow::datatypes::Fields as Columns;
use azora_connect::{Secrets, json};
use azora_spec::{Code, Failure, Secret};
use fields::Fields;
use serde_json::{Map, Value};
use std::time::Duration;

/// How long reaching a server may take where the request does not say.
const CONNECT_DEFAULT: Duration = Duration::from_secs(10);
/// The longest that a request may ask for.
const CONNECT_MAX: Duration = Duration::from_secs(60);
/// How long one statement may run where the request does not say.
const STATEMENT_DEFAULT: Duration = Duration::from_secs(3600);
/// The longest that a request may ask for.
const STATEMENT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest query or filter.
const SQL_BYTES_MAX: usize = 64 << 10;
/// Longest name of a table or column.
const NAME_BYTES_MAX: usize = 256;
/// Most columns that a request may name.
const COLUMNS_MAX: usize = 1600;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite, a file below a configured root.
    Sqlite,
    /// MongoDB and servers that speak its protocol.
    MongoDb,
}

impl Engine {
    /// The connector's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::MySql => "mysql",
            Self::Sqlite => "sqlite",
            Self::MongoDb => "mongodb",
        }
    }

    /// What people call it.
    pub(crate) const fn product(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::Sqlite => "SQLite",
            Self::MongoDb => "MongoDB",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::MySql => 3306,
            Self::Sqlite => 0,
            Self::MongoDb => 27017,
        }
    }

    /// The engine of a `databaseType`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        match text.to_ascii_lowercase().as_str() {
            "postgresql" | "postgres" => Ok(Self::Postgres),
            "mysql" | "mariadb" => Ok(Self::MySql),
            "sqlite" => Ok(Self::Sqlite),
            "mongodb" | "mongo" => Ok(Self::MongoDb),
            other => Err(Failure::new(Code::ConnectorConfig, format!("no database is called '{}'", other.escape_debug()))
                .hint("databaseType is postgresql, mysql, mariadb, sqlite or mongodb")
                .at("/databaseType")),
        }
    }
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Not at all.
    Disable,
    /// Encrypted where the server offers it; whoever sits in between can see and change everything all the same.
    Prefer,
    /// Encrypted, and the server's certificate is checked.
    Require,
}

/// Where a server is and who asks.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) database: String,
    pub(crate) tls: Tls,
    /// An authority's certificate in PEM, beside those of the system.
    pub(crate) authority: Option<String>,
    pub(crate) connect_time: Duration,
    pub(crate) statement_time: Duration,
    /// Of MongoDB: the database in which the user is kept.
    pub(crate) auth_source: Option<String>,
}

/// What is read.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Table(Table),
    Query(String),
}

impl What {
    /// Which field a complaint of the server is about.
    pub(crate) const fn pointer(&self) -> &'static str {
        match self {
            Self::Table(_) => "/table",
            Self::Query(_) => "/query",
        }
    }
}

/// How it is read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) what: What,
    pub(crate) columns: Vec<String>,
    pub(crate) filter: Option<String>,
    pub(crate) partition_column: Option<String>,
}

/// What a sink does with rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Adds rows.
    Append,
    /// Adds rows, or replaces those with the same keys.
    Upsert,
    /// Replaces all rows.
    Overwrite,
}

/// Where rows are written.
#[derive(Debug, Clone)]
pub(crate) struct Writing {
    pub(crate) table: Table,
    pub(crate) mode: Mode,
    pub(crate) keys: Vec<String>,
    pub(crate) create: bool,
}

/// Members of a configuration that the platform reads, not the connector.
const OTHERS: &[&str] = &["parallelism", "batchSize", "enableStreaming", "databaseType"];

/// Reads the `connection` of a server.
pub(crate) fn connection(config: &Map<String, Value>, engine: Engine, secrets: &Secrets) -> Result<Connection, Failure> {
    let mut fields = Fields::connection(config)?;
    let parts = match fields.secret("url", secrets)? {
        Some(url) => address::parse(url.expose(), engine).map_err(|reason| fields.wrong("url", reason))?,
        None => address::Address::default(),
    };
    let host = fields.text("host")?.map(str::to_owned).or(parts.host).unwrap_or_else(|| "localhost".to_owned());
    if host.is_empty() || host.starts_with('/') {
        return Err(fields.wrong("host", "a host is a name or an address; sockets of this machine are not reached"));
    }
    let port = fields.number("port", 1, u64::from(u16::MAX))?.and_then(|port| u16::try_from(port).ok());
    let is_document = engine == Engine::MongoDb;
    let user = fields.one_of(&["user", "username"])?.map(str::to_owned).or(parts.user);
    let user = user.or_else(|| is_document.then(String::new)).ok_or_else(|| fields.missing("user"))?;
    let password = fields.secret("password", secrets)?.or(parts.password);
    // Where nothing else is said, MongoDB's users are kept in the database that the URL names.
    let told = if is_document { fields.text("authSource")?.map(str::to_owned) } else { None };
    let auth_source = told.or(parts.auth_source).or_else(|| parts.database.clone());
    let database = fields.one_of(&["database", "db", "dbname"])?.map(str::to_owned).or(parts.database);
    let database = match database {
        None if is_document => Fields::top(config).name("database")?.map(str::to_owned),
        other => other,
    };
    let tls = match fields.text("tls")?.or(parts.tls.as_deref()) {
        // Its servers speak either the one or the other on a port.
        None if is_document => Tls::Disable,
        Some("prefer") if is_document => {
            return Err(fields.wrong("tls", "a connection to MongoDB is encrypted or not: tls is 'disable' or 'require'"));
        }
        None | Some("prefer") => Tls::Prefer,
        Some("disable") => Tls::Disable,
        Some("require" | "verify-full") => Tls::Require,
        Some(_) => return Err(fields.wrong("tls", "tls is 'disable', 'prefer' or 'require'")),
    };
    let connection = Connection {
        host,
        port: port.or(parts.port).unwrap_or(engine.port()),
        user,
        password,
        database: database.ok_or_else(|| fields.missing("database"))?,
        tls,
        authority: fields.text("caCertificate")?.map(str::to_owned),
        connect_time: fields.duration("connectTimeoutMs", CONNECT_MAX)?.unwrap_or(CONNECT_DEFAULT),
        statement_time: fields.duration("statementTimeoutMs", STATEMENT_MAX)?.unwrap_or(STATEMENT_DEFAULT),
        auth_source,
    };
    fields.finish()?;
    Ok(connection)
}

/// Reads what a source reads.
pub(crate) fn reading(config: &Map<String, Value>, more: &[&str]) -> Result<Reading, Failure> {
    let mut fields = Fields::top(config);
    fields.skip(&["connection", "url"]);
    fields.skip(OTHERS);
    fields.skip(more);
    let schema = fields.name("schema")?;
    let what = match (fields.name("table")?, fields.sql("query")?) {
        (Some(table), None) => What::Table(Table::new(schema, table)),
        (None, Some(query)) => What::Query(query.to_owned()),
        (None, None) => return Err(fields.missing("table").hint("say which 'table' to read, or give a 'query'")),
        (Some(_), Some(_)) => return Err(fields.wrong("query", "a source has a table or a query, not both")),
    };
    let columns = fields.names("columns")?;
    let reading = Reading {
        what,
        columns,
        filter: fields.sql("filter")?.map(str::to_owned),
        partition_column: fields.name("partitionColumn")?.map(str::to_owned),
    };
    fields.finish()?;
    Ok(reading)
}

/// Reads where a sink writes.
pub(crate) fn writing(config: &Map<String, Value>, more: &[&str]) -> Result<Writing, Failure> {
    let mut fields = Fields::top(config);
    fields.skip(&["connection", "url"]);
    fields.skip(OTHERS);
    fields.skip(more);
    let schema = fields.name("schema")?;
    let table = fields.name("table")?.ok_or_else(|| fields.missing("table"))?;
    let (mode, keys) = mode(&mut fields)?;
    let writing = Writing { table: Table::new(schema, table), mode, keys, create: fields.flag("create")?.unwrap_or(false) };
    fields.finish()?;
    Ok(writing)
}

/// What becomes of rows that are there, and the columns by which they are found.
fn mode(fields: &mut Fields<'_>) -> Result<(Mode, Vec<String>), Failure> {
    let keys = fields.names("keys")?;
    let mode = match fields.text("mode")? {
        None if !keys.is_empty() => Mode::Upsert,
        None | Some("append" | "insert") => Mode::Append,
        Some("upsert") => Mode::Upsert,
        Some("overwrite" | "replace") => Mode::Overwrite,
        Some(_) => return Err(fields.wrong("mode", "mode is 'append' (or 'insert'), 'upsert' or 'overwrite' (or 'replace')")),
    };
    if (mode == Mode::Upsert) == keys.is_empty() {
        let message = if keys.is_empty() { "an upsert needs the columns of a unique key" } else { "only an upsert has keys" };
        return Err(fields.wrong("keys", message));
    }
    Ok((mode, keys))
}

/// Columns and their types as a request tells them in a member.
fn told(config: &Map<String, Value>, member: &'static str) -> Result<Columns, Failure> {
    match config.get(member) {
        None | Some(Value::Null) => Ok(Columns::empty()),
        Some(Value::Object(columns)) if columns.len() <= COLUMNS_MAX => json::told(columns, &format!("/{member}")),
        Some(_) => Err(Failure::new(Code::ConnectorConfig, format!("'{member}' is an object of columns and the words of their types"))
            .hint(azora_connect::types::HINT)
            .at(format!("/{member}"))),
    }
}

#[cfg(test)]
mod tests;
