//! What every source must do.

use super::{Faults, texts};
use crate::{Outcome, Position, ReadRequest, Source, Split};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Largest split or position.
const OPAQUE_BYTES_MAX: usize = 64 << 10;
/// Longest wait for one read.
const READ_TIME: Duration = Duration::from_secs(60);
/// Most positions of one split from which reading is tried again.
const RESUMES_MAX: usize = 30;
/// Reads without rows after which an unbounded source counts as read.
const IDLE_MAX: usize = 3;
/// Bytes asked for in the test of batch limits.
const SMALL_BYTES: usize = 4 << 10;

/// What a source has to give.
#[derive(Debug, Clone)]
pub struct Expect {
    /// The rows as JSON texts.
    pub rows: Vec<String>,
    /// Compare these columns only, in this order; all where absent.
    pub columns: Option<Vec<String>>,
}

impl Expect {
    /// Exactly these rows, in any order.
    #[must_use]
    pub fn of(batches: &[RecordBatch]) -> Self {
        Self { rows: texts(batches), columns: None }
    }

    /// The same of a source that has more columns than these.
    #[must_use]
    pub fn columns(mut self, names: &[&str]) -> Self {
        self.columns = Some(names.iter().map(|name| (*name).to_owned()).collect());
        self
    }
}

/// Runs the suite.
///
/// # Errors
/// Every fault that was found, one a line.
pub async fn source(source: &Arc<dyn Source>, expect: &Expect) -> Result<(), String> {
    let mut suite = Suite { source: Arc::clone(source), schema: source.schema(), expect: expect.clone(), faults: Faults::default() };
    suite.schema();
    for parallelism in [1, 2, 7] {
        suite.covers(parallelism).await;
    }
    suite.projections().await;
    suite.resumes().await;
    suite.limits().await;
    suite.cancels().await;
    suite.foreign_splits().await;
    suite.faults.end()
}

struct Suite {
    source: Arc<dyn Source>,
    schema: SchemaRef,
    expect: Expect,
    faults: Faults,
}

type Reading = Vec<(RecordBatch, Position)>;

fn usual() -> ReadRequest {
    ReadRequest::new(8192, 8 << 20)
}

impl Suite {
    fn schema(&mut self) {
        let names: HashSet<&String> = self.schema.fields().iter().map(|field| field.name()).collect();
        self.faults.check(names.len() == self.schema.fields().len(), || "schema: two columns have one name".to_owned());
        self.faults.check(self.source.schema() == self.schema, || "schema: it is another one when asked again".to_owned());
    }

    async fn plan(&mut self, parallelism: usize) -> Vec<Split> {
        let splits = match self.source.plan(parallelism).await {
            Ok(splits) => splits,
            Err(failure) => {
                self.faults.add(format!("plan({parallelism}) failed: {failure}"));
                return Vec::new();
            }
        };
        self.faults.check(splits.iter().all(|split| split.payload.len() <= OPAQUE_BYTES_MAX), || "a split is over 64 KiB".to_owned());
        splits
    }

