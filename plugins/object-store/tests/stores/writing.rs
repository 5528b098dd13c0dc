//! Rows as objects: the conformance suite, folders, modes, commits that race or are repeated after a crash.

use crate::server::{Kind, Server, all, prepare};
use arrow::array::RecordBatch;
use async_trait::async_trait;
use azora_connect::conformance::{self, Promise, SinkCase, sample};
use azora_connect::{Sink, WriterId, json as columns};
use azora_spec::{Code, JobId, OnError};
use serde_json::{Value, json};
use std::sync::Arc;

struct Case {
    server: Server,
    format: &'static str,
    /// Columns whose values become folders.
    by: &'static [&'static str],
}

impl Case {
    fn place(&self, target: &str) -> String {
        format!("{}{}/{target}", self.format, self.by.len())
    }
}

#[async_trait]
impl SinkCase for Case {
    async fn sink(&self, target: &str) -> Arc<dyn Sink> {
        self.server.sink(json!({"key": self.place(target), "format": self.format, "mode": "append", "partitionBy": self.by})).await
    }

    async fn rows(&self, target: &str) -> Vec<String> {
        // Before the first commit a reader that knows no commits would see parts: ours asks for commits only.
        let place = self.place(target);
        if self.server.keys(&format!("{place}/_azora/commits/*.json")).await.is_empty() {
            return Vec::new();
        }
        let read = self.server.source(json!({"key": format!("{place}/"), "format": self.format})).await.expect("a source");
        let rows = all(&read, OnError::Fail).await.expect("rows").0;
        // Columns of folders come last.
        let wanted = self.batches()[0].schema();
        let order = |batch: &RecordBatch| {
            let at: Vec<usize> = wanted.fields().iter().map(|field| batch.schema().index_of(field.name()).expect("a column")).collect();
            batch.project(&at).expect("columns")
        };
        conformance::texts(&rows.iter().map(order).collect::<Vec<_>>())
    }

    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }

    fn batches(&self) -> Vec<RecordBatch> {
        if self.by.is_empty() { sample::flat() } else { parted() }
    }
}

/// Rows whose texts name folders, or would like to lead out of them.
fn parted() -> Vec<RecordBatch> {
    let city = |n: i64| match n % 5 {
        0 => Value::Null,
        1 => json!("a/b=c"),
        2 => json!("100% ~"),
        3 => json!(".."),
        _ => json!("Łódź"),
    };
    let rows: Vec<Value> = (0..40).map(|n| json!({"n": n, "city": city(n), "day": n % 3})).collect();
    let schema = columns::infer(&rows, columns::MixedTypes::Refuse).expect("a schema");
    rows.chunks(15).map(|rows| columns::batch(&schema, rows).expect("a batch")).collect()
}

async fn sinks_conform(kind: Kind) {
    let cases = [("parquet", &[][..]), ("ndjson", &["city", "day"]), ("ndjson", &[]), ("arrow", &[]), ("csv", &["city"])];
    // What is the same for every store is asked of one.
    let count = if kind == Kind::S3 { cases.len() } else { 2 };
    for (format, by) in cases.into_iter().take(count) {
        let case = Case { server: Server::start(kind), format, by };
        conformance::sink(&case).await.unwrap_or_else(|faults| panic!("{format} {by:?}: {faults}"));
        let left = case.server.unfinished();
        assert!(!left.contains("<UploadId>"), "{left}");
    }
}

