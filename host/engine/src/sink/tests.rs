//! Two-phase sinks: commit, abort, both repeated, and crashes between. Encoders are tested with the formats.

mod conformance;
mod folders;

use crate::testing::{Bench, file_sink, inline, job, run_context, tree};
use crate::{Planned, RunContext};
use azora_connect::Token;
use azora_spec::{Code, FileFormat, Input, JobId, JobSpec, Sink, WriteMode};
use serde_json::{Value, json};

fn numbers(from: i64, to: i64) -> Input {
    inline((from..to).map(Value::from).collect())
}

fn spec(rows: Input, sink: Sink) -> JobSpec {
    let mut spec = job(rows, Vec::new(), sink);
    spec.options.parallelism = Some(3);
    spec
}

async fn prepared(bench: &Bench, spec: &JobSpec, id: JobId) -> (Planned, Vec<Token>) {
    let planned = bench.plan(spec).await.unwrap();
    let tokens = bench.run_planned(&planned, id).await.unwrap();
    (planned, tokens)
}

fn visible(bench: &Bench) -> Vec<String> {
    tree(&bench.root()).into_keys().filter(|name| !name.split('/').any(|part| part.starts_with('.'))).collect()
}

async fn sum(bench: &Bench, path: &str) -> (usize, i64) {
    let Value::Array(rows) = bench.read(json!({"path": path})).await.unwrap() else { return (0, 0) };
    let value = |row: &Value| row.as_i64().or_else(|| row.get("value").and_then(Value::as_i64)).unwrap_or(0);
    (rows.len(), rows.iter().map(value).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_reads_back() {
    let bench = Bench::new();
    let rows = json!([{"a": 1, "b": "x,y", "c": 1.5}, {"a": 2, "b": "\"q\"", "c": null}]);
    for format in [FileFormat::Parquet, FileFormat::Csv, FileFormat::Ndjson, FileFormat::Json, FileFormat::Arrow] {
        let name = format.as_str();
        for path in [format!("out/{name}"), format!("out-{name}.{name}")] {
            let (_, receipt) = bench.run(&spec(inline(rows.clone()), file_sink(&path, format, WriteMode::ErrorIfExists))).await.unwrap();
            assert_eq!(receipt.rows, 2, "{path}");
            assert_eq!(bench.read(json!({"path": path, "format": name})).await.unwrap(), rows, "{path}");
        }
    }
    for (path, codec) in [("z.csv.gz", "gzip"), ("zst", "zstd"), ("b", "bzip2"), ("x.csv.xz", "xz"), ("pq", "zstd")] {
        let format = if path == "pq" { FileFormat::Parquet } else { FileFormat::Csv };
        let sink = Sink::File {
            path: path.to_owned(),
            format,
            compression: Some(codec.to_owned()),
            mode: WriteMode::ErrorIfExists,
            partition_by: Vec::new(),
        };
        bench.run(&spec(inline(rows.clone()), sink)).await.unwrap();
        assert_eq!(bench.read(json!({"path": path, "format": format.as_str()})).await.unwrap(), rows, "{path}");
    }
    assert!(tree(&bench.root()).keys().all(|name| !name.contains(".azora-")), "staging was left");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_visible_before_commit_and_commit_repeats() {
    let bench = Bench::new();
    for path in ["dir", "one.parquet"] {
        let job = JobId::generate();
        let (planned, tokens) =
            prepared(&bench, &spec(numbers(0, 1000), file_sink(path, FileFormat::Parquet, WriteMode::ErrorIfExists)), job).await;
        assert_eq!(visible(&bench).iter().filter(|name| name.starts_with(path)).count(), 0, "{path}");
        let first = bench.engine.commit(&planned, job, &tokens).await.unwrap();
        let after = tree(&bench.root());
        for _ in 0..2 {
            assert_eq!(bench.engine.commit(&planned, job, &tokens).await.unwrap(), first);
            assert_eq!(tree(&bench.root()), after, "{path}");
        }
        assert_eq!(sum(&bench, path).await, (1000, 499_500), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn abort_leaves_nothing() {
    let bench = Bench::new();
    for (path, mode) in [("dir", WriteMode::ErrorIfExists), ("dir", WriteMode::Append), ("one.csv", WriteMode::Overwrite)] {
        let job = JobId::generate();
        let format = if path == "dir" { FileFormat::Parquet } else { FileFormat::Csv };
        let (planned, tokens) = prepared(&bench, &spec(numbers(0, 10), file_sink(path, format, mode)), job).await;
        for _ in 0..2 {
            bench.engine.abort(&planned, job, &tokens).await.unwrap();
            assert!(tree(&bench.root()).is_empty(), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_targets() {
    let bench = Bench::new();
    for path in ["dir", "one.ndjson"] {
        let sink = |mode| file_sink(path, FileFormat::Ndjson, mode);
        bench.run(&spec(numbers(0, 10), sink(WriteMode::ErrorIfExists))).await.unwrap();
        let failure = bench.plan(&spec(numbers(0, 10), sink(WriteMode::ErrorIfExists))).await.unwrap_err();
        assert_eq!(failure.code, Code::SinkExists);
        bench.run(&spec(numbers(0, 5), sink(WriteMode::Overwrite))).await.unwrap();
        assert_eq!(sum(&bench, path).await, (5, 10), "{path}");
    }
    bench.run(&spec(numbers(5, 10), file_sink("dir", FileFormat::Ndjson, WriteMode::Append))).await.unwrap();
    assert_eq!(sum(&bench, "dir").await, (10, 45));
    assert!(tree(&bench.root()).keys().all(|name| !name.contains(".azora-")));
    let failure = bench.plan(&spec(numbers(0, 1), file_sink("one.ndjson", FileFormat::Ndjson, WriteMode::Append))).await.unwrap_err();
    assert_eq!(failure.code, Code::RequestField);
}

/// The target appears between planning and commit: it is not touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_appears_meanwhile_is_not_replaced() {
    let bench = Bench::new();
    for path in ["dir", "one.csv"] {
        let job = JobId::generate();
        let (planned, tokens) =
            prepared(&bench, &spec(numbers(0, 10), file_sink(path, FileFormat::Csv, WriteMode::ErrorIfExists)), job).await;
        if path == "dir" {
            bench.put("dir/theirs.csv", "x\n1\n")
        } else {
            bench.put(path, "theirs")
        }
        let failure = bench.engine.commit(&planned, job, &tokens).await.unwrap_err();
        assert_eq!(failure.code, Code::SinkExists, "{path}");
        bench.engine.abort(&planned, job, &tokens).await.unwrap();
        assert_eq!(visible(&bench).iter().filter(|name| name.starts_with(path)).count(), 1);
    }
}

/// A crash after the exchange of an overwrite, before the old rows were removed.
#[tokio::test(flavor = "multi_thread")]
async fn an_overwrite_that_was_interrupted_is_completed() {
    let bench = Bench::new();
    bench.run(&spec(numbers(0, 3), file_sink("dir", FileFormat::Parquet, WriteMode::Overwrite))).await.unwrap();
    let job = JobId::generate();
    let (planned, tokens) =
        prepared(&bench, &spec(numbers(0, 100), file_sink("dir", FileFormat::Parquet, WriteMode::Overwrite)), job).await;
    let staging = bench.root().join(format!(".azora-dir-{job}"));
    std::fs::write(staging.join("_SUCCESS"), format!("{job}\n")).unwrap();
    let aside = bench.root().join("aside");
    std::fs::rename(bench.root().join("dir"), &aside).unwrap();
    std::fs::rename(&staging, bench.root().join("dir")).unwrap();
    std::fs::rename(&aside, &staging).unwrap();
    bench.engine.commit(&planned, job, &tokens).await.unwrap();
    assert_eq!(sum(&bench, "dir").await, (100, 4950));
    assert!(!staging.exists());
}

/// A crash in the middle of an append: some files were moved already.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_was_interrupted_is_completed() {
    let bench = Bench::new();
    bench.run(&spec(numbers(0, 3), file_sink("dir", FileFormat::Ndjson, WriteMode::Append))).await.unwrap();
    let job = JobId::generate();
    let (planned, tokens) = prepared(&bench, &spec(numbers(0, 100), file_sink("dir", FileFormat::Ndjson, WriteMode::Append)), job).await;
    let staging = bench.root().join(format!(".azora-dir-{job}"));
    let first = std::fs::read_dir(&staging).unwrap().next().unwrap().unwrap();
    std::fs::rename(first.path(), bench.root().join("dir").join(first.file_name())).unwrap();
    for _ in 0..2 {
        bench.engine.commit(&planned, job, &tokens).await.unwrap();
        assert_eq!(sum(&bench, "dir").await, (103, 4953));
    }
}

/// What a crashed attempt wrote is not part of the next one's commit; prepared partitions do not run again.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_writes_only_what_is_missing() {
    let bench = Bench::new();
    let job = JobId::generate();
    let spec = spec(numbers(0, 100), file_sink("dir", FileFormat::Parquet, WriteMode::ErrorIfExists));
    let (planned, tokens) = prepared(&bench, &spec, job).await;
    assert_eq!(tokens.len(), 3);
    let pins = crate::Pins::from_json(&planned.pins().to_json().unwrap()).unwrap();
    let again = bench.engine.plan(&spec, &bench.context, Some(&pins)).await.unwrap();
    assert_eq!(again.pins(), &pins);
    let prepared = [(1, tokens[1].clone())].into();
    let context = RunContext { attempt: 1, prepared, ..run_context(job) };
    let second = bench.engine.run(&again, context).await.unwrap();
    assert_eq!(second[1], tokens[1]);
    assert_ne!(second[0], tokens[0]);
    bench.engine.commit(&again, job, &second).await.unwrap();
    assert_eq!(sum(&bench, "dir").await, (100, 4950));
    assert_eq!(visible(&bench).len(), 4, "three files and the marker: {:?}", visible(&bench));
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_stay_below_the_root() {
    let bench = Bench::new();
    std::os::unix::fs::symlink(bench.data(), bench.root().join("link")).unwrap();
    for path in ["../x", "/tmp/azora-x", "", ".", "a/../../x", ".hidden", "link/x", "link"] {
        let spec = spec(numbers(0, 1), file_sink(path, FileFormat::Csv, WriteMode::ErrorIfExists));
        let refused = match bench.plan(&spec).await {
            Ok(planned) => bench.run_planned(&planned, JobId::generate()).await.map(|_| ()).unwrap_err(),
            Err(failure) => failure,
        };
        assert!(matches!(refused.code, Code::PathOutside | Code::PathUnusable | Code::SinkExists), "{path}: {refused}");
    }
    assert!(!bench.data().join("x").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn dataset_versions() {
    let bench = Bench::new();
    let sink = |mode| Sink::Dataset { name: "d".parse().unwrap(), mode, ttl: None };
    let read = || job(Input::Dataset("d".parse().unwrap()), Vec::new(), Sink::Collect);
    bench.run(&spec(numbers(0, 10), sink(WriteMode::ErrorIfExists))).await.unwrap();
    assert_eq!(bench.answer(&read()).await.unwrap(), Value::Array((0..10).map(Value::from).collect()));
    assert_eq!(bench.plan(&spec(numbers(0, 1), sink(WriteMode::ErrorIfExists))).await.unwrap_err().code, Code::DatasetExists);
    bench.run(&spec(numbers(10, 15), sink(WriteMode::Append))).await.unwrap();
    assert_eq!(bench.answer(&read()).await.unwrap(), Value::Array((0..15).map(Value::from).collect()));
    // The first version goes; the second one keeps the files that both had.
    let first = bench.catalog.datasets.lock().remove(0);
    bench.engine.remove_dataset(&first).unwrap();
    bench.engine.remove_dataset(&first).unwrap();
    assert_eq!(bench.answer(&job(Input::LastDataset, Vec::new(), Sink::Collect)).await.unwrap().as_array().unwrap().len(), 15);
    bench.run(&spec(inline(json!([["a", 1]])), sink(WriteMode::Overwrite))).await.unwrap();
    assert_eq!(bench.answer(&read()).await.unwrap(), json!([["a", 1]]));
    assert!(tree(&bench.data()).keys().all(|name| !name.contains(".azora-")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_commit_repeats_and_an_abort_removes() {
    let bench = Bench::new();
    let dataset = spec(numbers(0, 10), Sink::Dataset { name: "d".parse().unwrap(), mode: WriteMode::Overwrite, ttl: None });
    let job = JobId::generate();
    let (planned, tokens) = prepared(&bench, &dataset, job).await;
    let first = bench.engine.commit(&planned, job, &tokens).await.unwrap();
    assert_eq!(bench.engine.commit(&planned, job, &tokens).await.unwrap(), first);
    let entry = bench.engine.dataset(&planned, job).unwrap().unwrap();
    assert_eq!((entry.rows, entry.files.len()), (10, 3));
    let job = JobId::generate();
    let (planned, tokens) = prepared(&bench, &dataset, job).await;
    bench.engine.abort(&planned, job, &tokens).await.unwrap();
    assert!(tree(&bench.data()).keys().all(|name| !name.contains(&job.to_string())));
    assert_eq!(bench.catalog.datasets.lock().len(), 0);
}

/// A crash between the rename and the record of the new version, and another job that writes before the commit is
/// repeated: neither's rows may be lost, and no older version comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_commit_that_is_repeated_later_takes_in_what_came_between() {
    let sink = |mode| Sink::Dataset { name: "d".parse().unwrap(), mode, ttl: None };
    let read = || job(Input::Dataset("d".parse().unwrap()), Vec::new(), Sink::Collect);
    let all = |from: i64, to: i64| Value::Array((from..to).map(Value::from).collect());
    for between in [WriteMode::Append, WriteMode::Overwrite] {
        let bench = Bench::new();
        bench.run(&spec(numbers(0, 10), sink(WriteMode::ErrorIfExists))).await.unwrap();
        let id = JobId::generate();
        let (planned, tokens) = prepared(&bench, &spec(numbers(20, 30), sink(WriteMode::Append)), id).await;
        bench.engine.commit(&planned, id, &tokens).await.unwrap();
        bench.run(&spec(numbers(10, 20), sink(between))).await.unwrap();
        for _ in 0..2 {
            bench.engine.commit(&planned, id, &tokens).await.unwrap();
            bench.catalog.datasets.lock().push(bench.engine.dataset(&planned, id).unwrap().unwrap());
            let expect = all(if between == WriteMode::Append { 0 } else { 10 }, 30);
            assert_eq!(bench.answer(&read()).await.unwrap(), expect, "{between:?}");
        }
        assert!(tree(&bench.data()).keys().all(|name| !name.contains(".azora-")));
    }
    // Who wanted to be the first is not, whatever had been prepared.
    for (mode, is_refused) in [(WriteMode::ErrorIfExists, true), (WriteMode::Ignore, false)] {
        let bench = Bench::new();
        let id = JobId::generate();
        let (planned, tokens) = prepared(&bench, &spec(numbers(0, 10), sink(mode)), id).await;
        bench.engine.commit(&planned, id, &tokens).await.unwrap();
        bench.run(&spec(numbers(10, 20), sink(WriteMode::Overwrite))).await.unwrap();
        let repeated = bench.engine.commit(&planned, id, &tokens).await;
        match is_refused {
            true => {
                assert_eq!(repeated.unwrap_err().code, Code::DatasetExists);
                bench.engine.abort(&planned, id, &tokens).await.unwrap();
            }
            false => assert_eq!(repeated.unwrap().rows, 0),
        }
        assert!(!bench.data().join("datasets/d").join(id.to_string()).exists(), "{mode:?}");
        assert_eq!(bench.answer(&read()).await.unwrap(), all(10, 20), "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rows_still_make_a_file_with_columns() {
    let bench = Bench::new();
    bench.run(&spec(inline(json!([])), file_sink("none", FileFormat::Parquet, WriteMode::ErrorIfExists))).await.unwrap();
    assert_eq!(bench.read(json!({"path": "none", "format": "parquet"})).await.unwrap(), json!([]));
}
