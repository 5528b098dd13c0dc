//! Reading: the columns of a table or query, its splits, and a thread that turns rows into columns as they are wanted.
//!
//! Every split is read in its own snapshot of the file.

use super::column::Column;
use super::kind::{Fitted, Kind, Seen};
use super::session::{Server, Session, blocking, classify};
use crate::config::{Reading, What};
use crate::error::Error;
use crate::source::{Bound, Part, Place, ranges, share};
use crate::sql::{Dialect, Select, Table, condition, trimmed};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Fields, SchemaRef};
use arrow::temporal_conversions::date32_to_datetime;
use async_trait::async_trait;
use azora_connect::element::Element;
use azora_connect::json::{SAMPLE_BYTES_MAX, SAMPLE_ROWS};
use azora_connect::{Condition, Constant, Outcome, Position, ReadRequest, Reader, Source, Split};
use azora_spec::Failure;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

const DIALECT: Dialect = Dialect::Sqlite;
/// Batches that a reader may be ahead.
const AHEAD_BATCHES: usize = 1;
/// The names of a row's number, of which columns may hide some.
const ROW_NUMBERS: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// A table or a query.
#[derive(Debug)]
pub(crate) struct SqliteSource {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: Server,
    reading: Reading,
    /// Name and declaration of every column, to notice when they change.
    declared: Vec<(String, String)>,
    kinds: Vec<Kind>,
    schema: SchemaRef,
    partition: Option<Partition>,
    /// The name of the number of a table's rows.
    row_number: Option<&'static str>,
}

/// The column by which rows are cut.
#[derive(Debug, Clone)]
struct Partition {
    name: String,
    /// The number of a row: unique and never null, so that rows are read in its order and can be continued.
    is_key: bool,
}

