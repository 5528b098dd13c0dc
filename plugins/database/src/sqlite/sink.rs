//! Writing: each partition into a file of the server; the commit moves all of them into the target in one transaction that
//! also writes down that it did.

use super::session::{Server, Session, blocking, classify};
use super::staging::{Stage, Staging};
use crate::cells::{Cell, Cells};
use crate::config::{Mode, Writing};
use crate::error::Error;
use crate::sink::{COMMITS, Staged, check_any, check_keys, no_column, prefix, stage};
use crate::sql::{Dialect, Table};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::max;
use arrow::datatypes::{DataType, Schema, SchemaRef, UInt64Type};
use async_trait::async_trait;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Failure, JobId, milestone};
use rusqlite::types::ToSqlOutput;
use rusqlite::{ToSql, params_from_iter};
use std::sync::Arc;

const DIALECT: Dialect = Dialect::Sqlite;

/// A table that rows go to.
#[derive(Debug, Clone)]
pub(crate) struct SqliteSink {
    server: Server,
    writing: Arc<Writing>,
    staging: Staging,
}

/// What is known of the target: its columns and their declarations, where it is there.
type Target = Option<Vec<(String, String)>>;

impl SqliteSink {
    pub(crate) fn new(server: Server, writing: Writing, staging: Staging) -> Self {
        Self { server, writing: Arc::new(writing), staging }
    }

