//! Files in folders by the values of columns, and the mode that leaves what is there.

use super::{prepared, spec, tree, visible};
use crate::testing::{Bench, inline};
use azora_spec::{Code, FileFormat, Input, JobId, JobSpec, Sink, WriteMode};
use serde_json::{Value, json};

const CITIES: [&str; 4] = ["Oslo", "a/b=c", "", "Åre"];

/// Rows `n` of cities in turn, every tenth without one.
fn rows(from: i64, to: i64) -> Input {
    let city = |n: i64| if n % 10 == 9 { Value::Null } else { json!(CITIES[usize::try_from(n % 4).unwrap()]) };
    inline((from..to).map(|n| json!({"n": n, "city": city(n), "even": n % 2 == 0})).collect())
}

fn by(path: &str, columns: &[&str], mode: WriteMode) -> Sink {
    let partition_by = columns.iter().map(|name| (*name).to_owned()).collect();
    Sink::File { path: path.to_owned(), format: FileFormat::Ndjson, compression: None, mode, partition_by }
}

fn job(from: i64, to: i64, mode: WriteMode) -> JobSpec {
    spec(rows(from, to), by("out", &["city", "even"], mode))
}

/// Visible folders with the numbers in them, files in the order of their names.
fn folders(bench: &Bench) -> Vec<(String, Vec<i64>)> {
    let mut found: Vec<(String, Vec<i64>)> = Vec::new();
    for (path, bytes) in tree(&bench.root()) {
        let Some((folder, name)) = path.rsplit_once('/') else { continue };
        if !name.starts_with("part-") || path.contains("/.") || path.starts_with('.') {
            continue;
        }
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let numbers: Vec<i64> = lines
            .map(|row| {
                assert_eq!(row.as_object().unwrap().len(), 1, "columns of folders are left out: {row}");
                row["n"].as_i64().unwrap()
            })
            .collect();
        match found.last_mut().filter(|(last, _)| last == folder) {
            Some((_, known)) => known.extend(numbers),
            None => found.push((folder.to_owned(), numbers)),
        }
    }
    found
}

fn expected(to: i64) -> Vec<(String, Vec<i64>)> {
    let mut all = std::collections::BTreeMap::<String, Vec<i64>>::new();
    for n in 0..to {
        let city = match (n % 10, n % 4) {
            (9, _) | (_, 2) => "__HIVE_DEFAULT_PARTITION__",
            (_, 0) => "Oslo",
            (_, 1) => "a%2Fb%3Dc",
            _ => "Åre",
        };
        all.entry(format!("out/city={city}/even={}", n % 2 == 0)).or_default().push(n);
    }
    all.into_iter().collect()
}

