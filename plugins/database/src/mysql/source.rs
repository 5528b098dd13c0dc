//! Reading: the columns of a table or query, its splits, and a task that turns rows into columns as they come.
//!
//! Every split is read in its own read-only transaction with a snapshot of its own.

use super::kind::{Column, Kind};
use super::session::{Session, classify};
use crate::config::{Reading, What};
use crate::dial::Server;
use crate::error::Error;
use crate::source::ahead::{Ahead, Sent};
use crate::source::{Bound, Part, Place, ranges, share};
use crate::sql::{Dialect, Select, Table, condition, trimmed};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, SchemaRef};
use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use async_trait::async_trait;
use azora_connect::element::Element;
use azora_connect::{Condition, Constant, Position, ReadRequest, Reader, Source, Split};
use azora_spec::Failure;
use mysql_async::prelude::Queryable;
use mysql_async::{Params, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

const DIALECT: Dialect = Dialect::MySql;
const BEGIN: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// A table or a query.
#[derive(Debug)]
pub(crate) struct MySqlSource {
    server: Server,
    reading: Arc<Reading>,
    columns: Vec<(String, Kind)>,
    schema: SchemaRef,
    partition: Option<Partition>,
    rows: Option<u64>,
}

/// The column by which rows are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Partition {
    name: String,
    kind: Kind,
    /// Unique and never null, so that rows are read in its order and can be continued.
    is_key: bool,
}

impl MySqlSource {
    /// Asks the server what the columns are.
    pub(crate) async fn connect(server: Server, reading: Reading) -> Result<Self, Failure> {
        let mut session = Session::open(&server).await?;
        let mut rows = None;
        let mut keys = Vec::new();
        if let What::Table(table) = &reading.what {
            rows = find(&mut session, table).await?;
            keys = unique_columns(&mut session, table).await?;
        }
        let columns = describe(&mut session, &reading).await?;
        let mut names = BTreeSet::new();
        if let Some((twice, _)) = columns.iter().find(|(name, _)| !names.insert(name.as_str())) {
            let message = format!("the query gives two columns '{}'", twice.escape_debug());
            return Err(Error::Unfit { message, hint: "name them apart with AS", pointer: "/query" }.into());
        }
        let partition = match &reading.partition_column {
            Some(name) => {
                let kind = kind_of(&mut session, &reading, name).await?;
                if !can_cut(kind) {
                    let message = format!("rows cannot be cut by '{}', whose type is {}", name.escape_debug(), kind.data_type());
                    let hint = "a partition column holds whole numbers, dates or timestamps";
                    return Err(Error::Unfit { message, hint, pointer: "/partitionColumn" }.into());
                }
                Some(Partition { name: name.clone(), kind, is_key: keys.iter().any(|key| key.eq_ignore_ascii_case(name)) })
            }
            None => match keys.first() {
                Some(name) => {
                    let kind = kind_of(&mut session, &reading, name).await?;
                    can_cut(kind).then(|| Partition { name: name.clone(), kind, is_key: true })
                }
                None => None,
            },
        };
        let fields: Vec<Field> = columns.iter().map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect();
        let schema = Element::Object.schema(fields);
        Ok(Self { server, reading: Arc::new(reading), columns, schema, partition, rows })
    }
}

fn can_cut(kind: Kind) -> bool {
    matches!(kind, Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::UInt64 | Kind::Date | Kind::Timestamp | Kind::Instant)
}

fn from(what: &What) -> String {
    match what {
        What::Table(table) => table.sql(DIALECT),
        What::Query(query) => format!("({}\n) AS q", trimmed(query)),
    }
}

/// The number of a table's rows, as the server guesses.
async fn find(session: &mut Session, table: &Table) -> Result<Option<u64>, Error> {
    let sql = "SELECT CAST(COALESCE(table_rows, 0) AS UNSIGNED) FROM information_schema.tables \
               WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ?";
    let rows = session.rows(sql, vec![table.schema.clone().unwrap_or_default(), table.name.clone()]).await?;
    match rows.first() {
        Some(row) => Ok(row.get::<u64, _>(0).filter(|rows| *rows > 0)),
        None => Err(Error::Missing { site: session.site.clone(), what: "table", name: table.shown(), pointer: "/table" }),
    }
}

/// Columns that alone are unique and never null, the primary key first.
async fn unique_columns(session: &mut Session, table: &Table) -> Result<Vec<String>, Error> {
    let sql = "SELECT MAX(column_name) FROM information_schema.statistics \
               WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? AND non_unique = 0 \
               GROUP BY index_name HAVING COUNT(*) = 1 AND MAX(nullable) = '' AND MAX(sub_part) IS NULL ORDER BY index_name <> 'PRIMARY'";
    let rows = session.rows(sql, vec![table.schema.clone().unwrap_or_default(), table.name.clone()]).await?;
    Ok(rows.iter().filter_map(|row| row.get::<String, _>(0)).collect())
}