    /// Whether the table is there; that it is fit, where it is. A file that is not there is made by the commit.
    fn look(&self) -> Result<Target, Failure> {
        check_schema(&self.writing.table)?;
        match self.server.reader() {
            Ok(session) => Ok(self.find(&session)?),
            Err(failure) if self.writing.create && failure.code == azora_spec::Code::PathMissing => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn find(&self, session: &Session) -> Result<Target, Error> {
        let table = &self.writing.table;
        let lost = |error: rusqlite::Error| classify(&session.site, &error, "table", "/table");
        let sql = "SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE";
        let kind = match session.connection.query_row(sql, [&table.name], |row| row.get::<_, String>(0)) {
            Ok(kind) => kind,
            Err(rusqlite::Error::QueryReturnedNoRows) if self.writing.create => return Ok(None),
            Err(rusqlite::Error::QueryReturnedNoRows) => {
                return Err(Error::Missing { site: session.site.clone(), what: "table", name: table.shown(), pointer: "/table" });
            }
            Err(error) => return Err(lost(error)),
        };
        if kind != "table" {
            let message = format!("'{}' is a {kind} and no table", table.shown());
            return Err(Error::Unfit { message, hint: "rows are written to tables", pointer: "/table" });
        }
        if self.writing.mode == Mode::Upsert && !has_key(session, table, &self.writing.keys).map_err(lost)? {
            let message = format!("the table has no unique key of exactly the columns {}", self.writing.keys.join(", ").escape_debug());
            return Err(Error::Unfit { message, hint: "an upsert finds rows by a primary key or a unique index", pointer: "/keys" });
        }
        let mut statement = session.connection.prepare("SELECT name, type FROM pragma_table_info(?1)").map_err(lost)?;
        let columns = statement.query_map([&table.name], |row| Ok((row.get(0)?, row.get(1)?))).map_err(lost)?;
        Ok(Some(columns.collect::<rusqlite::Result<_>>().map_err(lost)?))
    }

    /// The move of all staged rows and the note that it was done, in one transaction.
    fn move_all(&self, session: &Session, schema: &Schema, id: (JobId, u64), staged: &[Staged]) -> Result<(), Error> {
        let (job, epoch) = id;
        let lost = |error: rusqlite::Error| classify(&session.site, &error, "statement", "");
        session.run("BEGIN IMMEDIATE")?;
        let commits = DIALECT.name(COMMITS);
        session.run(&format!(
            "CREATE TABLE IF NOT EXISTS {commits} (job TEXT NOT NULL, epoch INTEGER NOT NULL, rows INTEGER NOT NULL, \
             committed_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (job, epoch))"
        ))?;
        let mark = format!("INSERT OR IGNORE INTO {commits} (job, epoch, rows) VALUES (?1, ?2, ?3)");
        let total: u64 = staged.iter().map(|staged| staged.rows).sum();
        let values = (job.to_string(), epoch.to_string(), i64::try_from(total).unwrap_or(i64::MAX));
        let is_first = session.connection.execute(&mark, values).map_err(lost)? == 1;
        if is_first {
            if self.find(session)?.is_none() {
                session.run(&self.create_sql(schema))?;
            }
            if self.writing.mode == Mode::Overwrite {
                session.run(&format!("DELETE FROM {}", self.writing.table.sql(DIALECT)))?;
            }
            for part in staged {
                self.move_one(session, schema, part)?;
            }
        }
        milestone::pass("rows commit?");
        session.run("COMMIT")?;
        milestone::pass("rows committed");
        Ok(())
    }

    fn move_one(&self, session: &Session, schema: &Schema, part: &Staged) -> Result<(), Error> {
        let lost = |error: rusqlite::Error| match classify(&session.site, &error, "rows", "") {
            Error::Constraint { site, reason, .. } => Error::Constraint { site, table: self.writing.table.shown(), reason },
            other => other,
        };
        let mut insert = session.connection.prepare(&self.insert_sql(schema)).map_err(lost)?;
        let mut rows = 0;
        for batch in self.staging.read(&part.table)? {
            let batch = batch?;
            let cells = Cells::of(&batch)?;
            for row in 0..batch.num_rows() {
                insert.execute(params_from_iter(cells.row(row))).map_err(lost)?;
            }
            rows += batch.num_rows() as u64;
        }
        if rows == part.rows { Ok(()) } else { Err(Error::Staged { site: session.site.clone(), found: rows, want: part.rows }) }
    }

    fn insert_sql(&self, schema: &Schema) -> String {
        let names = || schema.fields().iter().map(|field| field.name());
        let marks = vec!["?"; schema.fields().len()].join(", ");
        let mut sql = format!("INSERT INTO {} ({}) VALUES ({marks})", self.writing.table.sql(DIALECT), DIALECT.names(names()));
        if self.writing.mode == Mode::Upsert {
            let sets: Vec<String> = names().map(|name| format!("{0} = excluded.{0}", DIALECT.name(name))).collect();
            sql.push_str(&format!(" ON CONFLICT ({}) DO UPDATE SET {}", DIALECT.names(&self.writing.keys), sets.join(", ")));
        }
        sql
    }

    fn create_sql(&self, schema: &Schema) -> String {
        let column = |field: &Arc<arrow::datatypes::Field>| format!("{} {}", DIALECT.name(field.name()), declaration(field.data_type()));
        let columns = schema.fields().iter().map(column).collect::<Vec<_>>().join(", ");
        let keys = &self.writing.keys;
        let key = if keys.is_empty() { String::new() } else { format!(", PRIMARY KEY ({})", DIALECT.names(keys)) };
        format!("CREATE TABLE {} ({columns}{key})", self.writing.table.sql(DIALECT))
    }

    /// That the target has a column for each of the rows', of a type that takes it.
    fn check_columns(&self, target: &[(String, String)], schema: &Schema) -> Result<(), Error> {
        for field in schema.fields() {
            let Some((_, declared)) = target.iter().find(|(name, _)| name.eq_ignore_ascii_case(field.name())) else {
                return Err(no_column(&self.server.site, &self.writing.table, field.name()));
            };
            if !takes(declared, field.data_type()) {
                let (table, shown) = (self.writing.table.shown(), field.name().escape_debug());
                let reason = format!("'{table}' has a column '{shown}' of type {declared}, which does not take {}", field.data_type());
                return Err(Error::Columns { site: self.server.site.clone(), reason });
            }
        }
        Ok(())
    }
}

/// Other schemas than the file's own are those of attached files, and none is attached.
pub(super) fn check_schema(table: &Table) -> Result<(), Error> {
    match &table.schema {
        Some(schema) if !schema.eq_ignore_ascii_case("main") => {
            let message = format!("a SQLite database has no schema '{}'", schema.escape_debug());
            Err(Error::Unfit { message, hint: "a table whose name has a dot wants 'schema': 'main' beside it", pointer: "/schema" })
        }
        _ => Ok(()),
    }
}

/// Whether a unique index without a condition has exactly these columns. A table's integer key has none of its own.
fn has_key(session: &Session, table: &Table, keys: &[String]) -> rusqlite::Result<bool> {
    let mut wanted: Vec<String> = keys.iter().map(|key| key.to_lowercase()).collect();
    wanted.sort_unstable();
    let columns = |sql: &str, name: &str| -> rusqlite::Result<Vec<String>> {
        let mut statement = session.connection.prepare(sql)?;
        let names = statement.query_map([name], |row| row.get::<_, Option<String>>(0))?;
        let mut names: Vec<String> = names.map(|name| Ok(name?.unwrap_or_default().to_lowercase())).collect::<rusqlite::Result<_>>()?;
        names.sort_unstable();
        Ok(names)
    };
    if columns("SELECT name FROM pragma_table_info(?1) WHERE pk > 0", &table.name)? == wanted {
        return Ok(true);
    }
    let mut statement = session.connection.prepare("SELECT name FROM pragma_index_list(?1) WHERE \"unique\" AND NOT partial")?;
    let indexes = statement.query_map([&table.name], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    for index in indexes {
        if columns("SELECT name FROM pragma_index_info(?1)", &index)? == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

#[async_trait]
impl Sink for SqliteSink {
    async fn check(&self) -> Result<(), Failure> {
        let sink = self.clone();
        blocking(move || sink.look().map(|_| ())).await
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let sink = self.clone();
        blocking(move || {
            check_any(&sink.server.site, &schema)?;
            if let Some(columns) = sink.look()? {
                sink.check_columns(&columns, &schema)?;
            }
            let name = stage(id);
            let file = sink.staging.create(&name, &schema)?;
            Ok(Box::new(SqliteWriter { file, name, keys: sink.writing.keys.clone() }) as Box<dyn Writer>)
        })
        .await
    }

    async fn commit(&self, job: JobId, epoch: u64, schema: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let staged = Staged::read(tokens, job, epoch)?;
        let rows = staged.iter().map(|staged| staged.rows).sum();
        let sink = self.clone();
        blocking(move || {
            let session = sink.server.writer(sink.writing.create)?;
            // A connection that is dropped before its COMMIT has done nothing.
            sink.move_all(&session, &schema, (job, epoch), &staged)?;
            sink.staging.remove(&prefix(job, epoch))?;
            Ok(())
        })
        .await?;
        let output = format!("sqlite://{}/{}", self.server.place.path, self.writing.table.shown());
        Ok(Receipt { rows, bytes: 0, outputs: vec![output] })
    }

    async fn abort(&self, job: JobId, epoch: u64, _: &[Token]) -> Result<(), Failure> {
        let staging = self.staging.clone();
        blocking(move || Ok(staging.remove(&prefix(job, epoch))?)).await
    }
}

/// One partition on its way into its file.
#[derive(Debug)]
struct SqliteWriter {
    file: Stage,
    name: String,
    keys: Vec<String>,
}

#[async_trait]
impl Writer for SqliteWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        check_keys(&batch, &self.keys)?;
        check_sizes(&batch)?;
        Ok(self.file.write(&batch)?)
    }

    async fn prepare(self: Box<Self>) -> Result<Token, Failure> {
        let Self { file, name, .. } = *self;
        blocking(move || Ok(Staged { table: name, rows: file.finish()? }.token()?)).await
    }
}

/// Refuses whole numbers that SQLite would round.
fn check_sizes(batch: &RecordBatch) -> Result<(), Error> {
    let schema = batch.schema();
    for (column, field) in batch.columns().iter().zip(schema.fields()) {
        let most = column.as_primitive_opt::<UInt64Type>().and_then(max);
        if let Some(most) = most.filter(|most| i64::try_from(*most).is_err()) {
            let place = format!("column '{}'", field.name().escape_debug());
            return Err(Error::Value { place, reason: format!("SQLite holds no {most}") });
        }
    }
    Ok(())
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Null => Ok(ToSqlOutput::Owned(rusqlite::types::Value::Null)),
            Self::Int(number) => Ok(ToSqlOutput::Owned((*number).into())),
            Self::Float(number) => Ok(ToSqlOutput::Owned((*number).into())),
            Self::Text(text) => Ok(ToSqlOutput::Borrowed(text.as_str().into())),
            Self::Bytes(bytes) => Ok(ToSqlOutput::Borrowed(bytes.as_slice().into())),
        }
    }
}

/// The type of a column that is made for rows, chosen so that the file keeps every digit and a source reads the same again.
fn declaration(of: &DataType) -> String {
    match of {
        DataType::Boolean => "BOOLEAN".to_owned(),
        of if of.is_integer() => "INTEGER".to_owned(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "REAL".to_owned(),
        // A column called DECIMAL would make binary fractions of the texts.
        DataType::Decimal128(precision, scale) if *scale >= 0 => format!("DECIMAL_TEXT({precision},{scale})"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "BLOB".to_owned(),
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".to_owned(),
        DataType::Timestamp(_, None) => "DATETIME".to_owned(),
        DataType::Dictionary(_, value) => declaration(value),
        of if of.is_nested() => "JSON_TEXT".to_owned(),
        _ => "TEXT".to_owned(),
    }
}

/// Whether a column of a declared type keeps values of a type as they are, by SQLite's rules of affinity.
fn takes(declared: &str, of: &DataType) -> bool {
    let upper = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| upper.contains(word));
    let is_number = has(&["INT", "REAL", "FLOA", "DOUB", "BOOL"]);
    let is_text = !is_number && has(&["CHAR", "CLOB", "TEXT"]);
    match of {
        DataType::Dictionary(_, value) => takes(declared, value),
        DataType::Null => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => !is_number && !is_text,
        DataType::Boolean => true,
        // A fraction in a column of whole numbers would be a misfit for every reader.
        of if of.is_floating() => !has(&["INT", "BOOL"]),
        of if of.is_numeric() => true,
        _ => !is_number,
    }
}

#[cfg(test)]
mod tests {
    use super::{declaration, takes};
    use arrow::datatypes::DataType;

    #[test]
    fn what_is_made_takes_what_it_was_made_for() {
        for of in [
            DataType::Boolean,
            DataType::UInt8,
            DataType::Float32,
            DataType::Decimal128(30, 4),
            DataType::Binary,
            DataType::Date32,
            DataType::Utf8,
        ] {
            assert!(takes(&declaration(&of), &of), "{of}");
        }
    }

    #[test]
    fn texts_are_not_numbers() {
        for (declared, of, expect) in [
            ("INTEGER", DataType::Utf8, false),
            ("INTEGER", DataType::Float64, false),
            ("REAL", DataType::Int64, true),
            ("TEXT", DataType::Binary, false),
            ("", DataType::Utf8, true),
            ("NUMERIC", DataType::Utf8, true),
        ] {
            assert_eq!(takes(declared, &of), expect, "{declared} {of}");
        }
    }
}
