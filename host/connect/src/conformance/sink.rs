//! What every sink must do.

use super::{Faults, sample, texts};
use crate::{Receipt, Sink, Token, WriterId};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_spec::{Failure, JobId};
use std::sync::Arc;

/// Largest token.
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// What a sink promises of rows that were committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Each is there once, and none before the commit, whatever is repeated.
    ExactlyOnce,
    /// Each is there; what is repeated may be there again, and rows may be seen early.
    AtLeastOnce,
}

/// A sink and a way to look at what it wrote.
#[async_trait]
pub trait SinkCase: Send + Sync {
    /// A sink to a target of this name, made anew as after a restart. The target need not exist.
    async fn sink(&self, target: &str) -> Arc<dyn Sink>;

    /// The rows that a reader of the target sees, as JSON texts of [`Self::batches`]' columns, in any order; none where it
    /// does not exist.
    async fn rows(&self, target: &str) -> Vec<String>;

    /// What it promises.
    fn promise(&self) -> Promise;

    /// Whether it tells the micro-batches of a stream apart; what jobs alone write to need not.
    fn has_epochs(&self) -> bool {
        true
    }

    /// Rows to write.
    fn batches(&self) -> Vec<RecordBatch> {
        sample::flat()
    }
}

/// Runs the suite.
///
/// # Errors
/// Every fault that was found, one a line.
pub async fn sink(case: &dyn SinkCase) -> Result<(), String> {
    let batches = case.batches();
    let schema = batches.first().map_or_else(sample::flat_schema, RecordBatch::schema);
    let mut suite = Suite { case, batches, schema, faults: Faults::default() };
    let steps =
        [suite.once().await, suite.crash().await, suite.abort().await, suite.attempts().await, suite.empty().await, suite.epochs().await];
    for failure in steps.into_iter().filter_map(Result::err) {
        suite.faults.add(failure);
    }
    suite.faults.end()
}

struct Suite<'a> {
    case: &'a dyn SinkCase,
    batches: Vec<RecordBatch>,
    schema: SchemaRef,
    faults: Faults,
}

fn said(what: &'static str) -> impl Fn(Failure) -> String {
    move |failure| format!("{what} failed: {failure}")
}