async fn prepared(session: &mut Session, sql: &str, what: &'static str, pointer: &'static str) -> Result<Vec<(String, Kind)>, Error> {
    let statement = session.conn.prep(sql).await.map_err(|error| classify(&session.site, &error, what, pointer))?;
    let columns = statement.columns().iter().map(|column| (column.name_str().into_owned(), Kind::of(column))).collect();
    session.conn.close(statement).await.map_err(|error| classify(&session.site, &error, what, pointer))?;
    Ok(columns)
}

/// The columns of what is read. The server parses the query and the filter alone here, before they are put together.
async fn describe(session: &mut Session, reading: &Reading) -> Result<Vec<(String, Kind)>, Error> {
    let pointer = reading.what.pointer();
    if let What::Query(query) = &reading.what {
        prepared(session, trimmed(query), "query", pointer).await?;
    }
    let list = if reading.columns.is_empty() { "*".to_owned() } else { DIALECT.names(&reading.columns) };
    let mut select = Select { list, from: from(&reading.what), ..Select::default() };
    let blamed = if reading.columns.is_empty() { pointer } else { "/columns" };
    let columns = prepared(session, &select.sql(DIALECT), "columns", blamed).await?;
    if let Some(filter) = &reading.filter {
        select.conditions.push(filter.clone());
        prepared(session, &select.sql(DIALECT), "filter", "/filter").await?;
    }
    Ok(columns)
}

async fn kind_of(session: &mut Session, reading: &Reading, column: &str) -> Result<Kind, Error> {
    let sql = format!("SELECT {} FROM {}", DIALECT.name(column), from(&reading.what));
    let columns = prepared(session, &sql, "partition column", "/partitionColumn").await?;
    columns.first().map(|(_, kind)| *kind).ok_or(Error::Broken("a partition column"))
}

#[async_trait]
impl Source for MySqlSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn takes_conditions(&self) -> bool {
        true
    }

    async fn plan(&self, parallelism: usize) -> Result<Vec<Split>, Failure> {
        let parts = match &self.partition {
            None => vec![Part::All],
            Some(partition) => self.cut(partition, parallelism).await?,
        };
        let rows = share(self.rows, parts.len());
        Ok(parts.iter().map(|part| part.split(rows)).collect::<Result<_, _>>()?)
    }

    async fn open(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let part = Part::read(split)?;
        if matches!(part, Part::Blocks { .. }) {
            return Err(Error::Foreign("split").into());
        }
        let place = Place::read(position)?;
        let mut session = Session::open(&self.server).await?;
        session.run(BEGIN).await?;
        if describe(&mut session, &self.reading).await? != self.columns {
            let message = format!("the columns of what is read from {} have changed since the job was planned", session.site);
            return Err(Error::Unfit { message, hint: "send the job again", pointer: self.reading.what.pointer() }.into());
        }
        let broken = || Error::Broken("a projected column");
        let (outputs, schema) = match &request.projection {
            None => (self.columns.clone(), Arc::clone(&self.schema)),
            Some(indices) => {
                let outputs = indices.iter().map(|at| self.columns.get(*at).cloned().ok_or_else(broken)).collect::<Result<_, _>>()?;
                (outputs, Arc::new(self.schema.project(indices).map_err(|_| broken())?))
            }
        };
        let (sql, has_key) = self.select(&part, &place, &outputs, &request.conditions)?;
        let pump = Pump { session, columns: outputs, has_key, pointer: self.reading.what.pointer(), place, request, schema };
        Ok(Box::new(Ahead::start(|sender| pump.run(sql, sender))))
    }
}

impl MySqlSource {
    async fn cut(&self, partition: &Partition, parallelism: usize) -> Result<Vec<Part>, Failure> {
        let mut session = Session::open(&self.server).await?;
        session.run(BEGIN).await?;
        let name = DIALECT.name(&partition.name);
        let of = match partition.kind {
            Kind::Date => "DATEDIFF(%, '1970-01-01')",
            Kind::Timestamp | Kind::Instant => "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', %)",
            _ => "%",
        };
        let list = ["MIN", "MAX"].map(|end| of.replace('%', &format!("{end}({name})"))).join(", ");
        let conditions = self.reading.filter.iter().cloned().collect();
        let sql = Select { list, from: from(&self.reading.what), conditions, ..Select::default() }.sql(DIALECT);
        let row: Option<(Value, Value)> = session
            .conn
            .exec_first(sql, Params::Empty)
            .await
            .map_err(|error| classify(&session.site, &error, "partition column", "/partitionColumn"))?;
        let whole = |value: &Value| match value {
            Value::Int(number) => Some(i128::from(*number)),
            Value::UInt(number) => Some(i128::from(*number)),
            _ => None,
        };
        let ends = row.and_then(|(min, max)| Some((whole(&min)?, whole(&max)?)));
        let Some((min, max)) = ends else { return Ok(vec![Part::Range { from: None, to: None, nulls: true }]) };
        Ok(ranges(min, max, parallelism, |at| shown(partition.kind, at))?)
    }

