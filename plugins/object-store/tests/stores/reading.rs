//! Objects of every format as rows: the conformance suite, folders as columns, compression, bad records, and servers, buckets
//! and keys that are not there.

use crate::server::{Kind, Server, all, connector, setup};
use arrow::array::{ArrayRef, DictionaryArray, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Int32Type};
use arrow::ipc::writer::StreamWriter;
use azora_connect::compress::{Codec, Deflate};
use azora_connect::conformance::{self, Expect, sample};
use azora_connect::{Policy, Secrets, Setup};
use azora_services::Gcs;
use azora_spec::{Code, OnError, Secret};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;

async fn every_format_conforms(kind: Kind) {
    let server = Server::start(kind);
    for format in ["ndjson", "json", "parquet", "avro", "arrow"] {
        let batches = sample::nested();
        server.write(json!({"key": format!("all/{format}"), "format": format}), &batches).await;
        let read = server.source(json!({"key": format!("all/{format}/")})).await.expect(format);
        conformance::source(&read, &Expect::of(&batches)).await.unwrap_or_else(|faults| panic!("{format}: {faults}"));
    }
    // CSV knows no difference between no text and an empty one.
    let flat: Vec<RecordBatch> = sample::flat().iter().map(|batch| batch.project(&[0, 2, 3]).expect("columns")).collect();
    server.write(json!({"key": "all/csv", "format": "csv"}), &flat).await;
    let read = server.source(json!({"key": "all/csv/"})).await.expect("csv");
    conformance::source(&read, &Expect::of(&flat)).await.unwrap_or_else(|faults| panic!("csv: {faults}"));
}