impl SqliteSource {
    /// Looks into the file for the columns.
    pub(crate) async fn connect(server: Server, reading: Reading, told: Fields) -> Result<Self, Failure> {
        let shared = blocking(move || Shared::connect(server, reading, &told)).await?;
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    fn connect(server: Server, reading: Reading, told: &Fields) -> Result<Self, Failure> {
        let session = server.reader()?;
        let mut row_number = None;
        if let What::Table(table) = &reading.what {
            row_number = find(&session, table)?;
        }
        let declared = describe(&session, &reading)?;
        let mut names = BTreeSet::new();
        if let Some((twice, _)) = declared.iter().find(|(name, _)| !names.insert(name.as_str())) {
            let message = format!("the query gives two columns '{}'", twice.escape_debug());
            return Err(Error::Unfit { message, hint: "name them apart with AS", pointer: "/query" }.into());
        }
        if let Some(field) = told.iter().find(|field| !names.contains(field.name().as_str())) {
            let message = format!("'types' names the column '{}', which is not read", field.name().escape_debug());
            return Err(Error::Unfit { message, hint: "", pointer: "/types" }.into());
        }
        let (fields, kinds): (Vec<Field>, Vec<Kind>) = kinds(&session, &reading, &declared, told)?.into_iter().unzip();
        let partition = match (&reading.partition_column, row_number) {
            (Some(name), number) => {
                let list = DIALECT.name(name);
                let sql = Select { list, from: from(&reading.what), ..Select::default() }.sql(DIALECT);
                prepared(&session, &sql, "partition column", "/partitionColumn")?;
                let is_key = number.is_some() && ROW_NUMBERS.iter().any(|known| name.eq_ignore_ascii_case(known));
                Some(Partition { name: name.clone(), is_key })
            }
            (None, Some(number)) => Some(Partition { name: number.to_owned(), is_key: true }),
            (None, None) => None,
        };
        Ok(Self { server, reading, declared, kinds, schema: Element::Object.schema(fields), partition, row_number })
    }

    fn cut(&self, partition: &Partition, parallelism: usize) -> Result<Vec<Part>, Failure> {
        let session = self.server.reader()?;
        let name = DIALECT.name(&partition.name);
        let list = format!("min({name}), max({name})");
        let conditions = self.reading.filter.iter().map(|filter| filter.to_string()).collect();
        let sql = Select { list, from: from(&self.reading.what), conditions, ..Select::default() }.sql(DIALECT);
        let blame = |error: &rusqlite::Error| classify(&session.site, error, "partition column", "/partitionColumn");
        let ends = session.connection.query_row(&sql, [], |row| Ok((End::of(row.get_ref(0)?), End::of(row.get_ref(1)?))));
        match ends.map_err(|error| blame(&error))? {
            (End::None, End::None) => Ok(vec![Part::Range { from: None, to: None, nulls: true }]),
            (End::Number(min), End::Number(max)) => Ok(ranges(min.into(), max.into(), parallelism, |at| Bound::new(&at.to_string()))?),
            (End::Day(min), End::Day(max)) => Ok(ranges(min.into(), max.into(), parallelism, day)?),
            _ => {
                let message = format!(
                    "rows cannot be cut by '{}': its least and greatest values are no numbers or dates",
                    partition.name.escape_debug()
                );
                let hint = "a partition column holds whole numbers, or dates and timestamps as texts (YYYY-MM-DD)";
                Err(Error::Unfit { message, hint, pointer: "/partitionColumn" }.into())
            }
        }
    }

    /// The rows of a part behind a place. The number of the row, where it has one, comes as a last column.
    fn select(&self, part: &Part, place: &Place, names: &[String], conditions: &[Condition]) -> Result<(String, bool), Error> {
        let mut list: Vec<String> = names.iter().map(|name| DIALECT.name(name)).collect();
        let mut select = Select { from: from(&self.reading.what), ..Select::default() };
        select.conditions.extend(self.reading.filter.clone());
        // Dates, times and truth are whatever the writer made of them; numbers are compared as such.
        let is_fit = |condition: &Condition| matches!(condition.value, Constant::Integer(_) | Constant::Float(_));
        select.conditions.extend(DIALECT.conditions(&self.schema, conditions, is_fit));
        let partition = self.partition.as_ref();
        select.conditions.extend(condition(DIALECT, part, partition.map(|partition| partition.name.as_str()))?);
        let is_key = partition.is_some_and(|partition| partition.is_key);
        if let Some(number) = self.row_number {
            list.push(format!("{number} AS \"azora key\""));
            if is_key {
                select.conditions.extend(place.key.as_ref().map(|last| format!("{number} > {}", DIALECT.bound(last))));
                select.order = Some(number.to_owned());
            }
        }
        if list.is_empty() {
            list.push("1".to_owned());
        }
        select.skip = if is_key && place.key.is_some() { 0 } else { place.rows };
        select.list = list.join(", ");
        Ok((select.sql(DIALECT), is_key))
    }
}

/// One end of a partition column's values.
enum End {
    None,
    Number(i64),
    Day(i32),
    Other,
}

impl End {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::None,
            ValueRef::Integer(number) => Self::Number(number),
            // Texts are compared as texts, so the day of a timestamp is as good a cut as any.
            ValueRef::Text(text) => match text.get(..10).map(|day| Kind::Date.fit(ValueRef::Text(day))) {
                Some(Ok(Fitted::Int(day))) => i32::try_from(day).map_or(Self::Other, Self::Day),
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

fn day(at: i128) -> Result<Bound, Error> {
    let date = i32::try_from(at).ok().and_then(date32_to_datetime).ok_or(Error::Broken("a date in range"))?;
    Bound::new(&date.format("%Y-%m-%d").to_string())
}

fn from(what: &What) -> String {
    match what {
        What::Table(table) => table.sql(DIALECT),
        What::Query(query) => format!("({}\n) AS q", trimmed(query)),
    }
}

/// That a table is there, and how the number of its rows is called, if they have one.
fn find(session: &Session, table: &Table) -> Result<Option<&'static str>, Failure> {
    super::sink::check_schema(table)?;
    let lost = |error: &rusqlite::Error| classify(&session.site, error, "table", "/table");
    let sql = "SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE";
    let found = session.connection.query_row(sql, [&table.name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)));
    let (kind, is_without) = match found {
        Ok(found) => found,
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            return Err(Error::Missing { site: session.site.clone(), what: "table", name: table.shown(), pointer: "/table" }.into());
        }
        Err(error) => return Err(lost(&error).into()),
    };
    if kind != "table" || is_without {
        return Ok(None);
    }
    let sql = "SELECT count(*) FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE";
    for number in ROW_NUMBERS {
        let hidden: i64 =
            session.connection.query_row(sql, [table.name.as_str(), number], |row| row.get(0)).map_err(|error| lost(&error))?;
        if hidden == 0 {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Names and declarations of a statement's columns.
fn prepared(session: &Session, sql: &str, what: &'static str, pointer: &'static str) -> Result<Vec<(String, String)>, Error> {
    let statement = session.connection.prepare(sql).map_err(|error| classify(&session.site, &error, what, pointer))?;
    if !statement.readonly() {
        let reason = "a source only reads".to_owned();
        return Err(Error::Refused { site: session.site.clone(), what, reason, pointer });
    }
    Ok(statement.columns().map(|column| (column.name().to_owned(), column.decl_type().unwrap_or_default().to_owned())).collect())
}

/// The columns of what is read. SQLite parses the query and the filter alone here, before they are put together.
fn describe(session: &Session, reading: &Reading) -> Result<Vec<(String, String)>, Error> {
    let pointer = reading.what.pointer();
    if let What::Query(query) = &reading.what {
        prepared(session, query, "query", pointer)?;
    }
    let list = if reading.columns.is_empty() { "*".to_owned() } else { DIALECT.names(&reading.columns) };
    let mut select = Select { list, from: from(&reading.what), ..Select::default() };
    let blamed = if reading.columns.is_empty() { pointer } else { "/columns" };
    let columns = prepared(session, &select.sql(DIALECT), "columns", blamed)?;
    if let Some(filter) = &reading.filter {
        select.conditions.push(filter.clone());
        prepared(session, &select.sql(DIALECT), "filter", "/filter")?;
    }
    Ok(columns)
}

/// Field and kind of every column: told, declared, or of a sample of the first rows.
fn kinds(session: &Session, reading: &Reading, declared: &[(String, String)], told: &Fields) -> Result<Vec<(Field, Kind)>, Error> {
    let known: Vec<Option<(Field, Kind)>> = declared
        .iter()
        .map(|(name, declaration)| match told.find(name) {
            Some((_, field)) => Some((field.as_ref().clone(), Kind::told(field))),
            None => Kind::declared(name, declaration),
        })
        .collect();
    let is_told = |name: &str| told.find(name).is_some();
    let is_sure = |kind: &Kind| matches!(kind, Kind::Int(..) | Kind::Float | Kind::Text | Kind::Bytes);
    let mut seen = vec![Seen::default(); declared.len()];
    if !known.iter().zip(declared).all(|(known, (name, _))| is_told(name) || known.as_ref().is_some_and(|(_, kind)| is_sure(kind))) {
        sample(session, reading, declared, &known, &mut seen)?;
    }
    let chosen = known.into_iter().zip(&seen).zip(declared).map(|((known, seen), (name, _))| match known {
        Some((_, kind)) if !is_told(name) && seen.denies(&kind) => seen.kind(name),
        Some(known) => known,
        None => seen.kind(name),
    });
    Ok(chosen.collect())
}

fn sample(
    session: &Session,
    reading: &Reading,
    declared: &[(String, String)],
    known: &[Option<(Field, Kind)>],
    seen: &mut [Seen],
) -> Result<(), Error> {
    let list = DIALECT.names(declared.iter().map(|(name, _)| name));
    let conditions = reading.filter.iter().cloned().collect();
    let sql = Select { list, from: from(&reading.what), conditions, ..Select::default() }.sql(DIALECT);
    let lost = |error: rusqlite::Error| classify(&session.site, &error, "query", reading.what.pointer());
    let mut statement = session.connection.prepare(&sql).map_err(lost)?;
    let mut rows = statement.query([]).map_err(lost)?;
    let mut bytes = 0;
    for _ in 0..SAMPLE_ROWS {
        let Some(row) = rows.next().map_err(lost)? else { break };
        for (at, (seen, known)) in seen.iter_mut().zip(known).enumerate() {
            let value = row.get_ref(at).map_err(lost)?;
            bytes += if let ValueRef::Text(some) | ValueRef::Blob(some) = value { some.len() } else { 8 };
            seen.look(known.as_ref().map(|(_, kind)| kind), value);
        }
        if bytes > SAMPLE_BYTES_MAX {
            break;
        }
    }
    Ok(())
}

#[async_trait]
impl Source for SqliteSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shared.schema)
    }

