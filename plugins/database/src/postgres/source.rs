//! Reading: the columns of a table or query, and its splits as readers. How a table is cut lives in `plan.rs`.
//!
//! Every split is read in its own read-only transaction, so it shows the rows as of its own beginning. Rows that change
//! while a job runs may be seen by one split and not by another.

use super::copy::Copy;
use super::kind::{Kind, kind};
use super::plan::{Cut, Origin};
use super::session::Session;
use crate::config::{Reading, What};
use crate::dial::Server;
use crate::error::Error;
use crate::source::{Bound, Part, Place};
use crate::sql::{Dialect, Select, condition, trimmed};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use azora_connect::element::Element;
use azora_connect::{Condition, Outcome, Position, ReadRequest, Reader, Source, Split};
use azora_spec::Failure;
use std::collections::BTreeSet;
use std::sync::Arc;

const DIALECT: Dialect = Dialect::Postgres;
/// What every read begins with.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// A table or a query.
#[derive(Debug)]
pub(crate) struct PostgresSource {
    server: Server,
    reading: Reading,
    columns: Vec<Output>,
    schema: SchemaRef,
    origin: Origin,
}

/// A column as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Output {
    name: String,
    kind: Kind,
    cast: Option<&'static str>,
}

impl PostgresSource {
    /// Asks the server what the columns are.
    pub(crate) async fn connect(server: Server, reading: Reading) -> Result<Self, Failure> {
        let session = Session::open(&server).await?;
        session.run(BEGIN).await?;
        let origin = Origin::find(&session, &reading).await?;
        let columns = describe(&session, &reading).await?;
        let fields: Vec<Field> = columns.iter().map(|column| Field::new(&column.name, column.kind.data_type(), true)).collect();
        let mut names = BTreeSet::new();
        if let Some(twice) = columns.iter().find(|column| !names.insert(column.name.as_str())) {
            let message = format!("the query gives two columns '{}'", twice.name.escape_debug());
            return Err(Error::Unfit { message, hint: "name them apart with AS", pointer: "/query" }.into());
        }
        // Types of the server are no part of the schema, but a job reads what it was planned for.
        let schema = Element::Object.schema(Schema::new(fields).fields().clone());
        Ok(Self { server, reading, columns, schema, origin })
    }
}

/// What is read, as it stands behind FROM.
pub(super) fn from(what: &What) -> String {
    match what {
        What::Table(table) => table.sql(DIALECT),
        What::Query(query) => format!("({}\n) AS q", trimmed(query)),
    }
}

/// The columns of what is read. The server parses the query and the filter alone here, before they are put into COPY.
async fn describe(session: &Session, reading: &Reading) -> Result<Vec<Output>, Error> {
    let pointer = reading.what.pointer();
    if let What::Query(query) = &reading.what {
        session.client.prepare(trimmed(query)).await.map_err(|error| session.blame(&error, "query", pointer))?;
    }
    let list = if reading.columns.is_empty() { "*".to_owned() } else { DIALECT.names(&reading.columns) };
    let mut select = Select { list, from: from(&reading.what), ..Select::default() };
    let blamed = if reading.columns.is_empty() { pointer } else { "/columns" };
    let statement = session.client.prepare(&select.sql(DIALECT)).await.map_err(|error| session.blame(&error, "columns", blamed))?;
    if let Some(filter) = &reading.filter {
        select.conditions.push(filter.clone());
        session.client.prepare(&select.sql(DIALECT)).await.map_err(|error| session.blame(&error, "filter", "/filter"))?;
    }
    let output = |column: &tokio_postgres::Column| {
        let (kind, cast) = kind(column.type_(), column.type_modifier());
        Output { name: column.name().to_owned(), kind, cast }
    };
    Ok(statement.columns().iter().map(output).collect())
}