    /// The rows of a part behind a place, and whether the key comes as a last column.
    fn select(&self, part: &Part, place: &Place, outputs: &[(String, Kind)], conditions: &[Condition]) -> Result<(String, bool), Error> {
        let mut list: Vec<String> = outputs.iter().map(|(name, _)| DIALECT.name(name)).collect();
        let mut select = Select { from: from(&self.reading.what), ..Select::default() };
        select.conditions.extend(self.reading.filter.clone());
        // What is read as text may be JSON, which the server compares as values.
        let is_fit = |condition: &Condition| !matches!(condition.value, Constant::Text(_) | Constant::Boolean(_));
        select.conditions.extend(DIALECT.conditions(&self.schema, conditions, is_fit));
        let partition = self.partition.as_ref();
        select.conditions.extend(condition(DIALECT, part, partition.map(|partition| partition.name.as_str()))?);
        let key = partition.filter(|partition| partition.is_key);
        if let Some(key) = key {
            let name = DIALECT.name(&key.name);
            list.push(format!("{name} AS `azora key`"));
            select.conditions.extend(place.key.as_ref().map(|last| format!("{name} > {}", DIALECT.bound(last))));
            select.order = Some(name);
        }
        if list.is_empty() {
            list.push("1".to_owned());
        }
        select.skip = if place.key.is_some() { 0 } else { place.rows };
        select.list = list.join(", ");
        Ok((select.sql(DIALECT), key.is_some()))
    }
}

/// A cut as the column's type writes it.
fn shown(kind: Kind, at: i128) -> Result<Bound, Error> {
    let beyond = || Error::Broken("a date in range");
    match kind {
        Kind::Date => {
            let date = i32::try_from(at).ok().and_then(date32_to_datetime).ok_or_else(beyond)?;
            Bound::new(&date.format("%Y-%m-%d").to_string())
        }
        Kind::Timestamp | Kind::Instant => {
            let time = i64::try_from(at).ok().and_then(timestamp_us_to_datetime).ok_or_else(beyond)?;
            Bound::new(&time.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
        }
        _ => Bound::new(&at.to_string()),
    }
}

/// Reads rows and sends them on as batches, no faster than they are taken.
struct Pump {
    session: Session,
    columns: Vec<(String, Kind)>,
    has_key: bool,
    pointer: &'static str,
    place: Place,
    request: ReadRequest,
    schema: SchemaRef,
}

impl Pump {
    async fn run(mut self, sql: String, sender: mpsc::Sender<Sent>) {
        if let Err(failure) = self.pump(sql, &sender).await {
            // Nobody waits for it where the reader is gone.
            sender.send(Err(failure)).await.ok();
        }
    }

    async fn pump(&mut self, sql: String, sender: &mpsc::Sender<Sent>) -> Result<(), Failure> {
        let Self { session, columns, has_key, pointer, place, request, schema } = self;
        let site = session.site.clone();
        let lost = |error: &mysql_async::Error| classify(&site, error, "query", pointer);
        let mut result = session.conn.exec_iter(sql, Params::Empty).await.map_err(|error| lost(&error))?;
        let mut building: Vec<Column> = columns.iter().map(|(_, kind)| Column::new(*kind)).collect();
        let (mut rows, mut bytes) = (0, 0);
        loop {
            let row = result.next().await.map_err(|error| lost(&error))?;
            let is_last = row.is_none();
            if let Some(row) = row {
                let mut values = row.unwrap_raw().into_iter().map(|value| value.unwrap_or(Value::NULL));
                for (column, (name, _)) in building.iter_mut().zip(columns.iter()) {
                    let value = values.next().unwrap_or(Value::NULL);
                    let misfit =
                        |reason: &str| Error::Value { place: format!("column '{}'", name.escape_debug()), reason: reason.to_owned() };
                    bytes += column.push(value).map_err(misfit)?;
                }
                if *has_key {
                    place.key = values.next().and_then(|value| Bound::new(value.as_sql(true).trim_matches('\'')).ok());
                }
                rows += 1;
            }
            if rows > 0 && (is_last || rows >= request.batch_rows.max(1) || bytes >= request.batch_bytes.max(1)) {
                place.rows += rows as u64;
                let arrays = building.iter_mut().map(Column::finish).collect();
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                let batch = RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
                    .map_err(|_| Error::Broken("columns of their schema"))?;
                if sender.send(Ok((batch, place.position()?))).await.is_err() {
                    return Ok(());
                }
                (rows, bytes) = (0, 0);
            }
            if is_last {
                return Ok(());
            }
        }
    }
}