/// An object of several pieces is there whole, or not at all.
async fn large_objects(kind: Kind) {
    let server = Server::start(kind);
    let text = |n: u64| (0..64).map(|at| format!("{:016x}", (n * 67 + at).wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect::<String>();
    let rows: Vec<Value> = (0..20_000).map(|n| json!({"n": n, "text": text(n)})).collect();
    let schema = columns::infer(&rows[..1], columns::MixedTypes::Refuse).expect("a schema");
    let batches: Vec<RecordBatch> = rows.chunks(5000).map(|rows| columns::batch(&schema, rows).expect("a batch")).collect();
    server.write(json!({"key": "large", "format": "ndjson"}), &batches).await;
    let mut got = server.texts(json!({"key": "large/"})).await;
    let mut expected = conformance::texts(&batches);
    got.sort();
    expected.sort();
    assert!(got == expected, "{} rows", got.len());
    // A writer that is dropped gives its pieces up.
    let sink = server.sink(json!({"key": "dropped", "format": "ndjson"})).await;
    let job = JobId::generate();
    let mut writer = sink.open(WriterId { job, partition: 0, attempt: 0, epoch: 0 }, schema).await.expect("a writer");
    for batch in &batches {
        writer.write(batch.clone()).await.expect("written");
    }
    drop(writer);
    while server.unfinished().contains("<UploadId>") {
        tokio::task::yield_now().await;
    }
    assert!(server.keys("dropped/*").await.is_empty());
}

/// Two jobs that want the same empty prefix for themselves: one gets it.
async fn of_two_jobs_one_wins(kind: Kind) {
    let server = Server::start(kind);
    for mode in ["error", "ignore"] {
        let members = json!({"key": mode, "format": "ndjson", "mode": mode});
        let mut prepared = Vec::new();
        for _ in 0..4 {
            let (sink, job, batch) = (server.sink(members.clone()).await, JobId::generate(), sample::flat()[0].clone());
            let mut writer = sink.open(WriterId { job, partition: 0, attempt: 0, epoch: 0 }, batch.schema()).await.expect("a writer");
            writer.write(batch.clone()).await.expect("written");
            prepared.push((sink, job, batch.schema(), writer.prepare().await.expect("prepared")));
        }
        let commits = prepared.into_iter().map(|(sink, job, schema, token)| async move { sink.commit(job, 0, schema, &[token]).await });
        let results = futures::future::join_all(commits).await;
        let won = results.iter().filter(|result| result.as_ref().is_ok_and(|receipt| receipt.rows > 0)).count();
        assert_eq!(won, 1, "{results:?}");
        let is_right = |result: &Result<_, azora_spec::Failure>| match result {
            Ok(_) => true,
            Err(failure) => mode == "error" && failure.code == Code::SinkExists,
        };
        assert!(results.iter().all(is_right), "{results:?}");
        assert_eq!(server.texts(json!({"key": format!("{mode}/")})).await.len(), 7);
        // What is refused is the job's to take back; what is left out is gone.
        let parts = server.keys(&format!("{mode}/part-*")).await.len();
        assert_eq!(parts, if mode == "error" { 4 } else { 1 });
    }
}

/// `ignore` leaves what is there, and says so before anything is computed; `error` refuses it; `overwrite` replaces it.
async fn modes(kind: Kind) {
    let server = Server::start(kind);
    let members = |mode: &str| json!({"key": "m", "format": "ndjson", "mode": mode, "partitionBy": "city"});
    let rows = parted();
    server.write(members("ignore"), &rows).await;
    let before = server.keys("m/*/*").await;
    assert_eq!(server.texts(json!({"key": "m/"})).await.len(), 40);
    for mode in ["ignore", "error"] {
        let sink = server.sink(members(mode)).await;
        assert_eq!(sink.leaves_what_is_there(), mode == "ignore");
        assert_eq!(sink.check().await.expect_err("it is there").code, Code::SinkExists);
    }
    // Who did not look is left out at the commit, however often it is repeated.
    let (sink, job) = (server.sink(members("ignore")).await, JobId::generate());
    let tokens = prepare(&sink, job, &rows[..1]).await;
    for _ in 0..2 {
        assert_eq!(sink.commit(job, 0, rows[0].schema(), &tokens).await.expect("left").rows, 0);
    }
    assert_eq!(server.keys("m/*/*").await, before);
    server.write(members("overwrite"), &rows[..1]).await;
    assert_eq!(server.texts(json!({"key": "m/"})).await.len(), 15);
}

/// What rows in folders cannot be is told before a job starts.
async fn folders_that_cannot_be(kind: Kind) {
    let server = Server::start(kind);
    let schema = parted()[0].schema();
    let refused = async |members: Value| {
        let mut config = json!({"key": "f", "format": "csv"});
        config.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        server.sink(config).await.fits(&schema).map_err(|failure| (failure.code, failure.pointer.unwrap_or_default()))
    };
    assert_eq!(refused(json!({"partitionBy": ["city", "day"]})).await, Ok(()));
    assert_eq!(refused(json!({"partitionBy": ["city", "dai"]})).await, Err((Code::ColumnUnknown, "/partitionBy/1".to_owned())));
    assert_eq!(refused(json!({"partitionBy": ["n", "city", "day"]})).await, Err((Code::OperationInvalid, "/partitionBy".to_owned())));
    assert_eq!(refused(json!({"format": "text"})).await, Err((Code::OperationInvalid, "/format".to_owned())));
    assert_eq!(refused(json!({"format": "text", "partitionBy": ["n", "city"]})).await, Ok(()));
}

/// So many folders that a token cannot hold them: they stand in an object that the commit removes, and a commit that was
/// broken off behind that goes on.
async fn many_folders(kind: Kind) {
    let server = Server::start(kind);
    let rows: Vec<Value> = (0..400).map(|n| json!({"n": n, "id": format!("{n:0>60}")})).collect();
    let schema = columns::infer(&rows, columns::MixedTypes::Refuse).expect("a schema");
    let batch = columns::batch(&schema, &rows).expect("a batch");
    let sink = server.sink(json!({"key": "many", "format": "ndjson", "partitionBy": ["id"]})).await;
    let job = JobId::generate();
    let tokens = prepare(&sink, job, &[batch]).await;
    assert!(tokens.iter().all(|token| token.0.len() < 64 << 10));
    assert_eq!(server.keys("many/_azora/prepared/*").await.len(), 1);
    for _ in 0..2 {
        let receipt = sink.commit(job, 0, Arc::clone(&schema), &tokens).await.expect("committed");
        assert_eq!((receipt.rows, receipt.outputs.len()), (400, 400));
    }
    assert!(server.keys("many/_azora/prepared/*").await.is_empty());
    assert_eq!(server.texts(json!({"key": "many/"})).await.len(), 400);
}

/// Google's protocol is written without a key, too: the client must not look for one of the machine's.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_may_write() {
    let server = Server::start(Kind::Gcs);
    let mut config = server.config(json!({"key": "n", "format": "ndjson"}));
    config.remove("serviceAccountKey");
    let setup = azora_connect::Setup { secrets: azora_connect::Secrets::new([]), ..crate::server::setup() };
    let sink = crate::server::connector("gcs", &setup).sink(&config).await.expect("a sink");
    let (job, rows) = (JobId::generate(), sample::flat());
    let tokens = prepare(&sink, job, &rows).await;
    assert_eq!(sink.commit(job, 0, rows[0].schema(), &tokens).await.expect("committed").rows, 23);
}

crate::on_every_store!(sinks_conform, large_objects, of_two_jobs_one_wins, modes, folders_that_cannot_be, many_folders);