    fn takes_conditions(&self) -> bool {
        true
    }

    async fn plan(&self, parallelism: usize) -> Result<Vec<Split>, Failure> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let parts = match &shared.partition {
                None => vec![Part::All],
                Some(partition) => shared.cut(partition, parallelism)?,
            };
            let rows = share(None, parts.len());
            Ok(parts.iter().map(|part| part.split(rows)).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn open(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let (part, place) = (Part::read(split)?, Place::read(position)?);
        if matches!(part, Part::Blocks { .. }) {
            return Err(Error::Foreign("split").into());
        }
        let shared = Arc::clone(&self.shared);
        let broken = || Error::Broken("a projected column");
        let picked = request.projection.clone().unwrap_or_else(|| (0..shared.kinds.len()).collect());
        let schema = Arc::new(shared.schema.project(&picked).map_err(|_| broken())?);
        let pick = |at: &usize| Some((shared.declared.get(*at)?.0.clone(), shared.kinds.get(*at)?.clone()));
        let (names, kinds) = picked.iter().map(pick).collect::<Option<(Vec<_>, Vec<_>)>>().ok_or_else(broken)?;
        let (sql, has_key) = shared.select(&part, &place, &names, &request.conditions)?;
        let session = {
            let shared = Arc::clone(&shared);
            blocking(move || shared.snapshot()).await?
        };
        let is_stopped = Arc::clone(&session.is_stopped);
        let (sender, batches) = mpsc::channel(AHEAD_BATCHES);
        let pump = Pump { session, shared, names, kinds, has_key, place, request, schema };
        tokio::task::spawn_blocking(move || pump.run(&sql, &sender));
        Ok(Box::new(SqliteReader { batches, is_stopped, is_ended: false }))
    }
}

impl Shared {
    /// A session that sees one state of the file, with the columns that were planned with.
    fn snapshot(&self) -> Result<Session, Failure> {
        let session = self.server.reader()?;
        session.run("BEGIN")?;
        if describe(&session, &self.reading)? != self.declared {
            let message = format!("the columns of what is read from {} have changed since the job was planned", session.site);
            return Err(Error::Unfit { message, hint: "send the job again", pointer: self.reading.what.pointer() }.into());
        }
        Ok(session)
    }
}

enum Sent {
    Batch(RecordBatch, Position),
    Failed(Failure),
    End,
}

/// Reads rows and sends them on as batches, no faster than they are taken.
struct Pump {
    session: Session,
    shared: Arc<Shared>,
    names: Vec<String>,
    kinds: Vec<Kind>,
    has_key: bool,
    place: Place,
    request: ReadRequest,
    schema: SchemaRef,
}

impl Pump {
    fn run(mut self, sql: &str, sender: &mpsc::Sender<Sent>) {
        let last = match self.pump(sql, sender) {
            Ok(()) => Sent::End,
            Err(failure) => Sent::Failed(failure),
        };
        // Nobody waits for it where the reader is gone.
        sender.blocking_send(last).ok();
    }