impl Suite<'_> {
    fn is_exact(&self) -> bool {
        self.case.promise() == Promise::ExactlyOnce
    }

    /// Writes some batches as one partition and prepares them.
    async fn prepare(&self, sink: &Arc<dyn Sink>, id: WriterId, batches: &[RecordBatch]) -> Result<Token, String> {
        let mut writer = sink.open(id, Arc::clone(&self.schema)).await.map_err(said("open"))?;
        for batch in batches {
            writer.write(batch.clone()).await.map_err(said("write"))?;
        }
        let token = writer.prepare().await.map_err(said("prepare"))?;
        if token.0.len() > TOKEN_BYTES_MAX { Err("a token is over 64 KiB".to_owned()) } else { Ok(token) }
    }

    /// All rows in two partitions, prepared.
    async fn prepare_all(&self, sink: &Arc<dyn Sink>, job: JobId, epoch: u64) -> Result<Vec<Token>, String> {
        let (first, second) = self.batches.split_at(1.min(self.batches.len()));
        let id = |partition| WriterId { job, partition, attempt: 0, epoch };
        Ok(vec![self.prepare(sink, id(0), first).await?, self.prepare(sink, id(1), second).await?])
    }

    async fn commit(&self, sink: &Arc<dyn Sink>, job: JobId, epoch: u64, tokens: &[Token]) -> Result<Receipt, String> {
        sink.commit(job, epoch, Arc::clone(&self.schema), tokens).await.map_err(said("commit"))
    }

    /// Compares what is visible with `times` times these rows.
    async fn sees(&mut self, what: &str, target: &str, expected: &[String]) {
        let got = self.case.rows(target).await;
        if self.is_exact() {
            self.faults.same(what, &got, expected);
        } else {
            let missing = expected.iter().filter(|row| !got.contains(row)).count();
            self.faults.check(missing == 0, || format!("{what}: {missing} of {} rows are missing", expected.len()));
        }
    }

    async fn sees_nothing(&mut self, what: &str, target: &str) {
        if self.is_exact() {
            let rows = self.case.rows(target).await.len();
            self.faults.check(rows == 0, || format!("{what}: {rows} rows are visible"));
        }
    }

    async fn once(&mut self) -> Result<(), String> {
        let (target, job) = ("conform_once", JobId::generate());
        let sink = self.case.sink(target).await;
        sink.check().await.map_err(said("check"))?;
        let tokens = self.prepare_all(&sink, job, 0).await?;
        self.sees_nothing("before the commit", target).await;
        let receipt = self.commit(&sink, job, 0, &tokens).await?;
        let expected = texts(&self.batches);
        self.faults.check(receipt.rows == expected.len() as u64, || {
            format!("the receipt says {} rows instead of {}", receipt.rows, expected.len())
        });
        self.sees("after the commit", target, &expected).await;
        self.commit(&sink, job, 0, &tokens).await?;
        self.sees("after a second commit", target, &expected).await;
        let again = self.case.sink(target).await;
        let receipt = self.commit(&again, job, 0, &tokens).await?;
        self.faults.check(receipt.rows == expected.len() as u64, || format!("the receipt of a repeated commit says {} rows", receipt.rows));
        self.sees("after a second commit by a new sink", target, &expected).await;
        Ok(())
    }

    async fn crash(&mut self) -> Result<(), String> {
        let (target, job) = ("conform_crash", JobId::generate());
        let tokens = {
            let sink = self.case.sink(target).await;
            self.prepare_all(&sink, job, 0).await?
        };
        self.sees_nothing("after a crash behind prepare", target).await;
        let sink = self.case.sink(target).await;
        self.commit(&sink, job, 0, &tokens).await?;
        let expected = texts(&self.batches);
        self.sees("after a crash between prepare and commit", target, &expected).await;
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), String> {
        let (target, job) = ("conform_abort", JobId::generate());
        let sink = self.case.sink(target).await;
        let tokens = self.prepare_all(&sink, job, 0).await?;
        sink.abort(job, 0, &tokens).await.map_err(said("abort"))?;
        self.sees_nothing("after an abort", target).await;
        sink.abort(job, 0, &tokens).await.map_err(said("a second abort"))?;
        // A writer that died leaves what only an abort without its token can find.
        let job = JobId::generate();
        let mut writer =
            sink.open(WriterId { job, partition: 0, attempt: 0, epoch: 0 }, Arc::clone(&self.schema)).await.map_err(said("open"))?;
        for batch in &self.batches {
            writer.write(batch.clone()).await.map_err(said("write"))?;
        }
        drop(writer);
        let again = self.case.sink(target).await;
        again.abort(job, 0, &[]).await.map_err(said("an abort without tokens"))?;
        self.sees_nothing("after an abort of a dead writer", target).await;
        let job = JobId::generate();
        let tokens = self.prepare_all(&again, job, 0).await?;
        self.commit(&again, job, 0, &tokens).await?;
        let expected = texts(&self.batches);
        self.sees("another job after an abort", target, &expected).await;
        Ok(())
    }

    async fn attempts(&mut self) -> Result<(), String> {
        let (target, job) = ("conform_attempts", JobId::generate());
        let id = |attempt| WriterId { job, partition: 0, attempt, epoch: 0 };
        let sink = self.case.sink(target).await;
        let mut dead = sink.open(id(0), Arc::clone(&self.schema)).await.map_err(said("open"))?;
        if let Some(batch) = self.batches.first() {
            dead.write(batch.clone()).await.map_err(said("write"))?;
        }
        drop(dead);
        let _stale = self.prepare(&sink, id(1), &self.batches).await?;
        let sink = self.case.sink(target).await;
        let token = self.prepare(&sink, id(2), &self.batches).await?;
        self.commit(&sink, job, 0, &[token]).await?;
        let expected = texts(&self.batches);
        self.sees("after three attempts", target, &expected).await;
        Ok(())
    }

    async fn empty(&mut self) -> Result<(), String> {
        let (target, job) = ("conform_empty", JobId::generate());
        let sink = self.case.sink(target).await;
        let token = self.prepare(&sink, WriterId { job, partition: 0, attempt: 0, epoch: 0 }, &[]).await?;
        let receipt = self.commit(&sink, job, 0, &[token]).await?;
        self.faults.check(receipt.rows == 0, || format!("no rows were written, the receipt says {}", receipt.rows));
        self.sees_nothing("after a commit without rows", target).await;
        Ok(())
    }

    async fn epochs(&mut self) -> Result<(), String> {
        if !self.case.has_epochs() {
            return Ok(());
        }
        let (target, job) = ("conform_epochs", JobId::generate());
        let sink = self.case.sink(target).await;
        let mut batches = self.batches.clone();
        let second = batches.split_off(1.min(batches.len()));
        let id = |epoch| WriterId { job, partition: 0, attempt: 0, epoch };
        let first_token = self.prepare(&sink, id(0), &batches).await?;
        self.commit(&sink, job, 0, std::slice::from_ref(&first_token)).await?;
        let second_token = self.prepare(&sink, id(1), &second).await?;
        self.commit(&sink, job, 0, &[first_token]).await?;
        self.commit(&sink, job, 1, &[second_token]).await?;
        let expected = texts(&self.batches);
        self.sees("after two epochs", target, &expected).await;
        Ok(())
    }
}
