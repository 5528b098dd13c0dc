//! Writing: each partition into a staging table of its own; the commit moves all of them into the target in one
//! transaction that also writes down that it did. Statements that make or drop tables end transactions here, so staging
//! tables are made before and dropped after it.

use super::session::{Session, classify};
use crate::cells::{Cell, Cells};
use crate::config::{Mode, Writing};
use crate::dial::Server;
use crate::error::Error;
use crate::sink::{COMMITS, Staged, check_any, check_keys, no_column, prefix, stage};
use crate::sql::Dialect;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Failure, JobId, milestone};
use mysql_async::Value;
use mysql_async::prelude::Queryable;

const DIALECT: Dialect = Dialect::MySql;
/// Most placeholders of one statement that the protocol takes.
const PLACEHOLDERS_MAX: usize = 65_535;
/// Most rows of one statement.
const ROWS_MAX: usize = 1000;
/// About the most bytes of one statement; servers take at least 16 MiB.
const BYTES_MAX: usize = 4 << 20;
/// The order of rows in a staging table.
const ORDER: &str = "azora_row";

/// A table that rows go to.
#[derive(Debug)]
pub(crate) struct MySqlSink {
    server: Server,
    writing: Writing,
}

impl MySqlSink {
    pub(crate) const fn new(server: Server, writing: Writing) -> Self {
        Self { server, writing }
    }

    /// Whether the table is there; that it is fit, where it is.
    async fn find(&self, session: &mut Session) -> Result<Option<Vec<String>>, Error> {
        let table = &self.writing.table;
        let place = vec![table.schema.clone().unwrap_or_default(), table.name.clone()];
        let sql = "SELECT COALESCE(engine, '') FROM information_schema.tables \
                   WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ?";
        let rows = session.rows(sql, place.clone()).await?;
        let Some(row) = rows.first() else {
            if self.writing.create {
                return Ok(None);
            }
            return Err(Error::Missing { site: session.site.clone(), what: "table", name: table.shown(), pointer: "/table" });
        };
        if !row.get::<String, _>(0).is_some_and(|engine| engine.eq_ignore_ascii_case("InnoDB")) {
            let message = format!("'{}' is not a table of the engine InnoDB", table.shown());
            return Err(Error::Unfit { message, hint: "only InnoDB can write all rows or none", pointer: "/table" });
        }
        if self.writing.mode == Mode::Upsert {
            self.check_keys(session, place.clone()).await?;
        }
        let sql = "SELECT column_name FROM information_schema.columns \
                   WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ?";
        Ok(Some(session.rows(sql, place).await?.iter().filter_map(|row| row.get::<String, _>(0)).collect()))
    }

    async fn check_keys(&self, session: &mut Session, place: Vec<String>) -> Result<(), Error> {
        let sql = "SELECT index_name, column_name FROM information_schema.statistics \
                   WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? AND non_unique = 0 ORDER BY index_name";
        let lower = |names: Vec<String>| {
            let mut names: Vec<String> = names.into_iter().map(|name| name.to_lowercase()).collect();
            names.sort_unstable();
            names
        };
        let mut indexes: Vec<(String, Vec<String>)> = Vec::new();
        for row in session.rows(sql, place).await? {
            let (Some(index), Some(column)) = (row.get::<String, _>(0), row.get::<String, _>(1)) else { continue };
            match indexes.last_mut().filter(|(last, _)| *last == index) {
                Some((_, columns)) => columns.push(column),
                None => indexes.push((index, vec![column])),
            }
        }
        let keys = lower(self.writing.keys.clone());
        if indexes.into_iter().any(|(_, columns)| lower(columns) == keys) {
            return Ok(());
        }
        let message = format!("the table has no unique key of exactly the columns {}", self.writing.keys.join(", ").escape_debug());
        Err(Error::Unfit { message, hint: "an upsert finds rows by a primary key or a unique index", pointer: "/keys" })
    }

    fn create_sql(&self, schema: &Schema) -> String {
        let keys = &self.writing.keys;
        let key = if keys.is_empty() { String::new() } else { format!(", PRIMARY KEY ({})", DIALECT.names(keys)) };
        let table = self.writing.table.sql(DIALECT);
        format!("CREATE TABLE IF NOT EXISTS {table} ({}{key}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4", definitions(schema, keys))
    }