    fn pump(&mut self, sql: &str, sender: &mpsc::Sender<Sent>) -> Result<(), Failure> {
        let Self { session, shared, names, kinds, has_key, place, request, schema } = self;
        let lost = |error: rusqlite::Error| classify(&session.site, &error, "query", shared.reading.what.pointer());
        let mut statement = session.connection.prepare(sql).map_err(lost)?;
        let mut from = statement.query([]).map_err(lost)?;
        let mut columns: Vec<Column> = schema.fields().iter().map(|field| Column::new(field)).collect();
        let (mut rows, mut bytes, mut read) = (0, 0, 0);
        loop {
            let row = from.next().map_err(lost)?;
            let is_last = row.is_none();
            if let Some(row) = row {
                read += 1;
                let number = shared.row_number.and_then(|_| row.get_ref(names.len()).ok()?.as_i64().ok());
                match fitted(row, names, kinds) {
                    Ok(values) => {
                        for (column, value) in columns.iter_mut().zip(values) {
                            bytes += column.push(value)?;
                        }
                        rows += 1;
                    }
                    Err(reason) => {
                        let number =
                            number.map_or_else(|| format!("row {} of a split", place.rows + read), |number| format!("rowid {number}"));
                        let what = match &shared.reading.what {
                            What::Table(table) => format!("table {}", table.shown()),
                            What::Query(_) => "the query".to_owned(),
                        };
                        let record = record(row, names);
                        request.rejects.reject(&format!("{}, {what}, {number}", session.site), &reason, record.as_bytes())?;
                    }
                }
                if *has_key {
                    place.key = number.and_then(|number| Bound::new(&number.to_string()).ok());
                }
            }
            if rows > 0 && (is_last || rows >= request.batch_rows.max(1) || bytes >= request.batch_bytes.max(1)) {
                place.rows += read;
                let arrays = columns.iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                let batch = RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
                    .map_err(|_| Error::Broken("columns of their schema"))?;
                if sender.blocking_send(Sent::Batch(batch, place.position()?)).is_err() {
                    return Ok(());
                }
                (rows, bytes, read) = (0, 0, 0);
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// The values of a row, or which of them does not fit its column, and why.
fn fitted<'a>(row: &'a Row<'_>, names: &[String], kinds: &[Kind]) -> Result<Vec<Fitted<'a>>, String> {
    let value = |(at, kind): (usize, &Kind)| {
        let place = || names.get(at).map(|name| name.escape_debug().to_string()).unwrap_or_default();
        let value = row.get_ref(at).map_err(|_| format!("'{}' cannot be read", place()))?;
        kind.fit(value).map_err(|reason| format!("'{}': {reason}", place()))
    };
    kinds.iter().enumerate().map(value).collect()
}

/// A row as JSON, to be kept with the reason.
fn record(row: &Row<'_>, names: &[String]) -> String {
    let value = |(at, name): (usize, &String)| {
        let value = match row.get_ref(at) {
            Ok(ValueRef::Integer(number)) => number.into(),
            Ok(ValueRef::Real(number)) => number.into(),
            Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned().into(),
            Ok(ValueRef::Blob(bytes)) => format!("{} bytes", bytes.len()).into(),
            Ok(ValueRef::Null) | Err(_) => Value::Null,
        };
        (name.clone(), value)
    };
    Value::Object(names.iter().enumerate().map(value).collect::<Map<String, Value>>()).to_string()
}

#[derive(Debug)]
struct SqliteReader {
    batches: mpsc::Receiver<Sent>,
    is_stopped: Arc<AtomicBool>,
    is_ended: bool,
}

impl Drop for SqliteReader {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Reader for SqliteReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        if self.is_ended {
            return Ok(Outcome::End);
        }
        match self.batches.recv().await {
            Some(Sent::Batch(batch, position)) => Ok(Outcome::Batch(batch, position)),
            Some(Sent::Failed(failure)) => Err(failure),
            Some(Sent::End) => {
                self.is_ended = true;
                Ok(Outcome::End)
            }
            // The thread always says how it ended, unless it panicked.
            None => Err(Error::Broken("the reading thread").into()),
        }
    }
}