/// The same with the numbers of each folder sorted.
fn settled(mut folders: Vec<(String, Vec<i64>)>) -> Vec<(String, Vec<i64>)> {
    folders.iter_mut().for_each(|(_, numbers)| numbers.sort_unstable());
    folders
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_into_folders_by_their_values() {
    let bench = Bench::new();
    let id = JobId::generate();
    let (planned, tokens) = prepared(&bench, &job(0, 1000, WriteMode::ErrorIfExists), id).await;
    assert!(visible(&bench).is_empty());
    let receipt = bench.engine.commit(&planned, id, &tokens).await.unwrap();
    assert_eq!(receipt.rows, 1000);
    assert_eq!(settled(folders(&bench)), expected(1000));
    // Three partitions write at most one file for each folder, but for the one that nulls and empty texts share.
    assert!(receipt.outputs.len() <= 3 * (expected(1000).len() + 2), "{:?}", receipt.outputs);
    // Within a file rows keep their order.
    let oslo = folders(&bench).into_iter().find(|(name, _)| name == "out/city=Oslo/even=true").unwrap().1;
    assert!(oslo.is_sorted(), "{oslo:?}");
    let after = tree(&bench.root());
    assert_eq!(bench.engine.commit(&planned, id, &tokens).await.unwrap(), receipt);
    assert_eq!(tree(&bench.root()), after);
    // All of them are one set of files for a reader.
    let read = bench.read(json!({"path": "out", "format": "ndjson"})).await.unwrap();
    assert_eq!(read.as_array().unwrap().len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_and_interrupted_commits() {
    let bench = Bench::new();
    bench.run(&job(0, 100, WriteMode::ErrorIfExists)).await.unwrap();
    assert_eq!(bench.plan(&job(0, 1, WriteMode::ErrorIfExists)).await.unwrap_err().code, Code::SinkExists);
    // An append that was interrupted when the first file had been moved.
    let id = JobId::generate();
    let (planned, tokens) = prepared(&bench, &job(100, 200, WriteMode::Append), id).await;
    let staging = bench.root().join(format!(".azora-out-{id}"));
    let first = tree(&staging).into_keys().next().unwrap();
    let to = bench.root().join("out").join(&first);
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::rename(staging.join(&first), to).unwrap();
    for _ in 0..2 {
        bench.engine.commit(&planned, id, &tokens).await.unwrap();
        assert_eq!(settled(folders(&bench)), expected(200));
    }
    // What a crashed attempt wrote into folders of its own goes with the commit.
    let id = JobId::generate();
    let (planned, tokens) = prepared(&bench, &job(0, 10, WriteMode::Overwrite), id).await;
    let stray = bench.root().join(format!(".azora-out-{id}/city=Stray/even=true"));
    std::fs::create_dir_all(&stray).unwrap();
    std::fs::write(stray.join("part-x.ndjson"), "{\"n\":0}\n").unwrap();
    bench.engine.commit(&planned, id, &tokens).await.unwrap();
    assert_eq!(settled(folders(&bench)), expected(10));
    assert!(tree(&bench.root()).keys().all(|name| !name.contains(".azora-") && !name.contains("Stray")));
    let id = JobId::generate();
    let (planned, tokens) = prepared(&bench, &job(0, 10, WriteMode::Append), id).await;
    bench.engine.abort(&planned, id, &tokens).await.unwrap();
    assert_eq!(settled(folders(&bench)), expected(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_name_folders_is_refused() {
    let bench = Bench::new();
    let refused = async |columns: &[&str], path: &str| {
        let failure = bench.plan(&spec(rows(0, 5), by(path, columns, WriteMode::Overwrite))).await.unwrap_err();
        (failure.code, failure.pointer.unwrap_or_default(), failure.hint.unwrap_or_default())
    };
    let (code, pointer, hint) = refused(&["cty"], "out").await;
    assert_eq!((code, pointer.as_str()), (Code::ColumnUnknown, "/sink/partitionBy/0"));
    assert!(hint.contains("'city'"), "{hint}");
    assert_eq!(refused(&["n", "city", "even"], "out").await.0, Code::OperationInvalid);
    assert_eq!(refused(&["city"], "one.ndjson").await.0, Code::RequestField);
    let lists = inline(json!([{"n": 1, "list": [1]}]));
    let failure = bench.plan(&spec(lists, by("out", &["list"], WriteMode::Overwrite))).await.unwrap_err();
    assert_eq!(failure.code, Code::OperationInvalid);
    let long = inline(json!([{"n": 1, "city": "x".repeat(300)}]));
    let failure = bench.run(&spec(long, by("out", &["city"], WriteMode::Overwrite))).await.unwrap_err();
    assert_eq!(failure.code, Code::DataInvalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rows_make_an_empty_directory() {
    let bench = Bench::new();
    let none = inline((0..0).map(Value::from).collect());
    let typed = spec(none, by("out", &["value"], WriteMode::Overwrite));
    assert_eq!(bench.plan(&typed).await.unwrap_err().code, Code::OperationInvalid);
    let mut empty = job(0, 10, WriteMode::Overwrite);
    empty.operations = vec![azora_spec::Operation::Filter(azora_spec::Function::Lambda("row => row.n > 100".to_owned()))];
    let (_, receipt) = bench.run(&empty).await.unwrap();
    assert_eq!(receipt.rows, 0);
    assert_eq!(visible(&bench), ["out/_SUCCESS"]);
}

/// `ignore` leaves what is there, also where it came after the job was planned.
#[tokio::test(flavor = "multi_thread")]
async fn ignore_writes_once() {
    let bench = Bench::new();
    for path in ["dir", "one.ndjson"] {
        let sink = || Sink::File {
            path: path.to_owned(),
            format: FileFormat::Ndjson,
            compression: None,
            mode: WriteMode::Ignore,
            partition_by: Vec::new(),
        };
        let late = JobId::generate();
        let (planned, tokens) = prepared(&bench, &spec(rows(0, 7), sink()), late).await;
        let (_, first) = bench.run(&spec(rows(0, 10), sink())).await.unwrap();
        assert_eq!(first.rows, 10);
        let before = tree(&bench.root().join("."));
        for _ in 0..2 {
            assert_eq!(bench.engine.commit(&planned, late, &tokens).await.unwrap().rows, 0);
        }
        // This one sees at once that there is nothing to do, and runs nothing.
        let spec = spec(rows(0, 1000), sink());
        let planned = bench.plan(&spec).await.unwrap();
        assert!(planned.explain().contains("EmptyExec"), "{}", planned.explain());
        let again = bench.engine.plan(&spec, &bench.context, Some(planned.pins())).await.unwrap();
        assert_eq!(again.pins(), planned.pins());
        let (_, second) = bench.run(&spec).await.unwrap();
        assert_eq!(second.rows, 0);
        let after: Vec<_> = tree(&bench.root()).into_iter().filter(|(name, _)| !name.contains(".azora-")).collect();
        assert_eq!(after, before.into_iter().filter(|(name, _)| !name.contains(".azora-")).collect::<Vec<_>>());
        assert!(tree(&bench.root()).keys().all(|name| !name.contains(".azora-")), "staging was left");
    }
    let dataset = || Sink::Dataset { name: "d".parse().unwrap(), mode: WriteMode::Ignore, ttl: None };
    let late = JobId::generate();
    let (planned, tokens) = prepared(&bench, &spec(rows(0, 7), dataset()), late).await;
    bench.run(&spec(rows(0, 10), dataset())).await.unwrap();
    for _ in 0..2 {
        assert_eq!(bench.engine.commit(&planned, late, &tokens).await.unwrap().rows, 0);
        assert!(bench.engine.dataset(&planned, late).unwrap().is_none());
    }
    bench.run(&spec(rows(0, 20), dataset())).await.unwrap();
    let all = bench.catalog.datasets.lock();
    assert_eq!((all.len(), all[0].rows), (1, 10));
}
