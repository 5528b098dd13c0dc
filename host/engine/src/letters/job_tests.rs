//! Whole jobs with bad records and rows on which functions fail.

use crate::testing::{Bench, TestProgress, job, run_context, source};
use crate::{Engine, RunContext};
use azora_spec::wire::{Unknown, job_spec};
use azora_spec::{Code, Failure, Input, JobId, JobSpec, OnError, Sink, WriteMode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn spec(request: &Value) -> JobSpec {
    job_spec(request, Unknown::Refuse).unwrap()
}

fn dataset(name: &str) -> Input {
    Input::Dataset(name.parse().unwrap())
}

/// The letters of a dataset: source, position, row, code, record.
async fn letters(bench: &Bench, name: &str) -> Vec<Value> {
    let rows = bench.answer(&job(dataset(name), Vec::new(), Sink::Collect)).await.unwrap();
    let columns = ["source", "partition", "row", "position", "code", "record"];
    let texts = |row: &Value| columns.iter().map(|column| row[*column].clone()).collect::<Value>();
    rows.as_array().unwrap().iter().map(texts).collect()
}

/// Reads a file with bad records in all three ways; the rows that are left, and what becomes of the others.
async fn check_source(name: &str, text: &str, more: Value, rows: Value, bad: &[(&str, &str)]) {
    let bench = Bench::new();
    bench.put(name, text);
    let config = |policy: &str| {
        let mut config = json!({"path": name, "badRecords": policy});
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    };
    assert!(bench.read(config("fail")).await.is_err(), "{name}");
    assert_eq!(bench.read(config("skip")).await.unwrap(), rows, "{name}");
    assert_eq!(bench.read(config("dead-letter")).await.unwrap(), rows, "{name}");
    let found = letters(&bench, "dead-letters").await;
    let expect: Vec<Value> =
        bad.iter().map(|(row, record)| json!(["file", 0, null, format!("{name}, row {row}"), "record.bad", record])).collect();
    assert_eq!(found, expect, "{name}");
}

#[tokio::test]
async fn bad_records_of_files_are_told_apart_from_good_ones() {
    let ndjson = "{\"a\":1,\"b\":\"x\"}\n{\"a\":2\nnonsense\n\n{\"a\":\"three\",\"b\":\"y\"}\n{\"a\":4,\"b\":\"z\"}\n[5]\n{\"a\":1.5}";
    let rows = json!([{"a": 1, "b": "x"}, {"a": 4, "b": "z"}]);
    let bad = [("1", "{\"a\":2"), ("2", "nonsense"), ("3", "{\"a\":\"three\",\"b\":\"y\"}"), ("5", "[5]"), ("6", "{\"a\":1.5}")];
    check_source("a.ndjson", ndjson, json!({"schema": {"a": "int64", "b": "utf8"}, "columns": ["a", "b"]}), rows.clone(), &bad).await;
    check_source("b.ndjson", ndjson, json!({"sampleRows": 1}), rows, &bad).await;
    let csv = "id,name\n1,one\n2,\"two\nlines\"\nx,three\n4\n5,five\n6,six,7\n";
    let types = json!({"schema": {"id": "int64"}});
    let rows = json!([{"id": 1, "name": "one"}, {"id": 2, "name": "two\nlines"}, {"id": 5, "name": "five"}]);
    check_source("c.csv", csv, types, rows, &[("2", "x,three"), ("3", "4"), ("5", "6,six,7")]).await;
    let array = "[{\"a\":1},\n{\"a\":true}, {\"a\":3}]";
    check_source("d.json", array, json!({"sampleRows": 1}), json!([{"a": 1}, {"a": 3}]), &[("1", " {\"a\":true}")]).await;
}

#[tokio::test]
async fn many_bad_records_in_many_parts_keep_their_numbers() {
    let bench = Bench::new();
    let mut text = String::new();
    for row in 0..300_000 {
        // More than one part, and regions with and without bad records.
        text.push_str(&if row % 7919 == 5 { format!("bad {row}\n") } else { format!("{{\"id\":{row},\"pad\":\"{:040}\"}}\n", row) });
    }
    bench.put("big.ndjson", text);
    let count = job(
        source(json!({"path": "big.ndjson", "badRecords": "dead-letter", "deadLetters": "big-bad"})),
        spec(&json!({"data": [], "operations": [{"type": "map", "function": "r => r.id"}, {"type": "sum"}]})).operations,
        Sink::Collect,
    );
    let bad: Vec<u64> = (0..300_000).filter(|row| row % 7919 == 5).collect();
    let expect = 300_000 * 299_999 / 2 - bad.iter().sum::<u64>();
    assert_eq!(bench.answer(&count).await.unwrap(), json!(expect));
    let found = letters(&bench, "big-bad").await;
    let expect: Vec<Value> = bad.iter().map(|row| json!(format!("big.ndjson, row {row}"))).collect();
    assert_eq!(found.iter().map(|letter| letter[3].clone()).collect::<Vec<_>>(), expect);
    assert!(found.iter().any(|letter| letter[1] != json!(0)), "the file was one part");
}

fn lambdas(policy: &str) -> Value {
    let rows: Vec<Value> =
        (0..10).map(|n| json!({"n": n, "s": if n % 3 == 0 { Value::Null } else { json!("text") }, "other": n * 2})).collect();
    json!({
        "data": rows,
        "operations": [{"type": "map", "function": "r => r.s.length + r.n"}, {"type": "zipWithIndex"}],
        "options": {"onError": policy, "parallelism": 3},
    })
}

#[tokio::test]
async fn rows_on_which_a_lambda_fails_are_kept_whole_and_once() {
    // zipWithIndex runs its input twice.
    let bench = Bench::new();
    let rows = bench.answer(&spec(&lambdas("dead-letter"))).await.unwrap();
    assert_eq!(rows, json!([[5, 0], [6, 1], [8, 2], [9, 3], [11, 4], [12, 5]]));
    let found = letters(&bench, "dead-letters").await;
    let records: Vec<Value> = found.iter().map(|letter| serde_json::from_str(letter[5].as_str().unwrap()).unwrap()).collect();
    let expect: Vec<Value> = [0, 3, 6, 9].iter().map(|n| json!({"n": n, "s": null, "other": n * 2})).collect();
    assert_eq!(records, expect);
    assert_eq!(found[1], json!(["/operations/0/function", 1, 0, null, "lambda.threw", found[1][5]]));
}

#[tokio::test]
async fn counts_reasons_and_letters_go_with_the_tokens() {
    let bench = Bench::new();
    for (policy, has_letters) in [("skip", false), ("dead-letter", true)] {
        let planned = bench.plan(&spec(&lambdas(policy))).await.unwrap();
        let job = JobId::generate();
        let tokens = bench.run_planned(&planned, job).await.unwrap();
        assert_eq!(tokens.len(), planned.partitions() + 1);
        let refused = Engine::refused(&planned, &tokens).unwrap();
        assert_eq!(refused.iter().map(|refused| (refused.code, refused.rows)).collect::<Vec<_>>(), [(Code::LambdaThrew, 4)]);
        bench.engine.commit(&planned, job, &tokens).await.unwrap();
        bench.engine.commit(&planned, job, &tokens).await.unwrap();
        let entry = bench.engine.dead_letters(&planned, job, &tokens).unwrap();
        assert_eq!(entry.map(|entry| entry.rows), has_letters.then_some(4));
    }
    let planned = bench.plan(&spec(&lambdas("fail"))).await.unwrap();
    assert_eq!(planned.tokens(), planned.partitions());
}

#[tokio::test]
async fn a_second_attempt_doubles_and_loses_nothing() {
    let bench = Bench::new();
    let planned = bench.plan(&spec(&lambdas("dead-letter"))).await.unwrap();
    let job = JobId::generate();
    let progress = Arc::new(TestProgress::default());
    let first = RunContext { progress: Arc::clone(&progress) as _, ..run_context(job) };
    bench.engine.run(&planned, first).await.unwrap();
    // As a crash leaves it: partitions are there, and what was left out is not.
    let mut prepared = progress.prepared.lock().clone();
    assert_eq!(prepared.len(), planned.tokens());
    prepared.remove(&planned.partitions());
    let second = RunContext { attempt: 1, prepared, ..run_context(job) };
    let tokens = bench.engine.run(&planned, second).await.unwrap();
    // Everything is there: nothing runs again, whatever the attempt.
    let whole: BTreeMap<_, _> = tokens.iter().cloned().enumerate().collect();
    let third = RunContext { attempt: 2, prepared: whole, ..run_context(job) };
    assert_eq!(bench.engine.run(&planned, third).await.unwrap(), tokens);
    bench.engine.commit(&planned, job, &tokens).await.unwrap();
    let entry = bench.engine.dead_letters(&planned, job, &tokens).unwrap().unwrap();
    assert_eq!((entry.rows, entry.files.len()), (4, 1));
    let visible = crate::testing::tree(&bench.data().join("datasets"));
    assert!(visible.keys().all(|path| !path.contains(".azora-")), "{visible:?}");
    bench.engine.abort(&planned, JobId::generate(), &[]).await.unwrap();
}

#[tokio::test]
async fn an_aborted_job_leaves_no_letters() {
    let bench = Bench::new();
    let planned = bench.plan(&spec(&lambdas("dead-letter"))).await.unwrap();
    let job = JobId::generate();
    let tokens = bench.run_planned(&planned, job).await.unwrap();
    bench.engine.commit(&planned, job, &tokens).await.unwrap();
    bench.engine.abort(&planned, job, &tokens).await.unwrap();
    assert!(crate::testing::tree(&bench.data().join("datasets")).is_empty());
}

#[tokio::test]
async fn letters_are_added_to_those_of_jobs_before() {
    let bench = Bench::new();
    for expect in [4, 8] {
        bench.answer(&spec(&lambdas("dead-letter"))).await.unwrap();
        assert_eq!(letters(&bench, "dead-letters").await.len(), expect);
    }
}

#[tokio::test]
async fn wrong_names_are_refused() {
    let bench = Bench::new();
    let refused = async |request: Value| -> Failure { bench.plan(&spec(&request)).await.unwrap_err() };
    let kept = json!({"data": [1], "operations": [], "sink": {"type": "dataset", "name": "rows"}});
    bench.answer(&spec(&kept)).await.unwrap();
    let mut request = lambdas("dead-letter");
    request["options"]["deadLetters"] = json!("rows");
    let failure = refused(request.clone()).await;
    assert_eq!((failure.code, failure.pointer.as_deref()), (Code::DatasetExists, Some("/options/deadLetters")));
    request["sink"] = json!({"type": "dataset", "name": "rows", "mode": "overwrite"});
    let failure = refused(request).await;
    assert_eq!((failure.code, failure.pointer.as_deref()), (Code::RequestField, Some("/options/deadLetters")));
    let mut request = lambdas("skip");
    request["options"]["deadLetters"] = json!("other");
    assert_eq!(refused(request).await.pointer.as_deref(), Some("/options/deadLetters"));
}

#[tokio::test]
async fn letters_are_named_after_the_sink() {
    let bench = Bench::new();
    let mut request = spec(&lambdas("dead-letter"));
    request.sink = Sink::Dataset { name: "lengths".parse().unwrap(), mode: WriteMode::Overwrite, ttl: None };
    bench.run(&request).await.unwrap();
    assert_eq!(letters(&bench, "lengths-dead-letters").await.len(), 4);
    assert_eq!(request.options.on_error, OnError::DeadLetter);
}