    fn move_sql(&self, stage: &str, names: &str, schema: &Schema) -> String {
        let target = self.writing.table.sql(DIALECT);
        let stage = self.writing.table.beside(stage).sql(DIALECT);
        let mut sql = format!("INSERT INTO {target} ({names}) SELECT {names} FROM {stage} ORDER BY {ORDER}");
        if self.writing.mode == Mode::Upsert {
            let all = schema.fields().iter().map(|field| DIALECT.name(field.name()));
            let sets: Vec<String> = all.map(|name| format!("{name} = VALUES({name})")).collect();
            sql.push_str(&format!(" ON DUPLICATE KEY UPDATE {}", sets.join(", ")));
        }
        sql
    }

    async fn drop_stages(&self, session: &mut Session, prefix: &str) -> Result<(), Error> {
        let sql = "SELECT table_name FROM information_schema.tables \
                   WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND LEFT(table_name, CHAR_LENGTH(?)) = ?";
        let schema = self.writing.table.schema.clone().unwrap_or_default();
        let rows = session.rows(sql, vec![schema, prefix.to_owned(), prefix.to_owned()]).await?;
        for name in rows.iter().filter_map(|row| row.get::<String, _>(0)) {
            session.run(&format!("DROP TABLE IF EXISTS {}", self.writing.table.beside(&name).sql(DIALECT))).await?;
        }
        Ok(())
    }

