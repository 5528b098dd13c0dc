//! Requests as callers write them, and what becomes of them.

use super::{ContextRequest, DataFrameRequest, IngestRequest, StreamingRequest, TryRequest, Unknown, job_spec};
use crate::{
    Buckets, CacheLevel, Cached, Code, Combination, FileFormat, Function, Input, JobSpec, NamedAggregate, OnError, Operation, OtherInput,
    PluginRef, Sink, SortOrder, WriteMode,
};
use serde_json::{Value, json};
use std::time::Duration;

fn read(request: &Value) -> JobSpec {
    job_spec(request, Unknown::Refuse).unwrap_or_else(|failure| panic!("{request}: {failure:?}"))
}

fn operation(request: Value) -> Operation {
    let operations = read(&json!({"data": [1], "operations": [request]})).operations;
    operations.into_iter().next().expect("one operation")
}

fn lambda(text: &str) -> Function {
    Function::Lambda(text.to_owned())
}

/// The code, the pointer and a part of message or hint.
fn refuse(request: &Value, code: Code, pointer: &str, text: &str) {
    let failure = job_spec(request, Unknown::Refuse).expect_err(&request.to_string());
    assert_eq!(failure.code, code, "{request}: {failure:?}");
    assert_eq!(failure.pointer.as_deref().unwrap_or(""), pointer, "{request}: {failure:?}");
    let told = format!("{} | {}", failure.message, failure.hint.unwrap_or_default());
    assert!(told.contains(text), "{request}: '{told}' lacks '{text}'");
}

fn refuse_operation(request: Value, code: Code, pointer: &str, text: &str) {
    refuse(&json!({"data": [1], "operations": [request]}), code, &format!("/operations/0{pointer}"), text);
}

#[test]
fn the_first_example_of_the_documentation() {
    let spec = read(&json!({"data": [1, 2, 3, 4, 5], "operations": [
        {"type": "map", "function": "x => x * 2"}, {"type": "filter", "function": "x => x > 5"}, {"type": "count"}]}));
    assert_eq!(spec.input, Input::Inline(vec![json!(1), json!(2), json!(3), json!(4), json!(5)]));
    assert_eq!(spec.operations, [Operation::Map(lambda("x => x * 2")), Operation::Filter(lambda("x => x > 5")), Operation::Count]);
    assert_eq!((spec.sink, spec.name, spec.options), (Sink::Collect, None, crate::JobOptions::default()));
}

#[test]
fn operations_alone_read_the_last_dataset() {
    assert_eq!(read(&json!({"operations": [{"type": "count"}]})).input, Input::LastDataset);
    assert_eq!(read(&json!({"data": null, "operations": []})).input, Input::LastDataset);
    assert_eq!(read(&json!({})).operations, []);
}

#[test]
fn every_spelling_of_an_input() {
    let dataset = Input::Dataset("orders".parse().expect("a name"));
    assert_eq!(read(&json!({"dataset": "orders"})).input, dataset);
    assert_eq!(read(&json!({"input": {"dataset": "orders"}})).input, dataset);
    assert_eq!(read(&json!({"input": {"type": "dataset", "name": "orders"}})).input, dataset);
    assert_eq!(read(&json!({"input": {"type": "inline", "data": [1]}})).input, Input::Inline(vec![json!(1)]));
    let file = |config: Value| Input::Source { connector: "file".to_owned(), config: config.as_object().expect("an object").clone() };
    let parquet = file(json!({"path": "/d/ints.parquet", "columns": ["x"], "format": "parquet"}));
    assert_eq!(read(&json!({"source": {"type": "parquet", "path": "/d/ints.parquet", "columns": ["x"]}})).input, parquet);
    assert_eq!(read(&json!({"input": {"source": {"type": "parquet", "path": "/d/ints.parquet", "columns": ["x"]}}})).input, parquet);
    assert_eq!(read(&json!({"input": {"type": "parquet", "path": "/d/ints.parquet", "columns": ["x"]}})).input, parquet);
    assert_eq!(read(&json!({"source": {"type": "file", "config": {"path": "a.csv"}}})).input, file(json!({"path": "a.csv"})));
    assert_eq!(read(&json!({"source": {"type": "File System".replace(' ', ""), "path": "a.csv"}})).input, file(json!({"path": "a.csv"})));
    let kafka = read(&json!({"source": {"type": "kafka", "topic": "t"}})).input;
    assert_eq!(
        kafka,
        Input::Source { connector: "kafka".to_owned(), config: json!({"topic": "t"}).as_object().expect("an object").clone() }
    );
}