#[async_trait]
impl Source for PostgresSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn takes_conditions(&self) -> bool {
        true
    }

    async fn plan(&self, parallelism: usize) -> Result<Vec<Split>, Failure> {
        let session = Session::open(&self.server).await?;
        session.run(BEGIN).await?;
        Ok(self.origin.plan(&session, &self.reading, parallelism).await?)
    }

    async fn open(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let part = Part::read(split)?;
        let place = Place::read(position)?;
        let session = Session::open(&self.server).await?;
        session.run(BEGIN).await?;
        if describe(&session, &self.reading).await? != self.columns {
            let message = format!("the columns of what is read from {} have changed since the job was planned", session.site);
            return Err(Error::Unfit { message, hint: "send the job again", pointer: self.reading.what.pointer() }.into());
        }
        let outputs: Vec<&Output> = match &request.projection {
            None => self.columns.iter().collect(),
            Some(indices) => {
                indices.iter().map(|at| self.columns.get(*at).ok_or(Error::Broken("a projected column"))).collect::<Result<_, _>>()?
            }
        };
        let schema = match &request.projection {
            None => Arc::clone(&self.schema),
            Some(indices) => Arc::new(self.schema.project(indices).map_err(|_| Error::Broken("a projected column"))?),
        };
        let (sql, key) = self.select(&part, &place, &outputs, &request)?;
        let pointer = self.reading.what.pointer();
        let copy = format!("COPY ({sql}) TO STDOUT (FORMAT BINARY)");
        let stream = session.client.copy_out(&copy).await.map_err(|error| session.blame(&error, "query", pointer))?;
        let columns: Vec<(String, Kind)> = outputs.iter().map(|column| (column.name.clone(), column.kind.clone())).collect();
        let copy = Copy::new(session, stream, &columns, key, pointer);
        Ok(Box::new(PostgresReader { copy, schema, place, request }))
    }
}

impl PostgresSource {
    /// The rows of a part behind a place, and whether the key comes as a last column.
    fn select(&self, part: &Part, place: &Place, outputs: &[&Output], request: &ReadRequest) -> Result<(String, bool), Error> {
        let column = |output: &&Output| {
            let name = DIALECT.name(&output.name);
            output.cast.map_or_else(|| name.clone(), |cast| format!("{name}::{cast}"))
        };
        let mut list: Vec<String> = outputs.iter().map(column).collect();
        let mut select = Select { from: from(&self.reading.what), ..Select::default() };
        select.conditions.extend(self.reading.filter.clone());
        // A column that is read as text need not be one.
        let is_fit = |condition: &Condition| self.columns.get(condition.column).is_some_and(|column| column.cast.is_none());
        select.conditions.extend(DIALECT.conditions(&self.schema, &request.conditions, is_fit));
        let partition = self.reading.partition_column.as_deref();
        select.conditions.extend(condition(DIALECT, part, partition)?);
        let key = partition.filter(|_| self.origin.cut == Cut::Key);
        if let Some(key) = key {
            let name = DIALECT.name(key);
            // Under a name of its own, so that the order means the column.
            list.push(format!("{name}::text AS \"azora key\""));
            select.order = Some(name.clone());
            select.conditions.extend(place.key.as_ref().map(|last| format!("{name} > {}", DIALECT.bound(last))));
        }
        select.skip = if place.key.is_some() { 0 } else { place.rows };
        select.list = list.join(", ");
        Ok((select.sql(DIALECT), key.is_some()))
    }
}

#[derive(Debug)]
struct PostgresReader {
    copy: Copy,
    schema: SchemaRef,
    place: Place,
    request: ReadRequest,
}

#[async_trait]
impl Reader for PostgresReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        let Some(taken) = self.copy.take(self.request.batch_rows.max(1), self.request.batch_bytes.max(1)).await? else {
            return Ok(Outcome::End);
        };
        self.place.rows += taken.rows as u64;
        self.place.key = taken.key.and_then(|key| Bound::new(&key).ok());
        let options = RecordBatchOptions::new().with_row_count(Some(taken.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), taken.columns, &options)
            .map_err(|_| Error::Broken("columns of their schema"))?;
        Ok(Outcome::Batch(batch, self.place.position()?))
    }
}
