//! The connector against a real S3 server: the conformance suite over every format, folders as columns, compression, bad
//! records, and servers, buckets and keys that are not there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use async_trait::async_trait;
use azora_connect::conformance::{self, Expect, Promise, SinkCase, sample};
use azora_connect::{Connector, Outcome, Policy, ReadRequest, Rejects, Secrets, Setup, Sink, Source, WriterId};
use azora_services::S3;
use azora_spec::{Code, Failure, JobId, OnError, Secret};
use serde_json::{Map, Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn connector(setup: &Setup) -> Arc<dyn Connector> {
    azora_object_store::connectors(setup).into_iter().find(|connector| connector.name() == "s3").expect("s3")
}

fn setup() -> Setup {
    let secrets = Secrets::new([("KEY".to_owned(), Secret::new("canary-secret".to_owned()))]);
    Setup { network: Policy::local(), secrets }
}

fn config(server: &S3, members: Value) -> Map<String, Value> {
    let mut config = json!({
        "bucket": S3::BUCKET, "endpoint": server.endpoint(), "accessKeyId": "id", "secretAccessKey": {"secret": "KEY"},
    });
    let config = config.as_object_mut().expect("an object");
    config.extend(members.as_object().expect("an object").clone());
    config.clone()
}

async fn source(server: &S3, members: Value) -> Result<Arc<dyn Source>, Failure> {
    connector(&setup()).source(&config(server, members)).await
}

/// Everything that a source gives, and what it rejects.
async fn all(source: &Arc<dyn Source>, policy: OnError) -> Result<(Vec<RecordBatch>, Rejects), Failure> {
    let rejects = Rejects::new(policy);
    let mut batches = Vec::new();
    for split in source.plan(3).await? {
        let request = ReadRequest { rejects: rejects.clone(), ..ReadRequest::new(8192, 8 << 20) };
        let mut reader = source.open(&split, None, request).await?;
        while let Outcome::Batch(batch, _) = reader.read().await? {
            batches.push(batch);
        }
    }
    Ok((batches, rejects))
}

/// Writes batches as one job with some format, in two partitions.
async fn write(server: &S3, key: &str, format: &str, batches: &[RecordBatch]) {
    let sink = connector(&setup()).sink(&config(server, json!({"key": key, "format": format}))).await.expect("a sink");
    let (job, schema) = (JobId::generate(), batches[0].schema());
    sink.check().await.expect("free");
    let mut tokens = Vec::new();
    for (partition, part) in [&batches[..1], &batches[1..]].into_iter().enumerate() {
        let id = WriterId { job, partition, attempt: 0, epoch: 0 };
        let mut writer = sink.open(id, Arc::clone(&schema)).await.expect("a writer");
        for batch in part {
            writer.write(batch.clone()).await.expect("written");
        }
        tokens.push(writer.prepare().await.expect("prepared"));
    }
    sink.commit(job, 0, schema, &tokens).await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_of_every_format_conform() {
    let server = S3::start().expect("a server");
    for format in ["ndjson", "json", "parquet", "avro"] {
        let batches = sample::nested();
        write(&server, &format!("all/{format}"), format, &batches).await;
        let read = source(&server, json!({"key": format!("all/{format}/")})).await.expect(format);
        conformance::source(&read, &Expect::of(&batches)).await.unwrap_or_else(|faults| panic!("{format}: {faults}"));
    }
    // CSV knows no difference between no text and an empty one.
    let flat: Vec<RecordBatch> = sample::flat().iter().map(|batch| batch.project(&[0, 2, 3]).expect("columns")).collect();
    write(&server, "all/csv", "csv", &flat).await;
    let read = source(&server, json!({"key": "all/csv/"})).await.expect("csv");
    conformance::source(&read, &Expect::of(&flat)).await.unwrap_or_else(|faults| panic!("csv: {faults}"));
}

/// Counts the bytes that a server sends, on the way to its client.
struct Meter {
    port: u16,
    bytes: Arc<AtomicU64>,
}

impl Meter {
    fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let meter = Self { port: listener.local_addr().expect("an address").port(), bytes: Arc::default() };
        let bytes = Arc::clone(&meter.bytes);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let upstream = TcpStream::connect(&server).expect("the server");
                let (mut from, mut to) = (client.try_clone().expect("a handle"), upstream.try_clone().expect("a handle"));
                std::thread::spawn(move || std::io::copy(&mut from, &mut to).map(|_| to.shutdown(std::net::Shutdown::Write)));
                let (mut from, mut to, bytes) = (upstream, client, Arc::clone(&bytes));
                std::thread::spawn(move || {
                    let mut buffer = vec![0; 64 << 10];
                    while let Ok(read @ 1..) = from.read(&mut buffer) {
                        bytes.fetch_add(read as u64, Ordering::Relaxed);
                        if to.write_all(&buffer[..read]).is_err() {
                            return;
                        }
                    }
                    to.shutdown(std::net::Shutdown::Both).ok();
                });
            }
        });
        meter
    }

    /// What was sent since the last time.
    fn take(&self) -> u64 {
        self.bytes.swap(0, Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parquet_only_the_wanted_columns_are_fetched() {
    let server = S3::start().expect("a server");
    let rows = 40_000;
    // Texts that do not compress beside small numbers.
    let random = |row: u64| (0..20).map(|at| format!("{:x}", (row * 31 + at).wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect::<String>();
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("wide", Arc::new(StringArray::from_iter_values((0..rows).map(|row| random(row as u64))))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    write(&server, "wide", "parquet", &[batch.slice(0, 20_000), batch.slice(20_000, 20_000)]).await;
    let meter = Meter::before(server.process.address().to_string());
    let through = json!({"key": "wide/", "endpoint": format!("http://127.0.0.1:{}", meter.port)});
    let read = source(&server, through).await.expect("a source");
    let mut fetched = Vec::new();
    for projection in [vec![0, 1], vec![0], vec![]] {
        meter.take();
        let mut count = 0;
        for split in read.plan(1).await.expect("splits") {
            let request = ReadRequest { projection: Some(projection.clone()), ..ReadRequest::new(8192, 8 << 20) };
            let mut reader = read.open(&split, None, request).await.expect("a reader");
            while let Outcome::Batch(batch, _) = reader.read().await.expect("rows") {
                count += batch.num_rows();
            }
        }
        assert_eq!(count, 40_000);
        fetched.push(meter.take());
    }
    println!("bytes fetched of both columns, the numbers, none: {fetched:?}");
    assert!(fetched[0] > 5_000_000, "{fetched:?}");
    assert!(fetched[1] * 8 < fetched[0] && fetched[2] * 20 < fetched[0], "{fetched:?}");
}

struct Case {
    server: S3,
    format: &'static str,
}

#[async_trait]
impl SinkCase for Case {
    async fn sink(&self, target: &str) -> Arc<dyn Sink> {
        let members = json!({"key": format!("{}/{target}", self.format), "format": self.format, "mode": "append"});
        connector(&setup()).sink(&config(&self.server, members)).await.expect("a sink")
    }

    async fn rows(&self, target: &str) -> Vec<String> {
        // Before the first commit a reader that knows no commits would see parts: ours asks for commits only.
        let commits = self.server.request("GET", &format!("/{}?list-type=2&prefix={}/{target}/_azora", S3::BUCKET, self.format));
        if !commits.expect("listed").contains("<Key>") {
            return Vec::new();
        }
        let members = json!({"key": format!("{}/{target}/", self.format), "format": self.format});
        let read = source(&self.server, members).await.expect("a source");
        conformance::texts(&all(&read, OnError::Fail).await.expect("rows").0)
    }

    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_conform() {
    for format in ["parquet", "ndjson"] {
        let case = Case { server: S3::start().expect("a server"), format };
        conformance::sink(&case).await.unwrap_or_else(|faults| panic!("{format}: {faults}"));
        let left = case.server.request("GET", &format!("/{}?uploads", S3::BUCKET)).expect("listed");
        assert!(!left.contains("<UploadId>"), "{left}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_patterns_and_compression_are_understood() {
    let server = S3::start().expect("a server");
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    };
    server.put("t/country=ZA/year=2024/a.json.gz", &gzip("{\"id\":1}\n{\"id\":2}\n")).expect("put");
    let zstd = zstd::encode_all(b"{\"id\":3}".as_slice(), 0).expect("memory");
    server.put("t/country=NA%2FX/year=2025/b.json.zst", &zstd).expect("put");
    server.put("t/_hidden.json", b"{").expect("put");
    let read = source(&server, json!({"key": "t/"})).await.expect("a source");
    let mut rows = conformance::texts(&all(&read, OnError::Fail).await.expect("rows").0);
    rows.sort();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(rows[0], r#"{"id":1,"country":"ZA","year":2024}"#);
    assert!(rows[2].starts_with(r#"{"id":3,"country":"NA"#) && rows[2].ends_with(r#""year":2025}"#), "{rows:?}");
    let read = source(&server, json!({"key": "t/country=ZA/*/*.gz", "format": "ndjson"})).await.expect("a source");
    assert_eq!(all(&read, OnError::Fail).await.expect("rows").0[0].num_rows(), 2);
    // What ends in the middle is no shorter file.
    let whole = gzip(&"{\"id\":1}\n".repeat(1000));
    server.put("cut/a.json.gz", &whole[..whole.len() / 2]).expect("put");
    let cut = source(&server, json!({"key": "cut/a.json.gz", "format": "ndjson", "schema": {"id": "int64"}})).await.expect("a source");
    assert_eq!(all(&cut, OnError::Fail).await.expect_err("cut").code, Code::FileFormat);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_fail_or_are_told() {
    let server = S3::start().expect("a server");
    server.put("bad.ndjson", b"{\"id\":1}\n{\"id\":\"x\"}\nnonsense\n\n{\"id\":2}\n").expect("put");
    let members = json!({"key": "bad.ndjson", "schema": {"id": "int64"}});
    let read = source(&server, members).await.expect("a source");
    let failure = all(&read, OnError::Fail).await.expect_err("bad");
    assert_eq!(failure.code, Code::RecordBad);
    assert!(failure.message.contains("s3://rows/bad.ndjson, record 1"), "{}", failure.message);
    let (batches, rejects) = all(&read, OnError::DeadLetter).await.expect("rows");
    assert_eq!((conformance::texts(&batches).len(), rejects.count()), (2, 2));
    let kept = rejects.take();
    assert_eq!((kept[1].payload.as_slice(), kept[1].place.as_str()), (b"nonsense".as_slice(), "s3://rows/bad.ndjson, record 2"));
    server.put("bad.csv", b"id,ok\n1,true\nx,true\n2\n3,false\n").expect("put");
    let read = source(&server, json!({"key": "bad.csv", "schema": {"id": "int64", "ok": "boolean"}})).await.expect("a source");
    let (batches, rejects) = all(&read, OnError::Skip).await.expect("rows");
    assert_eq!((conformance::texts(&batches).len(), rejects.count()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named_and_no_secret_is_shown() {
    let server = S3::start().expect("a server");
    server.put("a.json", b"[{\"id\":1}]").expect("put");
    let check = async |members: Value, code: Code, part: &str| {
        let failure = source(&server, members).await.expect_err(part);
        assert_eq!(failure.code, code, "{failure}");
        let text = format!("{failure:?}");
        assert!(text.contains(part) && !text.contains("canary"), "{text}");
    };
    check(json!({"key": "b.json"}), Code::ConnectorMissing, "s3://rows/b.json").await;
    check(json!({"key": "none/"}), Code::ConnectorMissing, "s3://rows/none/").await;
    check(json!({"bucket": "absent", "key": "x/"}), Code::ConnectorMissing, "s3://absent/").await;
    check(json!({"key": "a.json", "endpoint": "http://127.0.0.1:9"}), Code::ConnectorUnavailable, "s3://rows/a.json").await;
    check(json!({"key": "a.json", "endpoint": "http://169.254.169.254"}), Code::NetworkRefused, "169.254.169.254").await;
    check(json!({"key": "a.json", "secretAccessKey": "${secret:OTHER}"}), Code::SecretUnknown, "OTHER").await;
    check(json!({"key": "../a.json"}), Code::ConnectorConfig, "key").await;
    check(json!({"key": "a.json", "buckett": "x"}), Code::ConnectorConfig, "did you mean 'bucket'").await;
    let label = connector(&setup()).label(&config(&server, json!({"key": "a.json"})));
    assert_eq!(label, "s3://rows/a.json");
}

/// Two jobs that want the same empty prefix for themselves: one gets it.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_jobs_one_wins() {
    let server = S3::start().expect("a server");
    let members = json!({"key": "one", "format": "ndjson", "mode": "error"});
    let mut prepared = Vec::new();
    for _ in 0..4 {
        let sink = connector(&setup()).sink(&config(&server, members.clone())).await.expect("a sink");
        let (job, batch) = (JobId::generate(), sample::flat()[0].clone());
        let mut writer = sink.open(WriterId { job, partition: 0, attempt: 0, epoch: 0 }, batch.schema()).await.expect("a writer");
        writer.write(batch.clone()).await.expect("written");
        prepared.push((sink, job, batch.schema(), writer.prepare().await.expect("prepared")));
    }
    let commits = prepared.into_iter().map(|(sink, job, schema, token)| async move { sink.commit(job, 0, schema, &[token]).await });
    let results = futures::future::join_all(commits).await;
    let won = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(won, 1, "{results:?}");
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|failure| failure.code == Code::SinkExists), "{results:?}");
    let read = source(&server, json!({"key": "one/"})).await.expect("a source");
    assert_eq!(all(&read, OnError::Fail).await.expect("rows").0.iter().map(RecordBatch::num_rows).sum::<usize>(), 7);
}