    async fn move_all(&self, session: &mut Session, schema: &Schema, staged: &[Staged]) -> Result<(), Error> {
        if self.writing.mode == Mode::Overwrite {
            session.run(&format!("DELETE FROM {}", self.writing.table.sql(DIALECT))).await?;
        }
        let names = DIALECT.names(schema.fields().iter().map(|field| field.name()));
        for part in staged {
            let moved = session.change(&self.move_sql(&part.table, &names, schema)).await?;
            if self.writing.mode != Mode::Upsert && moved != part.rows {
                return Err(Error::Staged { site: session.site.clone(), found: moved, want: part.rows });
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Sink for MySqlSink {
    async fn check(&self) -> Result<(), Failure> {
        let mut session = Session::open(&self.server).await?;
        self.find(&mut session).await?;
        Ok(())
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let mut session = Session::open(&self.server).await?;
        let columns = self.find(&mut session).await?;
        check_any(&session.site, &schema)?;
        let table = &self.writing.table;
        let name = stage(id);
        let staging = table.beside(&name).sql(DIALECT);
        let names = DIALECT.names(schema.fields().iter().map(|field| field.name()));
        let make = match columns {
            Some(columns) => {
                let is_known = |name: &String| columns.iter().any(|column| column.to_lowercase() == name.to_lowercase());
                if let Some(field) = schema.fields().iter().find(|field| !is_known(field.name())) {
                    return Err(no_column(&session.site, table, field.name()).into());
                }
                format!(
                    "CREATE TABLE {staging} ({ORDER} BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB \
                     AS SELECT {names} FROM {} LIMIT 0",
                    table.sql(DIALECT)
                )
            }
            None => format!(
                "CREATE TABLE {staging} ({ORDER} BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, {}) ENGINE=InnoDB \
                 DEFAULT CHARSET=utf8mb4",
                definitions(&schema, &self.writing.keys)
            ),
        };
        session.run(&format!("DROP TABLE IF EXISTS {staging}")).await?;
        session.run(&make).await?;
        session.run("START TRANSACTION").await?;
        let insert = format!("INSERT INTO {staging} ({names}) VALUES ");
        let keys = self.writing.keys.clone();
        Ok(Box::new(MySqlWriter { session, stage: name, insert, keys, width: schema.fields().len(), rows: 0 }))
    }

    async fn commit(&self, job: JobId, epoch: u64, schema: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let staged = Staged::read(tokens, job, epoch)?;
        let total: u64 = staged.iter().map(|staged| staged.rows).sum();
        let mut session = Session::open(&self.server).await?;
        let commits = self.writing.table.beside(COMMITS).sql(DIALECT);
        session
            .run(&format!(
                "CREATE TABLE IF NOT EXISTS {commits} (job CHAR(36) NOT NULL, epoch BIGINT UNSIGNED NOT NULL, `rows` BIGINT UNSIGNED \
                 NOT NULL, committed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (job, epoch)) ENGINE=InnoDB"
            ))
            .await?;
        if self.find(&mut session).await?.is_none() {
            session.run(&self.create_sql(&schema)).await?;
        }
        session.run("START TRANSACTION").await?;
        let mark = format!("INSERT IGNORE INTO {commits} (job, epoch, `rows`) VALUES ('{job}', {epoch}, {total})");
        if session.change(&mark).await? == 1 {
            let moved = self.move_all(&mut session, &schema, &staged).await;
            moved.map_err(|error| error.of_table(&self.writing.table.shown()))?;
        }
        milestone::pass("rows commit?");
        session.run("COMMIT").await?;
        milestone::pass("rows committed");
        self.drop_stages(&mut session, &prefix(job, epoch)).await?;
        let connection = &self.server.connection;
        let output = format!("mysql://{}:{}/{}/{}", connection.host, connection.port, connection.database, self.writing.table.shown());
        Ok(Receipt { rows: total, bytes: 0, outputs: vec![output] })
    }

    async fn abort(&self, job: JobId, epoch: u64, _: &[Token]) -> Result<(), Failure> {
        let mut session = Session::open(&self.server).await?;
        Ok(self.drop_stages(&mut session, &prefix(job, epoch)).await?)
    }
}

/// One partition on its way into its staging table, in one transaction.
#[derive(Debug)]
struct MySqlWriter {
    session: Session,
    stage: String,
    insert: String,
    keys: Vec<String>,
    width: usize,
    rows: u64,
}

#[async_trait]
impl Writer for MySqlWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        check_keys(&batch, &self.keys)?;
        let cells = Cells::of(&batch)?;
        let rows_max = (PLACEHOLDERS_MAX / self.width.max(1)).clamp(1, ROWS_MAX);
        let (mut values, mut rows, mut bytes) = (Vec::new(), 0, 0);
        for row in 0..batch.num_rows() {
            for cell in cells.row(row) {
                let (value, size) = plain(cell)?;
                bytes += size;
                values.push(value);
            }
            rows += 1;
            if rows == rows_max || bytes >= BYTES_MAX {
                self.send(std::mem::take(&mut values), rows).await?;
                (rows, bytes) = (0, 0);
            }
        }
        if rows > 0 {
            self.send(values, rows).await?;
        }
        Ok(())
    }

    async fn prepare(mut self: Box<Self>) -> Result<Token, Failure> {
        self.session.run("COMMIT").await?;
        Ok(Staged { table: self.stage.clone(), rows: self.rows }.token()?)
    }
}

impl MySqlWriter {
    async fn send(&mut self, values: Vec<Value>, rows: usize) -> Result<(), Error> {
        let one = format!("({})", vec!["?"; self.width].join(", "));
        let sql = format!("{}{}", self.insert, vec![one; rows].join(", "));
        let site = self.session.site.clone();
        self.session.conn.exec_drop(sql, values).await.map_err(|error| classify(&site, &error, "rows", ""))?;
        self.rows += rows as u64;
        Ok(())
    }
}

/// A value for the driver, and about its bytes.
fn plain(cell: Cell) -> Result<(Value, usize), Error> {
    Ok(match cell {
        Cell::Null => (Value::NULL, 1),
        Cell::Int(number) => (Value::Int(number), 8),
        Cell::Float(number) if !number.is_finite() => {
            return Err(Error::Value { place: "a number".to_owned(), reason: format!("MySQL holds no {number}") });
        }
        Cell::Float(number) => (Value::Double(number), 8),
        Cell::Text(text) => {
            let size = text.len();
            (Value::Bytes(text.into_bytes()), size)
        }
        Cell::Bytes(bytes) => {
            let size = bytes.len();
            (Value::Bytes(bytes), size)
        }
    })
}

fn definitions(schema: &Schema, keys: &[String]) -> String {
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        format!("{} {}", DIALECT.name(field.name()), sql_type(field.data_type(), keys.contains(field.name())))
    };
    schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
}

/// The type of a column that is made for rows. A key's text has a length, as an index needs it.
fn sql_type(of: &DataType, is_key: bool) -> String {
    match of {
        DataType::Boolean => "TINYINT(1)".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "SMALLINT".to_owned(),
        DataType::Int32 | DataType::UInt16 => "INT".to_owned(),
        DataType::Int64 | DataType::UInt32 => "BIGINT".to_owned(),
        DataType::UInt64 => "BIGINT UNSIGNED".to_owned(),
        DataType::Float16 | DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) if *scale >= 0 => format!("DECIMAL({precision},{scale})"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "LONGBLOB".to_owned(),
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME(6)".to_owned(),
        // Not TIMESTAMP, which ends in 2038.
        DataType::Timestamp(..) => "DATETIME(6)".to_owned(),
        DataType::Dictionary(_, value) => sql_type(value, is_key),
        other if other.is_nested() => "JSON".to_owned(),
        _ if is_key => "VARCHAR(255)".to_owned(),
        _ => "LONGTEXT".to_owned(),
    }
}