    /// Everything from a position on.
    async fn read(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Reading, String> {
        let mut reader = self.source.open(split, position, request).await.map_err(|failure| format!("open failed: {failure}"))?;
        let mut read = Vec::new();
        let mut idle = 0;
        loop {
            match tokio::time::timeout(READ_TIME, reader.read()).await {
                Err(_) => return Err("a read took longer than 60 s".to_owned()),
                Ok(Err(failure)) => return Err(format!("read failed: {failure}")),
                Ok(Ok(Outcome::Batch(batch, position))) => {
                    idle = 0;
                    if position.0.len() > OPAQUE_BYTES_MAX {
                        return Err("a position is over 64 KiB".to_owned());
                    }
                    read.push((batch, position));
                }
                Ok(Ok(Outcome::Idle(_))) if self.source.is_bounded() => return Err("a bounded source answered idle".to_owned()),
                Ok(Ok(Outcome::Idle(wait))) => {
                    idle += 1;
                    if idle >= IDLE_MAX {
                        return Ok(read);
                    }
                    tokio::time::sleep(wait).await;
                }
                Ok(Ok(Outcome::End)) => return Ok(read),
            }
        }
    }

    /// The rows of all splits, as they are expected.
    async fn all(&mut self, what: &str, splits: &[Split], request: &ReadRequest) -> Vec<RecordBatch> {
        let mut batches = Vec::new();
        for split in splits {
            match self.read(split, None, request.clone()).await {
                Ok(read) => batches.extend(read.into_iter().map(|(batch, _)| batch)),
                Err(fault) => self.faults.add(format!("{what}: {fault}")),
            }
        }
        batches
    }

    fn wanted(&self, batches: &[RecordBatch]) -> Vec<String> {
        let Some(columns) = &self.expect.columns else { return texts(&self.with_metadata(batches, &self.schema)) };
        let at: Vec<usize> = columns.iter().filter_map(|name| self.schema.index_of(name).ok()).collect();
        let picked: Vec<RecordBatch> = batches.iter().filter_map(|batch| batch.project(&at).ok()).collect();
        texts(&picked)
    }

    /// Batches need not repeat what an element is.
    fn with_metadata(&self, batches: &[RecordBatch], schema: &Schema) -> Vec<RecordBatch> {
        let schema = Arc::new(schema.clone());
        batches.iter().map(|batch| batch.clone().with_schema(Arc::clone(&schema)).unwrap_or_else(|_| batch.clone())).collect()
    }

    async fn covers(&mut self, parallelism: usize) {
        let what = format!("plan({parallelism})");
        let splits = self.plan(parallelism).await;
        let batches = self.all(&what, &splits, &usual()).await;
        for batch in &batches {
            let types =
                |schema: &Schema| schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect::<Vec<_>>();
            let is_same = types(&batch.schema()) == types(&self.schema);
            self.faults.check(is_same, || format!("{what}: a batch has the columns {:?}", batch.schema().fields()));
            if !is_same {
                return;
            }
        }
        let got = self.wanted(&batches);
        let expected = self.expect.rows.clone();
        self.faults.same(&what, &got, &expected);
        let again = self.all(&what, &splits, &usual()).await;
        let again = self.wanted(&again);
        self.faults.check(again == got, || format!("{what}: the same splits gave other rows, or another order, when read again"));
    }

    async fn projections(&mut self) {
        let splits = self.plan(2).await;
        let columns = self.schema.fields().len();
        let all = self.all("projection", &splits, &usual()).await;
        let rows: usize = all.iter().map(RecordBatch::num_rows).sum();
        let mut wanted: Vec<Vec<usize>> = (0..columns).map(|at| vec![at]).collect();
        wanted.push((0..columns).rev().collect());
        wanted.push(Vec::new());
        for projection in wanted {
            let what = format!("projection {projection:?}");
            let request = ReadRequest { projection: Some(projection.clone()), ..usual() };
            let got = self.all(&what, &splits, &request).await;
            let projected: Vec<RecordBatch> = all.iter().filter_map(|batch| batch.project(&projection).ok()).collect();
            if projection.is_empty() {
                let counted: usize = got.iter().map(RecordBatch::num_rows).sum();
                self.faults.check(counted == rows, || format!("{what}: {counted} rows instead of {rows}"));
            } else {
                let is_same = got.iter().all(|batch| batch.num_columns() == projection.len()) && bare(&got) == bare(&projected);
                self.faults.check(is_same, || format!("{what}: other columns or rows than without it"));
            }
        }
    }

    async fn resumes(&mut self) {
        for split in self.plan(2).await {
            let request = ReadRequest { batch_rows: 3, ..usual() };
            let read = match self.read(&split, None, request.clone()).await {
                Ok(read) => read,
                Err(fault) => return self.faults.add(format!("small batches: {fault}")),
            };
            let batches: Vec<RecordBatch> = read.iter().map(|(batch, _)| batch.clone()).collect();
            let step = read.len().div_ceil(RESUMES_MAX).max(1);
            for (at, (_, position)) in read.iter().enumerate().step_by(step) {
                match self.read(&split, Some(position), request.clone()).await {
                    Ok(tail) => {
                        let tail: Vec<RecordBatch> = tail.into_iter().map(|(batch, _)| batch).collect();
                        let expected = self.wanted(batches.get(at + 1..).unwrap_or_default());
                        let got = self.wanted(&tail);
                        self.faults.check(got == expected, || {
                            format!(
                                "resume behind batch {at} of split '{}': {} rows instead of {}, or others",
                                split.payload,
                                got.len(),
                                expected.len()
                            )
                        });
                    }
                    Err(fault) => self.faults.add(format!("resume behind batch {at}: {fault}")),
                }
            }
        }
    }

    async fn limits(&mut self) {
        let splits = self.plan(1).await;
        for rows in [1, 5] {
            let request = ReadRequest { batch_rows: rows, ..usual() };
            let batches = self.all("batch rows", &splits, &request).await;
            let most = batches.iter().map(RecordBatch::num_rows).max().unwrap_or(0);
            self.faults.check(most <= rows, || format!("a batch has {most} rows where at most {rows} were asked for"));
        }
        let request = ReadRequest { batch_bytes: SMALL_BYTES, ..usual() };
        let batches = self.all("batch bytes", &splits, &request).await;
        let expected = self.expect.rows.clone();
        let got = self.wanted(&batches);
        self.faults.same("batch bytes", &got, &expected);
        for batch in batches.iter().filter(|batch| batch.num_rows() > 1) {
            let sizes: Vec<usize> = texts(std::slice::from_ref(batch)).iter().map(String::len).collect();
            let last = sizes.last().copied().unwrap_or(0);
            // The row that goes over the limit may still belong to the batch.
            let without_last: usize = sizes.iter().sum::<usize>() - last;
            self.faults.check(without_last <= 4 * SMALL_BYTES, || {
                format!("a batch of {} rows has {without_last} bytes where about {SMALL_BYTES} were asked for", batch.num_rows())
            });
        }
    }

    async fn cancels(&mut self) {
        let splits = self.plan(2).await;
        for split in &splits {
            for wait in [Duration::ZERO, Duration::from_millis(1), READ_TIME] {
                let request = ReadRequest { batch_rows: 2, ..usual() };
                if let Ok(mut reader) = self.source.open(split, None, request).await {
                    // Whether it answered in time does not matter: what comes next must be right.
                    let _was_read = tokio::time::timeout(wait, reader.read()).await.is_ok();
                    drop(reader);
                }
            }
        }
        let batches = self.all("after cancelled reads", &splits, &usual()).await;
        let got = self.wanted(&batches);
        let expected = self.expect.rows.clone();
        self.faults.same("after cancelled reads", &got, &expected);
    }

    async fn foreign_splits(&mut self) {
        for payload in ["", "nonsense", "{}", "-1", "[]", "999999999999"] {
            let split = Split { payload: payload.to_owned(), rows: None };
            if let Ok(mut reader) = self.source.open(&split, None, usual()).await {
                let is_refused = !matches!(reader.read().await, Ok(Outcome::Batch(batch, _)) if batch.num_rows() > 0);
                self.faults.check(is_refused, || format!("the foreign split '{payload}' gave rows"));
            }
        }
    }
}

/// Rows as text without regard to metadata.
fn bare(batches: &[RecordBatch]) -> Vec<String> {
    texts(batches)
}
