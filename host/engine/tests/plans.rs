//! What plans look like and how they behave on many rows: lambdas fused, columns pruned, memory short, order kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

#[path = "plans/stops.rs"]
mod stops;
#[path = "support/fixture.rs"]
mod support;

use datafusion::arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use std::sync::Arc;
use support::Fixture;

/// Rows of the Parquet file, in row groups that two or more partitions can share.
const ROWS: i64 = 60_000;
const ROW_GROUP: usize = 5_000;

/// `id` ascending, `key` of 1,000 values, `price`, `name`.
fn rows(fixture: &Fixture) -> String {
    let path = fixture.files.path().join("rows.parquet");
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("key", DataType::Int64, true),
        Field::new("price", DataType::Float64, true),
        Field::new("name", DataType::Utf8, true),
    ]));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            Arc::new(Int64Array::from_iter_values(0..ROWS)),
            Arc::new(Int64Array::from_iter_values((0..ROWS).map(|id| id * 7919 % 1000))),
            Arc::new(Float64Array::from_iter_values((0..ROWS).map(|id| id as f64 / 4.0))),
            Arc::new(StringArray::from_iter_values((0..ROWS).map(|id| format!("name {id:06}")))),
        ],
    )
    .unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(ROW_GROUP)).build();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path.to_str().unwrap().to_owned()
}

fn request(path: &str, columns: &[&str], operations: Value) -> Value {
    json!({"source": {"type": "parquet", "path": path, "columns": columns}, "operations": operations})
}

const ALL: [&str; 4] = ["id", "key", "price", "name"];

#[test]
fn a_chain_of_lambdas_and_its_end_are_one_kernel() {
    let fixture = Fixture::new();
    let path = rows(&fixture);
    let operations = json!([
        {"type": "map", "function": "x => x * 2 + 1"},
        {"type": "filter", "function": "x => x % 3 === 0"},
        {"type": "count"},
    ]);
    let plan = fixture.plan(&request(&path, &["id"], operations), 2).unwrap().explain();
    assert_eq!(plan.matches("TransformExec").count(), 1, "{plan}");
    assert!(plan.contains("x => x * 2 + 1 | x => x % 3 === 0 | count"), "{plan}");
}

#[test]
fn only_columns_that_are_named_are_read() {
    let fixture = Fixture::new();
    let path = rows(&fixture);
    let check = |operations: Value, columns: &[&str]| {
        let plan = fixture.plan(&request(&path, &ALL, operations), 2).unwrap().explain();
        let scan = plan.lines().find(|line| line.contains("DataSourceExec")).unwrap().to_owned();
        for column in ALL {
            let projection = scan.split("projection=[").nth(1).unwrap_or_default();
            let projection = projection.split(']').next().unwrap_or_default();
            assert_eq!(projection.split(", ").any(|read| read.ends_with(column)), columns.contains(&column), "{column}: {plan}");
        }
    };
    let filter = json!({"type": "filter", "function": "r => r.price > 100"});
    check(json!([filter, {"type": "map", "function": "r => r.id"}]), &["id", "price"]);
    check(json!([filter, {"type": "count"}]), &["price"]);
    check(json!([filter]), &ALL);
    check(json!([{"type": "reduceByKey", "key": "r => r.key", "value": "r => r.price", "reduce": "(a, b) => a + b"}]), &["key", "price"]);
    check(json!([{"type": "sortBy", "function": "r => r.name"}, {"type": "map", "function": "r => r.id"}]), &["id", "name"]);
    check(json!([{"type": "zipWithIndex"}, {"type": "map", "function": "p => p[1]"}]), &[]);
}

