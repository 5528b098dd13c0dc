//! Jobs through the whole engine, from a spec to its rows. Single parts are tested beside their code.

use crate::testing::{Bench, TestProgress, file_sink, inline, job, run_context, source};
use crate::{ContextOptions, Pins, Progress, RunContext};
use azora_spec::wire::{Unknown, job_spec};
use azora_spec::{Code, Combination, FileFormat, Input, JobId, JobSpec, Operation, OtherInput, Sink, SortOrder, WriteMode};
use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

/// Rows of a Parquet file whose columns take about 38 bytes each in memory.
const ROWS: i64 = 2_000_000;

/// A number that looks random, the same for the same row.
fn mixed(row: i64) -> i64 {
    let mut mixed = (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 20) as i64
}

fn write_rows(bench: &Bench, name: &str, rows: i64) {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("s", DataType::Utf8, true)]));
    bench.put(name, "");
    let mut writer = ArrowWriter::try_new(File::create(bench.root().join(name)).unwrap(), Arc::clone(&schema), None).unwrap();
    for from in (0..rows).step_by(100_000) {
        let ids = Int64Array::from_iter_values((from..(from + 100_000).min(rows)).map(mixed));
        let texts = StringArray::from_iter_values(ids.values().iter().map(|id| format!("{id:022}")));
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(ids), Arc::new(texts)]).unwrap()).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

fn operations(list: Value) -> Vec<Operation> {
    job_spec(&json!({"data": [], "operations": list}), Unknown::Refuse).unwrap().operations
}

fn small_memory(bench: &mut Bench, parallelism: usize) {
    bench.context = ContextOptions { parallelism, threads: 2, memory_bytes: 16 << 20 };
}

/// Data of four times the memory limit is sorted, which it only can be by spilling.
#[tokio::test(flavor = "multi_thread")]
async fn a_sort_over_four_times_the_memory_spills() {
    let mut bench = Bench::new();
    write_rows(&bench, "rows.parquet", ROWS);
    for parallelism in [1, 2, 8] {
        small_memory(&mut bench, parallelism);
        let sort = Operation::SortBy { function: None, order: SortOrder::Ascending };
        let spec = job(source(json!({"path": "rows.parquet", "columns": ["s"]})), vec![sort], Sink::Collect);
        let (result, _) = bench.run(&spec).await.unwrap();
        assert_eq!(result.rows, ROWS as u64);
        let mut last = String::new();
        let batches: Vec<RecordBatch> = result.batches().try_collect().await.unwrap();
        for batch in batches {
            for text in batch.column(0).as_string::<i32>().iter().flatten() {
                assert!(last.as_str() <= text);
                text.clone_into(&mut last);
            }
        }
    }
}