#[test]
fn inputs_that_contradict_or_are_of_the_wrong_kind() {
    refuse(&json!({"data": [1], "dataset": "a"}), Code::RequestField, "/dataset", "both say where the rows come from");
    refuse(&json!({"data": {"a": 1}}), Code::RequestField, "/data", "expected an array, got an object");
    refuse(&json!({"data": "1,2"}), Code::RequestField, "/data", "got the string '1,2'");
    refuse(&json!({"dataset": "../etc"}), Code::RequestField, "/dataset", "a dataset's name");
    refuse(&json!({"source": "a.csv"}), Code::RequestField, "/source", "object with 'type'");
    refuse(&json!({"source": {"path": "a.csv"}}), Code::RequestField, "/source", "'type' is missing");
    refuse(&json!({"source": {"type": "file", "config": []}}), Code::RequestField, "/source/config", "expected an object");
    refuse(&json!({"input": {"type": "dataset", "data": []}}), Code::RequestField, "/input/type", "does not fit");
    refuse(&json!([1, 2]), Code::RequestField, "", "expected an object, got an array");
}

#[test]
fn unknown_fields_are_refused_with_a_suggestion_or_ignored() {
    let request = json!({"data": [1], "operation": []});
    refuse(&request, Code::RequestField, "/operation", "did you mean 'operations'?");
    assert!(job_spec(&request, Unknown::Ignore).is_ok());
    refuse(&json!({"data": [1], "colour": 1}), Code::RequestField, "/colour", "known fields here are");
    refuse_operation(
        json!({"type": "map", "function": "x => x", "fnction": 1}),
        Code::RequestField,
        "/fnction",
        "did you mean 'function'?",
    );
    let misspelt = json!({"data": [1], "operations": [{"type": "take", "count": 2}]});
    assert_eq!(job_spec(&misspelt, Unknown::Ignore).expect_err("inside an operation").code, Code::RequestField);
    refuse(&json!({"a/b~c": 1}), Code::RequestField, "/a~1b~0c", "unknown field");
}