#[test]
fn answers_do_not_depend_on_partitions() {
    let fixture = Fixture::new();
    let path = rows(&fixture);
    let check = |columns: &[&str], operations: Value| {
        let request = request(&path, columns, operations);
        let one = fixture.run(&request, 1).unwrap();
        for partitions in [2, 5] {
            assert!(one == fixture.run(&request, partitions).unwrap(), "{partitions} partitions: {request}");
        }
        one
    };
    let sample = check(&["id"], json!([{"type": "sample", "fraction": 0.1, "seed": 42}]));
    let length = sample.as_array().unwrap().len();
    assert!((5_000..7_000).contains(&length), "{length}");
    let again = check(&["id"], json!([{"type": "sample", "withReplacement": true, "fraction": 1.5, "seed": 42}, {"type": "count"}]));
    assert!((88_000..92_000).contains(&again.as_i64().unwrap()), "{again}");
    let taken = check(&["id"], json!([{"type": "takeSample", "n": 20, "seed": 7}]));
    assert_eq!(taken.as_array().unwrap().len(), 20);
    let drawn = check(&["id"], json!([{"type": "takeSample", "withReplacement": true, "n": 30, "seed": 7}]));
    assert_eq!(drawn.as_array().unwrap().len(), 30);
    let indexed = check(
        &["id"],
        json!([
            {"type": "filter", "function": "x => x % 2 === 1"},
            {"type": "zipWithIndex"},
            {"type": "filter", "function": "p => p[0] !== p[1] * 2 + 1"},
            {"type": "count"},
        ]),
    );
    assert_eq!(indexed, json!(0));
    let grouped = check(
        &ALL,
        json!([
            {"type": "map", "function": "r => [r.key, r.id]"},
            {"type": "groupByKey"},
            {"type": "mapValues", "function": "ids => ids.length + ':' + ids[0] + ':' + ids[59]"},
            {"type": "take", "n": 2},
        ]),
    );
    // The ids of a key ascend: they keep the order of the input.
    assert_eq!(grouped, json!([[0, "60:0:59000"], [1, "60:679:59679"]]));
    let folded = check(
        &ALL,
        json!([
            {"type": "map", "function": "r => [r.key, r.name.slice(5)]"},
            {"type": "reduceByKey", "function": "(a, b) => a.length > 13 ? a : a + ',' + b"},
            {"type": "take", "n": 1},
        ]),
    );
    assert_eq!(folded, json!([[0, "000000,001000,002000"]]));
    let taken = check(&["id"], json!([{"type": "filter", "function": "x => x > 50000"}, {"type": "take", "n": 3}]));
    assert_eq!(taken, json!([50001, 50002, 50003]));
}

#[test]
fn folds_by_key_spill() {
    // Rows of some 60 bytes, twice: sorting them takes a multiple of the memory.
    let fixture = Fixture::with_memory(8 << 20);
    let path = rows(&fixture);
    let operations = json!([
        {"type": "flatMap", "function": "r => [[r.key, r.name + r.name], [r.key + 1000, r.name + r.id], [r.id, r.name]]"},
        {"type": "reduceByKey", "function": "(a, b) => a < b ? a : b"},
        {"type": "count"},
    ]);
    assert_eq!(fixture.run(&request(&path, &ALL, operations), 2).unwrap(), json!(ROWS));
}

#[test]
fn a_failure_while_running_points_to_its_operation() {
    let fixture = Fixture::new();
    let path = rows(&fixture);
    let operations = json!([
        {"type": "repartition", "n": 2},
        {"type": "map", "function": "x => { if (x === 777) { throw new Error('no sevens') } return x }"},
    ]);
    let failure = fixture.run(&request(&path, &["id"], operations), 2).unwrap_err();
    assert_eq!(failure.code.as_str(), "lambda.threw");
    assert_eq!(failure.pointer.as_deref(), Some("/operations/1/function"));
}

#[test]
fn what_footers_say_is_not_read() {
    let fixture = Fixture::new();
    let path = rows(&fixture);
    let ask = |sql: &str| json!({"sql": sql, "tables": {"t": {"source": {"type": "parquet", "path": path}}, "u": {"source": {"type": "parquet", "path": path}}}});
    let plan = |sql: &str| fixture.plan(&ask(sql), 2).unwrap().explain();
    let known = "SELECT count(*) AS n, min(id) AS least, max(key) AS most FROM t";
    assert!(!plan(known).contains("DataSourceExec"), "{}", plan(known));
    assert_eq!(fixture.run(&ask(known), 2).unwrap(), json!([{"n": ROWS, "least": 0, "most": 999}]));
    // Writers leave NaN out of the extremes of fractions.
    assert!(plan("SELECT max(price) FROM t").contains("DataSourceExec"));
    // The small side of a join is held in memory, on whichever side it is written.
    for sql in ["SELECT t.id FROM t JOIN u ON t.id = u.key WHERE u.id < 10", "SELECT t.id FROM u JOIN t ON t.id = u.key WHERE u.id < 10"] {
        assert!(plan(sql).contains("CollectLeft"), "{}", plan(sql));
    }
    // Row groups whose extremes do not fit are left out, and what is left out of an answer is right.
    let some = "SELECT count(*) AS n FROM t WHERE id BETWEEN 12000 AND 12009 AND name > 'name 012005'";
    assert_eq!(fixture.run(&ask(some), 2).unwrap(), json!([{"n": 4}]));
}