/// So is a grouping of keys that are all different.
#[tokio::test(flavor = "multi_thread")]
async fn a_grouping_over_the_memory_spills() {
    let mut bench = Bench::new();
    small_memory(&mut bench, 4);
    write_rows(&bench, "rows.parquet", ROWS);
    let spec = job(source(json!({"path": "rows.parquet", "columns": ["s"]})), vec![Operation::Distinct, Operation::Count], Sink::Collect);
    let distinct = (0..ROWS).map(mixed).collect::<std::collections::HashSet<_>>().len();
    assert_eq!(bench.answer(&spec).await.unwrap(), json!(distinct));
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_is_cut_into_partitions_that_keep_the_order() {
    let bench = Bench::new();
    write_rows(&bench, "rows.parquet", 1_000_000);
    let spec = job(source(json!({"path": "rows.parquet", "columns": ["id"]})), Vec::new(), Sink::Collect);
    let planned = bench.plan(&spec).await.unwrap();
    assert_eq!(planned.partitions(), 4, "{}", planned.explain());
    let (result, _) = bench.run(&spec).await.unwrap();
    let batches: Vec<RecordBatch> = result.batches().try_collect().await.unwrap();
    let ids = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
    assert!(ids.eq((0..1_000_000).map(mixed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_over_parquet_of_any_size_see_every_row() {
    let bench = Bench::new();
    // Around the sizes from which files are cut, by us and by DataFusion.
    for rows in [100, 60_000, 200_000] {
        for name in ["all/0.parquet", "all/1.parquet"] {
            write_rows(&bench, name, rows);
        }
        let read = || source(json!({"path": "all", "columns": ["id"]}));
        let expect: i64 = 2 * (0..rows).map(|row| mixed(row) % 1000).sum::<i64>();
        let sum = job(read(), operations(json!([{"type": "map", "function": "x => x % 1000"}, {"type": "sum"}])), Sink::Collect);
        assert_eq!(bench.answer(&sum).await.unwrap(), json!(expect), "{rows} rows");
        let reduced = operations(json!([{"type": "map", "function": "x => x % 1000"}, {"type": "reduce", "function": "(a, b) => a + b"}]));
        assert_eq!(bench.answer(&job(read(), reduced, Sink::Collect)).await.unwrap(), json!(expect), "{rows} rows");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_parquet_file_is_refused() {
    let bench = Bench::new();
    for bytes in [&b""[..], b"PAR1", b"PAR1xxxxPAR1", b"PAR1\xff\xff\xff\x7fPAR1", &[0; 100_000]] {
        bench.put("a.parquet", bytes);
        let failure = bench.read(json!({"path": "a.parquet"})).await.unwrap_err();
        assert_eq!(failure.code, Code::FileFormat, "{failure}");
    }
    write_rows(&bench, "b.parquet", 100_000);
    let mut bytes = std::fs::read(bench.root().join("b.parquet")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 1000].fill(0xFF);
    bench.put("b.parquet", &bytes);
    // Pages have no checksum: either the damage is found, or the answer is one of damaged text.
    match bench.read(json!({"path": "b.parquet"})).await {
        Ok(rows) => assert_eq!(rows.as_array().map(Vec::len), Some(100_000)),
        Err(failure) => assert!(matches!(failure.code, Code::FileFormat | Code::Internal), "{failure}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_and_one_over_its_time_end() {
    let bench = Bench::new();
    write_rows(&bench, "rows.parquet", 200_000);
    let mut spec = job(source(json!({"path": "rows.parquet"})), Vec::new(), file_sink("out", FileFormat::Csv, WriteMode::ErrorIfExists));
    let planned = bench.plan(&spec).await.unwrap();
    let context = run_context(JobId::generate());
    context.cancel.cancel();
    assert_eq!(bench.engine.run(&planned, context).await.unwrap_err().code, Code::JobCancelled);
    spec.options.time_max = Duration::ZERO;
    let planned = bench.plan(&spec).await.unwrap();
    let id = JobId::generate();
    assert_eq!(bench.engine.run(&planned, run_context(id)).await.unwrap_err().code, Code::JobTimeout);
    bench.engine.abort(&planned, id, &[]).await.unwrap();
    assert!(!bench.root().join("out").exists());
}

/// The guest of one partition computes for ever on its thread; whatever stops it must not need that thread.
#[tokio::test(flavor = "multi_thread")]
async fn cancelling_stops_a_guest_that_computes() {
    let bench = Bench::new();
    let endless = Operation::Map(azora_spec::Function::Lambda("x => { let n = 0; while (x === 1) { n++ } return n }".to_owned()));
    let mut spec = job(inline(json!([0, 1])), vec![endless], Sink::Collect);
    spec.options.parallelism = Some(2);
    spec.options.guest.call_time_max = Duration::from_secs(3600);
    let planned = bench.plan(&spec).await.unwrap();
    let progress = Arc::new(TestProgress::default());
    let context = RunContext { progress: Arc::clone(&progress) as _, ..run_context(JobId::generate()) };
    let cancel = context.cancel.clone();
    let run = bench.engine.run(&planned, context);
    let cancelling = async {
        while progress.prepared.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let ended = tokio::time::timeout(Duration::from_secs(120), async { tokio::join!(run, cancelling).0 }).await;
    assert_eq!(ended.expect("it ends").unwrap_err().code, Code::JobCancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_and_tokens() {
    let bench = Bench::new();
    let mut spec = job(inline((0..100).map(Value::from).collect()), Vec::new(), Sink::Collect);
    spec.options.parallelism = Some(5);
    let planned = bench.plan(&spec).await.unwrap();
    let progress = Arc::new(TestProgress::default());
    let shared: Arc<dyn Progress> = Arc::clone(&progress) as _;
    let id = JobId::generate();
    let tokens = bench.engine.run(&planned, RunContext { progress: shared, ..run_context(id) }).await.unwrap();
    assert_eq!(tokens.len(), 5);
    assert_eq!(progress.prepared.lock().values().cloned().collect::<Vec<_>>(), tokens);
    {
        let updates = progress.updates.lock();
        let done: u64 = updates.iter().filter(|update| update.is_done && update.stage_name == "output").map(|update| update.rows_out).sum();
        assert!(done >= 100, "{updates:?}");
    }
    // The same plan gives the same partitions.
    let again = bench.engine.run(&planned, run_context(id)).await.unwrap();
    assert_eq!(again, tokens);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_inline_rows_stay_together_unless_asked() {
    let bench = Bench::new();
    let rows = || inline(json!([1, 2, 3, 4, 5]));
    assert_eq!(bench.plan(&job(rows(), Vec::new(), Sink::Collect)).await.unwrap().partitions(), 1);
    let mut spec = job(rows(), Vec::new(), Sink::Collect);
    spec.options.parallelism = Some(8);
    assert_eq!(bench.plan(&spec).await.unwrap().partitions(), 8);
    assert_eq!(bench.answer(&spec).await.unwrap(), json!([1, 2, 3, 4, 5]));
    // What a query reads besides rows of the request may be large.
    let query = job_spec(&json!({"sql": "SELECT 1 AS x"}), Unknown::Refuse).unwrap();
    assert_eq!(bench.plan(&query).await.unwrap().pins().parallelism, 1);
    bench.put("numbers.csv", "n\n1\n");
    let query = job_spec(&json!({"sql": "SELECT n FROM 'numbers.csv'"}), Unknown::Refuse).unwrap();
    assert_eq!(bench.plan(&query).await.unwrap().pins().parallelism, bench.context.parallelism);
    let single = job(rows(), Vec::new(), file_sink("one.csv", FileFormat::Csv, WriteMode::ErrorIfExists));
    let single = JobSpec { options: spec.options.clone(), ..single };
    assert_eq!(bench.plan(&single).await.unwrap().partitions(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_faults_have_codes() {
    let bench = Bench::new();
    let check = |input: Input, code: Code| {
        let spec = job(input, Vec::new(), Sink::Collect);
        let bench = &bench;
        async move { assert_eq!(bench.plan(&spec).await.unwrap_err().code, code) }
    };
    check(Input::LastDataset, Code::DatasetNone).await;
    check(Input::Dataset("none".parse().unwrap()), Code::DatasetUnknown).await;
    check(source(json!({"path": "missing.csv"})), Code::PathMissing).await;
    check(source(json!({"path": "/etc/passwd", "format": "text"})), Code::PathOutside).await;
    check(source(json!({})), Code::ConnectorConfig).await;
    check(Input::Source { connector: "nothing".to_owned(), config: serde_json::Map::new() }, Code::ConnectorUnknown).await;
    let mixed = json!([1, "x", null, {"a": [true]}]);
    assert_eq!(bench.answer(&job(inline(mixed.clone()), Vec::new(), Sink::Collect)).await.unwrap(), mixed);
    bench.put("a.csv", "x\n1\n");
    check(source(json!({"path": "a.csv", "format": "xml"})), Code::RequestField).await;
    assert!(Pins::from_json("{}").is_err());
}

/// The session, once warm, serves any number of them; how long one takes is measured by the benchmarks.
#[tokio::test(flavor = "multi_thread")]
async fn tiny_jobs_are_planned_and_run() {
    let bench = Bench::new();
    let spec = job(inline(json!([1, 2, 3, 4, 5])), vec![Operation::Count], Sink::Collect);
    for _ in 0..50 {
        let planned = bench.plan(&spec).await.unwrap();
        let id = JobId::generate();
        let tokens = bench.run_planned(&planned, id).await.unwrap();
        bench.engine.commit(&planned, id, &tokens).await.unwrap();
        let result = bench.engine.result(id, planned.description(), &tokens).unwrap();
        assert_eq!(crate::format::to_json_value(&result, 100).await.unwrap(), json!(5));
    }
    assert!(!bench.data().join("results").exists(), "a small result stays in its token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_is_read_split_by_split() {
    let bench = Bench::new();
    let Value::Object(config) = json!({"table": "numbers"}) else { return };
    let input = Input::Source { connector: "memory".to_owned(), config };
    let spec = job(input, Vec::new(), Sink::Collect);
    let planned = bench.plan(&spec).await.unwrap();
    assert_eq!(planned.partitions(), 4, "{}", planned.explain());
    assert_eq!(bench.answer(&spec).await.unwrap(), Value::Array((0..500).map(Value::from).collect()));
    // A restart reads the same splits.
    let again = bench.engine.plan(&spec, &bench.context, Some(planned.pins())).await.unwrap();
    let id = JobId::generate();
    assert_eq!(bench.run_planned(&again, id).await.unwrap(), bench.run_planned(&planned, id).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_columns_are_refused() {
    let bench = Bench::new();
    let wide: serde_json::Map<String, Value> = (0..20_000).map(|at| (format!("c{at}"), Value::from(at))).collect();
    let wide = Value::Object(wide);
    assert_eq!(bench.answer(&job(inline(json!([wide])), Vec::new(), Sink::Collect)).await.unwrap_err().code, Code::DataInvalid);
    assert_eq!(bench.answer(&job(inline(json!([{"inner": wide}])), Vec::new(), Sink::Collect)).await.unwrap_err().code, Code::DataInvalid);
    bench.put("wide.ndjson", wide.to_string());
    assert_eq!(bench.read(json!({"path": "wide.ndjson"})).await.unwrap_err().code, Code::DataInvalid);
    bench.put("wide.csv", vec!["x"; 20_000].join(","));
    assert_eq!(bench.read(json!({"path": "wide.csv"})).await.unwrap_err().code, Code::FileFormat);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_dataset_of_a_planned_job_stays_the_same() {
    let bench = Bench::new();
    let dataset = |name: &str| Sink::Dataset { name: name.parse().unwrap(), mode: WriteMode::Overwrite, ttl: None };
    bench.run(&job(inline(json!([1])), Vec::new(), dataset("first"))).await.unwrap();
    let spec = job(Input::LastDataset, Vec::new(), Sink::Collect);
    let planned = bench.plan(&spec).await.unwrap();
    bench.run(&job(inline(json!([2])), Vec::new(), dataset("second"))).await.unwrap();
    let again = bench.engine.plan(&spec, &bench.context, Some(planned.pins())).await.unwrap();
    assert_eq!(again.pins(), planned.pins());
    assert_eq!(again.pins().datasets().map(|(name, _)| name).collect::<Vec<_>>(), ["first"]);
}

/// What a second input was is pinned: a job goes on with it, and never with a newer one.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_input_is_pinned() {
    let bench = Bench::new();
    let dataset = |name: &str| Sink::Dataset { name: name.parse().unwrap(), mode: WriteMode::Overwrite, ttl: None };
    bench.run(&job(inline(json!([1, 2])), Vec::new(), dataset("left"))).await.unwrap();
    bench.run(&job(inline(json!([2, 3])), Vec::new(), dataset("right"))).await.unwrap();
    bench.put("more.csv", "v\n4\n");
    let union = |input| Operation::Combine { how: Combination::Union, other: Box::new(OtherInput { input, operations: Vec::new() }) };
    let values = Operation::Map(azora_spec::Function::Lambda("r => r.v".to_owned()));
    let file = OtherInput { input: source(json!({"path": "more.csv"})), operations: vec![values] };
    let operations = vec![
        union(Input::Dataset("right".parse().unwrap())),
        Operation::Combine { how: Combination::Union, other: Box::new(file) },
        Operation::Sum,
    ];
    let spec = job(Input::Dataset("left".parse().unwrap()), operations, Sink::Collect);
    let planned = bench.engine.plan(&spec, &bench.context, None).await.unwrap();
    let kept = Pins::from_json(&planned.pins().to_json().unwrap()).unwrap();
    assert_eq!(kept.datasets().map(|(name, _)| name).collect::<Vec<_>>(), ["left", "right"]);
    bench.run(&job(inline(json!([100])), Vec::new(), dataset("right"))).await.unwrap();
    let again = bench.engine.plan(&spec, &bench.context, Some(&kept)).await.unwrap();
    assert_eq!((again.pins(), again.explain()), (planned.pins(), planned.explain()));
    let id = JobId::generate();
    let tokens = bench.run_planned(&again, id).await.unwrap();
    let result = bench.engine.result(id, again.description(), &tokens).unwrap();
    assert_eq!(crate::format::to_json_value(&result, 100).await.unwrap(), json!(1 + 2 + 2 + 3 + 4));
    bench.put("more.csv", "v\n4\n5\n");
    let changed = bench.engine.plan(&spec, &bench.context, Some(&kept)).await.unwrap_err();
    assert_eq!(changed.code, Code::DataInvalid, "{changed:?}");
}