/// Others' Arrow objects: a stream, dictionaries, views; and bytes that are cut off or none of it.
#[tokio::test(flavor = "multi_thread")]
async fn arrow_of_others() {
    let server = Server::start(Kind::S3);
    let kinds: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let columns: [(&str, ArrayRef); 2] = [("kind", Arc::new(kinds)), ("text", Arc::new(StringViewArray::from(vec!["x", "y", "z"])))];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    writer.write(&batch).expect("written");
    let bytes = writer.into_inner().expect("closed");
    server.put("o/a.feather", &bytes);
    let read = server.source(json!({"key": "o/a.feather"})).await.expect("a source");
    assert!(read.schema().fields().iter().all(|field| *field.data_type() == DataType::Utf8), "{:?}", read.schema());
    let rows = conformance::texts(&all(&read, OnError::Fail).await.expect("rows").0);
    assert_eq!(rows, [r#"{"kind":"a","text":"x"}"#, r#"{"kind":"b","text":"y"}"#, r#"{"kind":"a","text":"z"}"#]);
    server.put("o/cut.arrow", &bytes[..bytes.len() / 2]);
    server.put("o/none.arrow", b"ARROW1 but not really, and long enough");
    for key in ["o/cut.arrow", "o/none.arrow"] {
        let failure = match server.source(json!({"key": key})).await {
            Ok(read) => all(&read, OnError::Fail).await.expect_err(key),
            Err(failure) => failure,
        };
        let named = format!("'s3://rows/{key}' at {} is not a readable Arrow file", server.address());
        assert!(failure.code == Code::FileFormat && failure.message.starts_with(&named), "{failure}");
    }
}

fn packed(codec: Codec, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut deflate = Deflate::new(Some(codec), &mut out).expect("memory");
    deflate.write_all(text).expect("memory");
    deflate.finish().expect("memory");
    out
}

/// Every codec, read by its ending and by its word; what is cut off and what is a bomb is told.
async fn compressed(kind: Kind) {
    let server = Server::start(kind);
    // The codecs are the same for every store, and that they are asked for is seen by one.
    for codec in Codec::ALL.into_iter().filter(|codec| kind == Kind::S3 || *codec == Codec::Bzip2) {
        let (word, end) = (codec.as_str(), codec.suffix());
        let whole = packed(codec, "{\"id\":1}\n".repeat(1000).as_bytes());
        server.put(&format!("{word}/a.ndjson{end}"), &whole);
        assert_eq!(server.texts(json!({"key": format!("{word}/a.ndjson{end}")})).await.len(), 1000, "{word}");
        server.put(&format!("{word}/odd"), &whole);
        let members = json!({"key": format!("{word}/odd"), "format": "ndjson", "compression": word});
        assert_eq!(server.texts(members).await.len(), 1000, "{word}");
        server.put(&format!("{word}/cut.ndjson{end}"), &whole[..whole.len() - 5]);
        let cut = json!({"key": format!("{word}/cut.ndjson{end}"), "schema": {"id": "int64"}});
        let cut = server.source(cut).await.expect("a source");
        assert_eq!(all(&cut, OnError::Fail).await.expect_err("cut").code, Code::FileFormat, "{word}");
        for format in ["ndjson", "json"].into_iter().filter(|_| kind == Kind::S3) {
            server.put(&format!("{word}/bomb.{format}{end}"), &packed(codec, &[&[b' '; 999][..], b"\n"].concat().repeat(80_000)));
            let bomb = json!({"key": format!("{word}/bomb.{format}{end}"), "schema": {"id": "int64"}});
            let bomb = server.source(bomb).await.expect("a source");
            let failure = all(&bomb, OnError::Fail).await.expect_err("a bomb");
            assert!(failure.code == Code::FileFormat && failure.message.contains("200 times"), "{word} {format}: {failure}");
        }
        let rows = sample::flat();
        server.write(json!({"key": format!("{word}/own"), "format": "ndjson", "compression": word}), &rows).await;
        let keys = server.keys(&format!("{word}/own/*{end}")).await;
        assert_eq!(keys.len(), 2, "{keys:?}");
        let mut got = server.texts(json!({"key": format!("{word}/own/")})).await;
        let mut expected = conformance::texts(&rows);
        got.sort();
        expected.sort();
        assert_eq!(got, expected, "{word}");
    }
}

/// Folders are columns, also where their names are escaped, and patterns find what they say.
async fn folders_and_patterns(kind: Kind) {
    let server = Server::start(kind);
    server.put("t/country=ZA/year=2024/a.json.gz", &packed(Codec::Gzip, b"{\"id\":1}\n{\"id\":2}\n"));
    server.put("t/country=NA%2FX/year=2025/b.json.zst", &packed(Codec::Zstd, b"{\"id\":3}"));
    server.put("t/_hidden.json", b"{");
    let mut rows = server.texts(json!({"key": "t/"})).await;
    rows.sort();
    let expect =
        [r#"{"id":1,"country":"ZA","year":2024}"#, r#"{"id":2,"country":"ZA","year":2024}"#, r#"{"id":3,"country":"NA/X","year":2025}"#];
    assert_eq!(rows, expect);
    assert_eq!(server.texts(json!({"key": "t/country=ZA/*/*.gz", "format": "ndjson"})).await.len(), 2);
    // A key is taken as it is.
    server.put("odd/100%~[1] é.csv", b"x\n7\n");
    assert_eq!(server.texts(json!({"key": "odd/"})).await, [r#"{"x":7}"#]);
}

async fn bad_records_fail_or_are_told(kind: Kind) {
    let server = Server::start(kind);
    server.put("bad.ndjson", b"{\"id\":1}\n{\"id\":\"x\"}\nnonsense\n\n{\"id\":2}\n");
    let members = json!({"key": "bad.ndjson", "schema": {"id": "int64"}});
    let read = server.source(members).await.expect("a source");
    let failure = all(&read, OnError::Fail).await.expect_err("bad");
    assert_eq!(failure.code, Code::RecordBad);
    let place = |record: u8| format!("{}://rows/bad.ndjson at {}, record {record}", server.name(), server.address());
    assert!(failure.message.contains(&place(1)), "{}", failure.message);
    let (batches, rejects) = all(&read, OnError::DeadLetter).await.expect("rows");
    assert_eq!((conformance::texts(&batches).len(), rejects.count()), (2, 2));
    let kept = rejects.take();
    assert_eq!((kept[1].payload.as_slice(), kept[1].place.as_str()), (b"nonsense".as_slice(), place(2).as_str()));
    let mixed = server.source(json!({"key": "bad.ndjson"})).await.expect_err("two types");
    let named = format!("'{}://rows/bad.ndjson' at {}: row 1 has ", server.name(), server.address());
    assert!(mixed.code == Code::DataMixed && mixed.message.starts_with(&named), "{mixed}");
    server.put("bad.csv", b"id,ok\n1,true\nx,true\n2\n3,false\n");
    let read = server.source(json!({"key": "bad.csv", "schema": {"id": "int64", "ok": "boolean"}})).await.expect("a source");
    let (batches, rejects) = all(&read, OnError::Skip).await.expect("rows");
    assert_eq!((conformance::texts(&batches).len(), rejects.count()), (2, 2));
}

async fn what_is_not_there_is_named(kind: Kind) {
    let server = Server::start(kind);
    server.put("a.json", b"[{\"id\":1}]");
    let check = async |members: Value, code: Code, part: &str| {
        let failure = server.source(members).await.expect_err(part);
        assert_eq!(failure.code, code, "{failure}");
        let text = format!("{failure:?}");
        assert!(text.contains(part) && !text.contains("canary"), "{text}");
    };
    let name = server.name();
    let (bucket, key) = match kind {
        Kind::S3 => ("bucket", "secretAccessKey"),
        Kind::Gcs => ("bucket", "serviceAccountKey"),
        Kind::Azure => ("container", "accessKey"),
    };
    check(json!({"key": "b.json"}), Code::ConnectorMissing, &format!("{name}://rows/b.json")).await;
    check(json!({"key": "none/"}), Code::ConnectorMissing, &format!("{name}://rows/none/")).await;
    let absent = format!("the {bucket} of '{name}://absent/x' at {} does not exist", server.address());
    check(json!({bucket: "absent", "key": "x/"}), Code::ConnectorMissing, &absent).await;
    check(json!({"key": "a.json", "endpoint": server.endpoint(9)}), Code::ConnectorUnavailable, &format!("{name}://rows/a.json")).await;
    check(json!({"key": "a.json", "endpoint": "http://169.254.169.254"}), Code::NetworkRefused, "169.254.169.254").await;
    check(json!({"key": "a.json", key: "${secret:OTHER}"}), Code::SecretUnknown, "OTHER").await;
    check(json!({"key": "../a.json"}), Code::ConnectorConfig, "key").await;
    check(json!({"key": "a.json", "endpont": "x"}), Code::ConnectorConfig, "did you mean 'endpoint'").await;
    let label = connector(name, &setup()).label(&server.config(json!({"key": "a.json"})));
    assert_eq!(label, format!("{name}://rows/a.json"));
}

/// Azure's server compares signatures: a wrong key is told as one, without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_denied() {
    let server = Server::start(Kind::Azure);
    server.put("a.json", b"[1]");
    let failure = server.source(json!({"key": "a.json", "accessKey": "Y2FuYXJ5"})).await.expect_err("denied");
    assert_eq!(failure.code, Code::ConnectorDenied, "{failure}");
    assert!(!format!("{failure:?}").contains("Y2FuYXJ5"), "{failure:?}");
    let failure = server.source(json!({"key": "a.json", "accessKey": "no base64"})).await.expect_err("no key");
    assert_eq!(failure.code, Code::ConnectorConfig, "{failure}");
}

/// A key of a service account can name a server: it is not asked, whatever the policy.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_leads_nowhere() {
    let canary = TcpListener::bind("127.0.0.1:0").expect("a port");
    canary.set_nonblocking(true).expect("a listener");
    let elsewhere = format!("http://{}", canary.local_addr().expect("an address"));
    let key = Gcs::KEY.replace('{', &format!(r#"{{"gcs_base_url": "{elsewhere}", "#));
    let secrets = Secrets::new([("GCS".to_owned(), Secret::new(key))]);
    let setup = Setup { network: Policy::local().only_allowed(), secrets };
    let config = json!({"bucket": "rows", "key": "a.json", "serviceAccountKey": {"secret": "GCS"}});
    let failure = connector("gcs", &setup).source(config.as_object().expect("an object")).await.expect_err("nobody");
    assert!(matches!(failure.code, Code::NetworkRefused | Code::ConnectorUnavailable), "{failure}");
    assert!(canary.accept().is_err(), "the server that the key names was asked");
}

crate::on_every_store!(every_format_conforms, compressed, folders_and_patterns, bad_records_fail_or_are_told, what_is_not_there_is_named);