#[test]
fn unknown_operations_are_refused_with_a_suggestion() {
    refuse_operation(json!({"type": "flatmap", "function": "x => [x]"}), Code::OperationUnknown, "/type", "did you mean 'flatMap'?");
    refuse_operation(json!({"type": "explode"}), Code::OperationUnknown, "/type", "operations are map,");
    refuse_operation(json!({"type": "jion", "other": {"data": []}}), Code::OperationUnknown, "/type", "did you mean 'join'?");
    refuse_operation(json!({"type": "join"}), Code::RequestField, "", "'other' is missing");
    refuse_operation(json!({"type": ""}), Code::RequestField, "/type", "empty");
    refuse_operation(json!({"type": 7}), Code::RequestField, "/type", "expected a string, got the number 7");
    refuse_operation(json!({"typ": "map"}), Code::RequestField, "", "did you mean 'type' by 'typ'?");
    refuse_operation(json!("count"), Code::RequestField, "", r#"write {"type":"count"}"#);
    refuse_operation(json!(null), Code::RequestField, "", "expected an object, got null");
    let many = vec![json!({"type": "distinct"}); 257];
    refuse(&json!({"data": [], "operations": many}), Code::RequestField, "/operations", "at most 256");
    refuse(&json!({"data": [], "operations": {"type": "map"}}), Code::RequestField, "/operations", "expected an array");
}

#[test]
fn an_action_ends_a_job() {
    let request = json!({"data": [], "operations": [{"type": "count"}, {"type": "map", "function": "x => x"}]});
    refuse(&request, Code::OperationInvalid, "/operations/1", "'count' ends a job");
}

#[test]
fn functions_are_lambdas_or_plugins() {
    let geo = |function: Option<&str>| Function::Plugin {
        plugin: "geo@1.2.0".parse::<PluginRef>().expect("a reference"),
        function: function.map(str::to_owned),
        config: json!({"unit": "km"}).as_object().expect("an object").clone(),
        columns: Some(vec!["a".to_owned(), "b".to_owned()]),
        keep_as: Some("d".to_owned()),
    };
    let members = json!({"plugin": "geo@1.2.0", "function": "f", "config": {"unit": "km"}, "columns": ["a", "b"], "as": "d"});
    assert_eq!(operation(json!({"type": "map", "function": members})), Operation::Map(geo(Some("f"))));
    let beside =
        |name: &str| json!({"type": "map", "plugin": "geo@1.2.0", name: "f", "config": {"unit": "km"}, "columns": ["a", "b"], "as": "d"});
    assert_eq!(operation(beside("function")), Operation::Map(geo(Some("f"))));
    assert_eq!(operation(beside("pluginFunction")), Operation::Map(geo(Some("f"))));
    let bare = Function::Plugin {
        plugin: "haversine".parse().expect("a reference"),
        function: None,
        config: serde_json::Map::new(),
        columns: None,
        keep_as: None,
    };
    assert_eq!(operation(json!({"type": "map", "plugin": "haversine"})), Operation::Map(bare));
}

#[test]
fn functions_that_are_wrong() {
    refuse_operation(json!({"type": "map"}), Code::RequestField, "", r#"{"type":"map","function":"x => x * 2"}"#);
    refuse_operation(json!({"type": "map", "function": 3}), Code::RequestField, "/function", "got the number 3");
    refuse_operation(json!({"type": "map", "function": " "}), Code::RequestField, "/function", "the lambda is empty");
    refuse_operation(json!({"type": "map", "function": "x".repeat(70_000)}), Code::LambdaTooLarge, "/function", "at most 65536");
    refuse_operation(json!({"type": "map", "function": {"function": "f"}}), Code::RequestField, "/function", "'plugin' is missing");
    refuse_operation(json!({"type": "map", "plugin": "Geo"}), Code::RequestField, "/plugin", "lower-case");
    refuse_operation(json!({"type": "map", "plugin": "geo@one"}), Code::RequestField, "/plugin", "semantic version");
    refuse_operation(json!({"type": "map", "plugin": "sha256:12"}), Code::RequestField, "/plugin", "64 hexadecimal digits");
    refuse_operation(json!({"type": "map", "plugin": "geo", "function": "x => x"}), Code::RequestField, "/function", "beside 'plugin'");
    refuse_operation(json!({"type": "map", "plugin": "geo", "columns": "a"}), Code::RequestField, "/columns", "expected an array");
    refuse_operation(json!({"type": "map", "plugin": "geo", "columns": ["a", 1]}), Code::RequestField, "/columns/1", "expected a string");
    let nested = json!({"type": "map", "function": {"plugin": "geo", "colums": []}});
    refuse_operation(nested, Code::RequestField, "/function/colums", "did you mean 'columns'?");
}

#[test]
fn arguments_have_sparks_names_and_defaults() {
    assert_eq!(operation(json!({"type": "take"})), Operation::Take(10));
    assert_eq!(operation(json!({"type": "take", "n": 0})), Operation::Take(0));
    assert_eq!(operation(json!({"type": "top", "num": 3})), Operation::Top(3));
    assert_eq!(operation(json!({"type": "sortBy"})), Operation::SortBy { function: None, order: SortOrder::Ascending });
    let descending = Operation::SortBy { function: Some(lambda("x => -x")), order: SortOrder::Descending };
    assert_eq!(operation(json!({"type": "sortBy", "key": "x => -x", "ascending": false})), descending);
    assert_eq!(operation(json!({"type": "sortByKey", "descending": true})), Operation::SortByKey(SortOrder::Descending));
    let sample = Operation::Sample { with_replacement: true, fraction: 2.5, seed: u64::MAX };
    assert_eq!(operation(json!({"type": "sample", "withReplacement": true, "fraction": 2.5, "seed": -1})), sample);
    let fold = Operation::Fold { zero: Value::Null, function: lambda("(a, b) => a") };
    assert_eq!(operation(json!({"type": "fold", "zero": null, "function": "(a, b) => a"})), fold);
    let aggregate = Operation::Aggregate { zero: json!([0, 0]), seq: lambda("s"), comb: lambda("c") };
    assert_eq!(operation(json!({"type": "aggregate", "zeroValue": [0, 0], "seqOp": "s", "combOp": "c"})), aggregate);
    let by_key = Operation::ReduceByKey { function: lambda("r"), key: Some(lambda("k")), value: Some(lambda("v")) };
    assert_eq!(operation(json!({"type": "reduceByKey", "key": "k", "value": "v", "reduce": "r"})), by_key);
    let named = Operation::Aggregates(vec![NamedAggregate::Sum, NamedAggregate::CountIf(lambda("d => d < 1000"))]);
    assert_eq!(operation(json!({"type": "aggregate", "aggregates": ["sum", {"countIf": "d => d < 1000"}]})), named);
    assert_eq!(operation(json!({"type": "histogram", "buckets": 4})), Operation::Histogram(Buckets::Count(4)));
    assert_eq!(operation(json!({"type": "histogram", "buckets": [0, 1.5]})), Operation::Histogram(Buckets::Edges(vec![0.0, 1.5])));
    assert_eq!(
        operation(json!({"type": "persist", "name": "hot"})),
        Operation::Cache(Cached { name: Some("hot".parse().expect("a name")), level: CacheLevel::Memory })
    );
    let persisted = operation(json!({"type": "persist", "level": "MEMORY_AND_DISK_SER"}));
    assert_eq!(persisted, Operation::Cache(Cached { name: None, level: CacheLevel::MemoryAndDisk }));
    assert_eq!(operation(json!({"type": "repartition", "numPartitions": 8})), Operation::Repartition(8));
    assert_eq!(operation(json!({"type": "coalesce", "n": 1})), Operation::Coalesce(1));
}

#[test]
fn arguments_that_are_wrong() {
    refuse_operation(json!({"type": "take", "n": -1}), Code::RequestField, "/n", "expected an integer from 0 to 4294967295");
    refuse_operation(json!({"type": "take", "n": 1.5}), Code::RequestField, "/n", "got the number 1.5");
    refuse_operation(json!({"type": "take", "n": "5"}), Code::RequestField, "/n", "got the string '5'");
    refuse_operation(json!({"type": "take", "n": 1, "num": 2}), Code::RequestField, "/num", "the same field");
    refuse_operation(json!({"type": "sample"}), Code::RequestField, "", "'fraction' is missing");
    refuse_operation(json!({"type": "sample", "fraction": 1.5}), Code::RequestField, "/fraction", "from 0 to 1");
    refuse_operation(json!({"type": "sample", "fraction": 0.5, "seed": 0.5}), Code::RequestField, "/seed", "64 bits");
    refuse_operation(json!({"type": "takeSample"}), Code::RequestField, "", "'n' is missing");
    refuse_operation(json!({"type": "sortBy", "ascending": "no"}), Code::RequestField, "/ascending", "true or false");
    refuse_operation(json!({"type": "fold", "function": "f"}), Code::RequestField, "", "'zero' is missing");
    refuse_operation(json!({"type": "aggregate"}), Code::RequestField, "", "'aggregates' is missing");
    refuse_operation(json!({"type": "aggregate", "aggregates": []}), Code::RequestField, "/aggregates", "expected 1 to");
    refuse_operation(json!({"type": "aggregate", "aggregates": ["smu"]}), Code::RequestField, "/aggregates/0", "did you mean 'sum'?");
    refuse_operation(json!({"type": "histogram"}), Code::RequestField, "", "'buckets' is missing");
    refuse_operation(json!({"type": "histogram", "buckets": [2, 1]}), Code::RequestField, "/buckets", "ascending");
    refuse_operation(json!({"type": "repartition", "n": 0}), Code::RequestField, "/n", "from 1 to 4096");
    refuse_operation(json!({"type": "foreach", "function": "x => log(x)"}), Code::OperationInvalid, "/function", "takes a sink");
}

#[test]
fn every_spelling_of_a_sink() {
    let sink = |value: Value| read(&json!({"data": [1], "sink": value})).sink;
    let file = |path: &str, format, compression: Option<&str>, mode| Sink::File {
        path: path.to_owned(),
        format,
        compression: compression.map(str::to_owned),
        mode,
        partition_by: Vec::new(),
    };
    assert_eq!(sink(json!({"type": "collect"})), Sink::Collect);
    assert_eq!(sink(json!("collect")), Sink::Collect);
    let orders = Sink::Dataset { name: "orders".parse().expect("a name"), mode: WriteMode::Overwrite, ttl: None };
    assert_eq!(sink(json!({"type": "dataset", "name": "orders", "mode": "overwrite"})), orders);
    let parquet = file("out/w2", FileFormat::Parquet, Some("snappy"), WriteMode::ErrorIfExists);
    assert_eq!(sink(json!({"type": "parquet", "path": "out/w2", "compression": "snappy"})), parquet);
    assert_eq!(
        sink(json!({"type": "file", "path": "a/b.csv", "mode": "append"})),
        file("a/b.csv", FileFormat::Csv, None, WriteMode::Append)
    );
    // As other connectors are written.
    assert_eq!(sink(json!({"type": "file", "config": {"path": "out/w2", "format": "parquet", "compression": "snappy"}})), parquet);
    let folders = sink(json!({"type": "csv", "path": "out/c", "partitionBy": ["year", "city"], "mode": "ignore"}));
    assert!(
        matches!(folders, Sink::File { partition_by, mode: WriteMode::Ignore, .. } if partition_by == ["year".to_owned(), "city".to_owned()])
    );
    let hour = sink(json!({"type": "dataset", "name": "orders", "mode": "append", "ttlSeconds": 3600}));
    let ttl = Some(Duration::from_secs(3600));
    assert_eq!(hour, Sink::Dataset { name: "orders".parse().expect("a name"), mode: WriteMode::Append, ttl });
    let kafka = Sink::Connector { connector: "kafka".to_owned(), config: json!({"topic": "t"}).as_object().expect("an object").clone() };
    assert_eq!(sink(json!({"type": "kafka", "topic": "t"})), kafka);
    let write = read(
        &json!({"data": [1], "operations": [{"type": "write", "sink": {"type": "parquet", "path": "out/w2", "compression": "snappy"}}]}),
    );
    assert_eq!((write.sink, write.operations), (parquet, vec![Operation::Write]));
    let save = read(&json!({"data": [1], "operations": [{"type": "saveAsTextFile", "path": "out/t"}]}));
    assert_eq!(save.sink, file("out/t", FileFormat::Text, None, WriteMode::ErrorIfExists));
    let above =
        read(&json!({"data": [1], "operations": [{"type": "write"}], "sink": {"type": "dataset", "name": "orders", "mode": "overwrite"}}));
    assert_eq!(above.sink, orders);
}

#[test]
fn sinks_that_are_wrong() {
    let check = |sink: Value, pointer: &str, text: &str| refuse(&json!({"data": [1], "sink": sink}), Code::RequestField, pointer, text);
    check(json!("parquet"), "/sink", "expected an object");
    check(json!({"type": "parquet"}), "/sink", "'path' is missing");
    check(json!({"type": "parquet", "path": "a", "format": "csv"}), "/sink/format", "contradicts");
    check(json!({"type": "file", "path": "a/b"}), "/sink", "'format' is missing");
    check(json!({"type": "file", "path": "a", "format": "xml"}), "/sink/format", "formats are");
    check(json!({"type": "file", "config": {"path": "a", "format": "xml"}}), "/sink/config/format", "formats are");
    check(json!({"type": "file", "config": {"path": "a.csv"}, "mode": "append"}), "/sink/mode", "unknown field 'mode'");
    check(json!({"type": "csv", "path": "a", "mode": "overwite"}), "/sink/mode", "did you mean 'overwrite'?");
    check(json!({"type": "dataset", "name": "a b"}), "/sink/name", "a dataset's name");
    check(json!({"type": "csv", "path": "a", "comperssion": "gzip"}), "/sink/comperssion", "did you mean 'compression'?");
    let twice = json!({"data": [1], "operations": [{"type": "saveAsTextFile", "path": "a"}], "sink": {"type": "collect"}});
    refuse(&twice, Code::RequestField, "/operations/0", "sink of its own");
    refuse_operation(json!({"type": "write"}), Code::RequestField, "", "'write' needs a 'sink'");
}

#[test]
fn options_narrow_a_job() {
    let options = read(&json!({"data": [], "options": {"parallelism": 3, "timeoutMs": 1500, "onError": "skip",
        "limits": {"memoryBytes": 1_048_576, "callTimeMs": 20, "hostCalls": 0}}}))
    .options;
    assert_eq!((options.parallelism, options.time_max, options.on_error), (Some(3), Duration::from_millis(1500), OnError::Skip));
    assert_eq!((options.guest.memory_bytes_max, options.guest.host_calls_max), (1 << 20, 0));
    assert_eq!(options.guest.call_time_max, Duration::from_millis(20));
    let check = |options: Value, pointer: &str, text: &str| {
        refuse(&json!({"data": [], "options": options}), Code::RequestField, &format!("/options{pointer}"), text);
    };
    check(json!({"parallelism": 0}), "/parallelism", "from 1 to 4096");
    check(json!({"timeoutMs": "5s"}), "/timeoutMs", "expected an integer");
    check(json!({"onError": "ignore"}), "/onError", "'fail', 'skip' or 'dead-letter'");
    check(json!({"limits": {"memoryBytes": 1_u64 << 40}}), "/limits/memoryBytes", "to 67108864");
    check(json!({"timeout": 5}), "/timeout", "did you mean 'timeoutMs'?");
}

#[test]
fn a_context_takes_what_it_is_given() {
    let request = json!({"appName": "my-spark-app", "master": "local[*]", "executorMemory": "2g", "numExecutors": 4, "extra": true});
    let context = ContextRequest::read(&request).expect("a context");
    assert_eq!((context.app_name.as_deref(), context.num_executors, context.enable_ml), (Some("my-spark-app"), Some(4), None));
    assert_eq!(ContextRequest::read(&json!({})).expect("defaults"), ContextRequest::default());
    assert_eq!(ContextRequest::read(&json!({"numExecutors": 0})).expect_err("too few").pointer.as_deref(), Some("/numExecutors"));
    assert_eq!(ContextRequest::read(&json!({"appName": 5})).expect_err("a number").code, Code::RequestField);
}

#[test]
fn an_ingestion_names_a_connector() {
    let request =
        json!({"type": "csv", "config": {"path": "a.txt", "parallelism": 3, "batchSize": 7}, "batchSize": 9, "dataset": "orders"});
    let ingest = IngestRequest::read(&request).expect("an ingestion");
    assert_eq!((ingest.connector.as_str(), ingest.parallelism), ("file", Some(3)));
    assert_eq!(Value::from(ingest.config), json!({"path": "a.txt", "format": "csv"}));
    assert_eq!((ingest.dataset.expect("a name").as_str(), ingest.mode), ("orders", WriteMode::Overwrite));
    assert_eq!(IngestRequest::read(&json!({"type": "csv", "mode": "error"})).expect("a mode").mode, WriteMode::ErrorIfExists);
    let kafka = IngestRequest::read(&json!({"type": "Kafka", "config": {"topic": "t"}, "batchSize": 9})).expect("an ingestion");
    assert_eq!((kafka.connector.as_str(), Value::from(kafka.config)), ("kafka", json!({"topic": "t", "batchSize": 9})));
    assert_eq!(IngestRequest::read(&json!({"config": {}})).expect_err("no type").code, Code::RequestField);
    let wrong = IngestRequest::read(&json!({"type": "file", "config": {"parallelism": "x"}})).expect_err("a string");
    assert_eq!(wrong.pointer.as_deref(), Some("/config/parallelism"));
}

#[test]
fn frames_streams_and_trials() {
    assert_eq!(DataFrameRequest::read(&json!({"data": [{"a": 1}]})).expect("a frame").data.len(), 1);
    assert_eq!(DataFrameRequest::read(&json!({})).expect_err("no data").code, Code::RequestField);
    assert_eq!(StreamingRequest::read(&json!({"source": {"type": "socket"}})).expect("a stream").batch_interval_ms, 1000);
    assert_eq!(StreamingRequest::read(&json!({})).expect_err("no source").code, Code::RequestField);
    let trial = TryRequest::read(&json!({"function": "f", "rows": [1, 2], "columns": ["value"]})).expect("a trial");
    assert_eq!((trial.rows.len(), trial.function.as_deref()), (2, Some("f")));
    assert_eq!(TryRequest::read(&json!({"rows": vec![1; 1001]})).expect_err("too many").pointer.as_deref(), Some("/rows"));
}

/// The bodies that the benchmark's peer sends.
#[test]
fn the_benchmarks_bodies_are_jobs() {
    let check = |operations: Value, expect: &[&str]| {
        let source = json!({"type": "parquet", "path": "/d/rows.parquet", "columns": ["id", "price"]});
        let spec = read(&json!({"source": source, "operations": operations}));
        assert_eq!(spec.operations.iter().map(Operation::name).collect::<Vec<_>>(), expect);
    };
    let pairs = json!({"type": "reduceByKey", "key": "r => r.id % 1000000", "value": "r => r.price", "reduce": "(a, b) => a + b"});
    check(
        json!([{"type": "map", "function": "x => x * 2 + 1"}, {"type": "filter", "function": "x => x % 3 === 0"}, {"type": "sum"}]),
        &["map", "filter", "sum"],
    );
    check(json!([pairs, {"type": "aggregate", "aggregates": ["count", "sum", "max"]}]), &["reduceByKey", "aggregate"]);
    check(
        json!([{"type": "map", "plugin": "haversine"}, {"type": "aggregate", "aggregates": ["sum", {"countIf": "d => d < 1000"}]}]),
        &["map", "aggregate"],
    );
    check(json!([{"type": "map", "function": "s => fnv1a64(s)"}, {"type": "aggregate", "aggregates": ["bitXor"]}]), &["map", "aggregate"]);
    check(json!([{"type": "filter", "function": "s => s.includes('A')"}, {"type": "countDistinct"}]), &["filter", "countDistinct"]);
    check(json!([{"type": "write", "sink": {"type": "parquet", "path": "/out/w2", "compression": "snappy"}}]), &["write"]);
}

#[test]
fn second_inputs_are_read_one_level_deep_and_counted() {
    let union = |other: Value| json!({"type": "union", "other": other});
    let spec = job_spec(
        &json!({"data": [1], "operations": [union(json!({"dataset": "d", "operations": [{"type": "distinct"}]}))]}),
        Unknown::Refuse,
    );
    let spec = spec.expect("a job with a second input");
    let other = OtherInput { input: Input::Dataset("d".parse().expect("a name")), operations: vec![Operation::Distinct] };
    assert_eq!(spec.operations, [Operation::Combine { how: Combination::Union, other: Box::new(other) }]);
    let inner = union(json!({"data": [1], "operations": [union(json!({"data": [2]}))]}));
    refuse_operation(inner, Code::OperationInvalid, "/other/operations/0", "inside of a second input");
    let many: Vec<Value> = (0..17).map(|_| union(json!({"data": [1]}))).collect();
    refuse(&json!({"data": [1], "operations": many}), Code::RequestField, "/operations", "at most 16");
}