#[test]
fn a_file_that_changes_between_two_jobs_is_read_anew() {
    let fixture = Fixture::new();
    let path = rows(&fixture);
    let ask = json!({"sql": "SELECT count(*) AS n, sum(key) AS s FROM t", "tables": {"t": {"source": {"type": "parquet", "path": path}}}});
    let before = fixture.run(&ask, 2).unwrap();
    assert_eq!(before[0]["n"], json!(ROWS));
    let planned = fixture.plan(&ask, 2).unwrap();
    let schema = Arc::new(Schema::new(vec![Field::new("key", DataType::Int64, true)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from_iter_values([7, 8]))]).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert_eq!(fixture.run(&ask, 2).unwrap(), json!([{"n": 2, "s": 15}]));
    // A job that was planned over the old file does not read the new one.
    let failure = fixture.run_planned(&planned).unwrap_err();
    assert_eq!(failure.code.as_str(), "data.invalid", "{failure:?}");
}

#[test]
fn a_million_groups_spill() {
    const KEYS: i64 = 1_000_000;
    // The rows alone are three times the memory, and the groups' keys and sums more than twice.
    let fixture = Fixture::with_memory(24 << 20);
    let path = fixture.files.path().join("keys.parquet");
    let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, false), Field::new("x", DataType::Int64, false)]));
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), Arc::clone(&schema), None).unwrap();
    for round in 0..3 {
        for start in (0..KEYS).step_by(100_000) {
            let keys = Int64Array::from_iter_values((start..start + 100_000).map(|row| row * 7919 % KEYS));
            let values = Int64Array::from_iter_values((start..start + 100_000).map(|row| (row * 7919 % KEYS) * 10 + round));
            writer.write(&RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(keys), Arc::new(values)]).unwrap()).unwrap();
        }
    }
    writer.close().unwrap();
    let sql = "SELECT count(*) AS keys, sum(n) AS rows, sum(CASE WHEN s = 30 * k + 3 AND n = 3 AND least = 10 * k THEN 1 ELSE 0 END) AS right_ones
               FROM (SELECT k, count(*) AS n, sum(x) AS s, min(x) AS least FROM t GROUP BY k)";
    let ask = json!({"sql": sql, "tables": {"t": {"source": {"type": "parquet", "path": path}}}});
    assert_eq!(fixture.run(&ask, 2).unwrap(), json!([{"keys": KEYS, "rows": 3 * KEYS, "right_ones": KEYS}]));
    assert!(fixture.spills(&ask, 2) > 0, "nothing was spilled: the test shows nothing");
}

#[test]
fn lists_of_what_functions_made_are_counted() {
    let fixture = Fixture::with_memory(32 << 20);
    for sql in [
        "SELECT array_length(array_agg(repeat(value::text, 200))) AS n FROM generate_series(100000, 300000)",
        "SELECT max(array_length(l)) AS n FROM (SELECT array_agg(upper(repeat(value::text, 200))) AS l FROM generate_series(100000, 300000) GROUP BY value % 3)",
        "SELECT array_length(array_agg(DISTINCT concat(repeat(value::text, 200), 'x'))) AS n FROM generate_series(100000, 300000)",
    ] {
        let failure = fixture.run(&json!({"sql": sql}), 2).expect_err("five times the memory");
        assert_eq!(failure.code.as_str(), "memory.limit", "{sql}: {failure:?}");
    }
}
