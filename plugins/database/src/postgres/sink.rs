//! Writing: each partition into a staging table of its own, in one transaction; the commit moves all of them into the
//! target and writes down that it did, in another.
//!
//! Staging tables are logged ones: what `prepare` answered for must outlive a crash of the server.

use super::session::Session;
use super::target::Target;
use super::text::encode;
use crate::config::{Mode, Writing};
use crate::dial::Server;
use crate::error::Error;
use crate::sink::{COMMITS, Staged, check_any, check_keys, prefix, stage};
use crate::sql::{Dialect, Table};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_connect::{Receipt, Sink, Token, Writer, WriterId};
use azora_spec::{Failure, JobId, milestone};
use bytes::Bytes;
use futures::SinkExt;
use std::fmt;
use std::pin::Pin;
use tokio_postgres::CopyInSink;

const DIALECT: Dialect = Dialect::Postgres;

/// A table that rows go to.
#[derive(Debug)]
pub(crate) struct PostgresSink {
    server: Server,
    writing: Writing,
}

impl PostgresSink {
    pub(crate) const fn new(server: Server, writing: Writing) -> Self {
        Self { server, writing }
    }

    async fn target(&self) -> Result<(Session, Target), Failure> {
        let session = Session::open(&self.server).await?;
        let target = Target::find(&session, &self.writing).await?;
        Ok((session, target))
    }
}

#[async_trait]
impl Sink for PostgresSink {
    async fn check(&self) -> Result<(), Failure> {
        self.target().await.map(|_| ())
    }

    async fn open(&self, id: WriterId, schema: SchemaRef) -> Result<Box<dyn Writer>, Failure> {
        let (session, target) = self.target().await?;
        check_any(&session.site, &schema)?;
        let arrays = target.arrays(&session.site, &schema)?;
        let stage = target.table.beside(&stage(id));
        let make = format!(
            "BEGIN; SET LOCAL synchronous_commit = on; DROP TABLE IF EXISTS {}; {}",
            stage.sql(DIALECT),
            target.stage_sql(&stage, &schema)
        );
        session.run(&make).await?;
        let names = DIALECT.names(schema.fields().iter().map(|field| field.name()));
        let sql = format!("COPY {} ({names}) FROM STDIN", stage.sql(DIALECT));
        let copy = session.client.copy_in::<_, Bytes>(&sql).await.map_err(|error| session.error(&error))?;
        let keys = self.writing.keys.clone();
        Ok(Box::new(PostgresWriter { copy: Box::pin(copy), session, stage, arrays, keys, rows: 0 }))
    }

    async fn commit(&self, job: JobId, epoch: u64, schema: SchemaRef, tokens: &[Token]) -> Result<Receipt, Failure> {
        let staged = Staged::read(tokens, job, epoch)?;
        let (session, target) = self.target().await?;
        let commits = target.table.beside(COMMITS);
        make_commits(&session, &commits).await?;
        session.run("BEGIN; SET LOCAL synchronous_commit = on").await?;
        let total: u64 = staged.iter().map(|staged| staged.rows).sum();
        let name = commits.sql(DIALECT);
        let mark = format!("INSERT INTO {name} (job, epoch, rows) VALUES ('{job}', {epoch}, {total}) ON CONFLICT DO NOTHING");
        let is_first = session.client.execute(&mark, &[]).await.map_err(|error| session.error(&error))? == 1;
        milestone::pass("rows marked");
        if is_first {
            self.move_all(&session, &target, &schema, &staged).await?;
        }
        milestone::pass("rows moved");
        drop_stages(&session, &target.table, &prefix(job, epoch)).await?;
        milestone::pass("rows commit?");
        session.run("COMMIT").await?;
        milestone::pass("rows committed");
        let connection = &self.server.connection;
        let output = format!("postgresql://{}:{}/{}/{}", connection.host, connection.port, connection.database, target.table.shown());
        Ok(Receipt { rows: total, bytes: 0, outputs: vec![output] })
    }

    async fn abort(&self, job: JobId, epoch: u64, _: &[Token]) -> Result<(), Failure> {
        let (session, target) = self.target().await?;
        drop_stages(&session, &target.table, &prefix(job, epoch)).await?;
        Ok(())
    }
}

impl PostgresSink {
    async fn move_all(&self, session: &Session, target: &Target, schema: &SchemaRef, staged: &[Staged]) -> Result<(), Error> {
        if target.columns.is_none() {
            session.run(&target.create_sql(schema, &self.writing.keys)).await?;
        }
        if self.writing.mode == Mode::Overwrite {
            // Not TRUNCATE: who reads an older snapshot must go on seeing the rows of then.
            session.run(&format!("DELETE FROM {}", target.table.sql(DIALECT))).await?;
        }
        for part in staged {
            let sql = target.move_sql(&target.table.beside(&part.table), schema, &self.writing);
            let moved = session.client.execute(&sql, &[]).await.map_err(|error| session.error(&error))?;
            if self.writing.mode != Mode::Upsert && moved != part.rows {
                return Err(Error::Staged { site: session.site.clone(), found: moved, want: part.rows });
            }
        }
        Ok(())
    }
}

/// Makes the table of commits where it is not there. Two that make it at once would meet in the catalog, hence the lock.
async fn make_commits(session: &Session, commits: &Table) -> Result<(), Error> {
    let name = commits.sql(DIALECT);
    let row = session.client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await.map_err(|error| session.error(&error))?;
    if row.get(0) {
        return Ok(());
    }
    session
        .run(&format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtext('azora_commits')); CREATE TABLE IF NOT EXISTS {name} \
             (job text NOT NULL, epoch numeric(20,0) NOT NULL, rows numeric(20,0) NOT NULL, \
             committed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (job, epoch)); COMMIT"
        ))
        .await
}

/// Drops every staging table of a job's epoch, also those of writers that crashed.
async fn drop_stages(session: &Session, target: &Table, prefix: &str) -> Result<(), Error> {
    let sql = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relkind = 'r' AND starts_with(c.relname::text, $2)";
    let schema = target.schema.as_deref().unwrap_or_default();
    let rows = session.client.query(sql, &[&schema, &prefix]).await.map_err(|error| session.error(&error))?;
    for row in rows {
        let stage = target.beside(row.get(0));
        session.run(&format!("DROP TABLE IF EXISTS {}", stage.sql(DIALECT))).await?;
    }
    Ok(())
}

/// One partition on its way into its staging table. Dropping it ends the session, which undoes the transaction.
struct PostgresWriter {
    // Before the session, which must outlive it.
    copy: Pin<Box<CopyInSink<Bytes>>>,
    session: Session,
    stage: Table,
    arrays: Vec<bool>,
    keys: Vec<String>,
    rows: u64,
}

impl fmt::Debug for PostgresWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresWriter").field("stage", &self.stage).field("rows", &self.rows).finish_non_exhaustive()
    }
}

#[async_trait]
impl Writer for PostgresWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        check_keys(&batch, &self.keys)?;
        let mut out = Vec::with_capacity(batch.get_array_memory_size());
        encode(&batch, &self.arrays, &mut out)?;
        if out.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.copy.send(Bytes::from(out)).await {
            // What the server had against the rows comes with the end of the copy.
            let error = self.copy.as_mut().finish().await.err().unwrap_or(error);
            return Err(self.session.error(&error).into());
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    async fn prepare(mut self: Box<Self>) -> Result<Token, Failure> {
        let rows = self.copy.as_mut().finish().await.map_err(|error| self.session.error(&error))?;
        if rows != self.rows {
            return Err(Error::Staged { site: self.session.site.clone(), found: rows, want: self.rows }.into());
        }
        milestone::pass("rows stage?");
        self.session.run("COMMIT").await?;
        milestone::pass("rows staged");
        Ok(Staged { table: self.stage.name.clone(), rows }.token()?)
    }
}
