//! Functions of an uploaded component in jobs: arguments, configuration, every kind, and what is refused.
//!
//! The component is the one of `examples/transform-rust`, built by `cargo xtask guests`; some tests take `tests/guests/types`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

#[path = "plugins/frames.rs"]
mod frames;
#[path = "support/fixture.rs"]
mod support;
#[path = "plugins/whole.rs"]
mod whole;

use datafusion::arrow::array::{Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use support::Fixture;

fn guest(name: &str) -> Vec<u8> {
    let folder = std::env::var("AZORA_TEST_GUESTS").expect("AZORA_TEST_GUESTS is not set: run the tests by `cargo xtask test`");
    let path = std::path::Path::new(&folder).join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|_| panic!("{} is missing: run `cargo xtask guests`", path.display()))
}

fn textkit() -> Fixture {
    Fixture::with_plugin(guest("textkit"))
}

/// Checks how a query over rows fails in some partitions; `part` stands in its message or hint.
fn check_refused(fixture: &Fixture, data: &Value, (sql, partitions): (&str, usize), code: &str, part: &str) {
    let failure = fixture.run(&json!({"data": data, "sql": sql}), partitions).unwrap_err();
    let text = format!("{} {}", failure.message, failure.hint.clone().unwrap_or_default());
    assert_eq!((failure.code.as_str(), failure.pointer.as_deref()), (code, Some("/sql")), "{sql}: {failure:?}");
    assert!(text.contains(part), "{sql}: {text}");
}

fn job(data: Value, operations: Value) -> Value {
    json!({"data": data, "operations": operations})
}

#[test]
fn every_kind_of_function_runs() {
    let fixture = textkit();
    let check = |name: &str, data: Value, operations: Value, expect: Value| {
        for partitions in [1, 3] {
            let answer = fixture.run(&job(data.clone(), operations.clone()), partitions);
            assert_eq!(answer, Ok(expect.clone()), "{name}, {partitions} partitions");
        }
    };
    let call = |function: &str| json!({"plugin": "textkit", "function": function});
    let texts = json!(["to be", "or NOT", "good"]);
    check("map", texts.clone(), json!([{"type": "map", "function": call("title_case")}]), json!(["To Be", "Or Not", "Good"]));
    let profile = json!([{"characters": 5, "words": 2, "longest": "to", "initials": ["t", "b"]}]);
    check("map to objects", json!(["to be"]), json!([{"type": "map", "function": call("profile")}]), profile);
    let words = json!(["to", "be", "or", "not", "good"]);
    check("flatMap", texts.clone(), json!([{"type": "flatMap", "function": call("tokens")}]), words);
    check("filter", json!(["a", "12", "b"]), json!([{"type": "filter", "function": call("clean")}]), json!(["a", "b"]));
    let mixed = json!([
        {"type": "flatMap", "function": call("tokens")},
        {"type": "map", "function": "w => [w.length, w]"},
        {"type": "mapValues", "function": call("title_case")},
        {"type": "filter", "function": "p => p[0] > 2"},
    ]);
    check("lambdas around it", texts.clone(), mixed, json!([[3, "Not"], [4, "Good"]]));
    check("keyBy", texts.clone(), json!([{"type": "keyBy", "function": call("score")}, {"type": "keys"}]), json!([0, 0, 1]));
    let sorted = json!([{"type": "sortBy", "function": call("score"), "ascending": false}, {"type": "first"}]);
    check("sortBy", texts.clone(), sorted, json!("good"));
    let named = json!([{"type": "map", "function": {"plugin": "textkit@1.0.0", "function": "score", "columns": ["line"], "as": "score"}}]);
    let lines = json!([{"id": 1, "line": "good"}, {"id": 2, "line": "bad"}]);
    check("as", lines.clone(), named, json!([{"id": 1, "line": "good", "score": 1}, {"id": 2, "line": "bad", "score": -1}]));
    let pruned = json!([{"type": "map", "function": {"plugin": "textkit", "function": "score", "columns": ["line"], "as": "s"}}, {"type": "map", "function": "r => r.s"}]);
    check("columns that nobody needs", lines, pruned, json!([1, -1]));
    let points = json!([{"lat": 52.39, "lon": 13.06, "n": 1}, {"lat": 48.85, "lon": 2.35, "n": 2}]);
    let within = json!([{"type": "filter", "function": {"plugin": "textkit", "function": "within", "config": {"lat": 52.52, "lon": 13.405, "km": 30}}}]);
    check("filter with a configuration", points, within, json!([{"lat": 52.39, "lon": 13.06, "n": 1}]));
}

#[test]
fn what_does_not_fit_is_refused() {
    let fixture = textkit();
    let check = |data: Value, operation: Value, code: &str, pointer: &str, part: &str| {
        let failure = fixture.run(&job(data, json!([operation])), 2).unwrap_err();
        let text = format!("{} {}", failure.message, failure.hint.clone().unwrap_or_default());
        assert_eq!((failure.code.as_str(), failure.pointer.as_deref()), (code, Some(pointer)), "{failure:?}");
        assert!(text.contains(part), "{text}");
    };
    let call = |function: &str, more: Value| {
        let mut call = json!({"plugin": "textkit", "function": function});
        for (name, value) in more.as_object().unwrap() {
            call[name.as_str()] = value.clone();
        }
        call
    };
    let map = |function: Value| json!({"type": "map", "function": function});
    check(json!(["a"]), map(call("titel_case", json!({}))), "plugin.function_unknown", "/operations/0/function", "title_case");
    check(json!(["a"]), map(call("clean", json!({}))), "plugin.function_unknown", "/operations/0/function", "filter");
    check(json!([1]), map(call("score", json!({}))), "plugin.refused", "/operations/0/columns", "Utf8");
    check(json!([{"a": "x"}]), map(call("score", json!({}))), "operation.invalid", "/operations/0/columns", "text");
    check(json!([{"line": "x"}]), map(call("score", json!({"columns": ["lime"]}))), "operation.invalid", "/operations/0/columns", "line");
    check(json!(["a"]), map(call("score", json!({"config": {"x": 1}}))), "request.field", "/operations/0/config", "no configuration");
    let within = |config: Value| json!({"type": "filter", "function": call("within", json!({"config": config}))});
    let point = json!([{"lat": 1.5, "lon": 2.5}]);
    check(point.clone(), within(json!({"lat": "north", "lon": 1.0})), "request.field", "/operations/0/config/lat", "number");
    check(point, within(json!({"lat": 1.0})), "request.field", "/operations/0/config", "lon");
}

/// Key and value of the rows that aggregates are tested on.
fn pairs(rows: i64, keys: i64) -> impl Iterator<Item = (i64, f64)> {
    (0..rows).map(move |row| (row * 7919 % keys, 1.0 + (row * 37 % 101) as f64 / 10.0))
}

/// The same as columns `k` and `x` of a file.
fn pairs_file(fixture: &Fixture, rows: i64, keys: i64) -> PathBuf {
    let path = fixture.files.path().join("pairs.parquet");
    let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, false), Field::new("x", DataType::Float64, false)]));
    let (keys, values): (Vec<i64>, Vec<f64>) = pairs(rows, keys).unzip();
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(keys)), Arc::new(Float64Array::from(values))]);
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), schema, None).unwrap();
    writer.write(&batch.unwrap()).unwrap();
    writer.close().unwrap();
    path
}

/// The geometric means of the same rows, natively.
fn geometric_means(rows: i64, keys: i64) -> BTreeMap<i64, f64> {
    let mut sums: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (key, x) in pairs(rows, keys) {
        let (sum, count) = sums.entry(key).or_default();
        *sum += x.ln();
        *count += 1.0;
    }
    sums.into_iter().map(|(key, (sum, count))| (key, (sum / count).exp())).collect()
}

fn check_means(answer: &Value, rows: i64, keys: i64) {
    let expect = geometric_means(rows, keys);
    let answer = answer.as_array().unwrap();
    assert_eq!(answer.len(), expect.len());
    for (pair, (key, mean)) in answer.iter().zip(expect) {
        let found = pair[1].as_f64().unwrap();
        assert_eq!(pair[0], key);
        assert!((found - mean).abs() <= 1e-12 * mean, "key {key}: {found} is not {mean}");
    }
}

/// Equality up to rounding.
fn is_close(expect: &Value, answer: &Value) -> bool {
    match (expect, answer) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_close(a, b)),
        (Value::Number(a), Value::Number(b)) => (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-9,
        _ => expect == answer,
    }
}

#[test]
fn an_aggregate_by_key_is_what_it_is_natively() {
    let fixture = textkit();
    let data: Vec<Value> = pairs(5_000, 37).map(|(key, x)| json!([key, x])).collect();
    let mean = json!({"type": "aggregateByKey", "plugin": "textkit", "function": "geometric_mean"});
    for partitions in [1, 3, 16] {
        check_means(&fixture.run(&job(json!(data), json!([mean])), partitions).unwrap(), 5_000, 37);
    }
    let all: Vec<Value> = [2.0, 8.0, 4.0].map(Value::from).to_vec();
    let check = |data: Value, operations: Value, expect: Value| {
        for partitions in [1, 2, 16] {
            let answer = fixture.run(&job(data.clone(), operations.clone()), partitions).unwrap();
            assert!(is_close(&expect, &answer), "{operations}, {partitions} partitions: {answer} is not {expect}");
        }
    };
    let of_all = json!({"type": "aggregate", "plugin": "textkit", "function": "geometric_mean"});
    check(json!(all), json!([of_all]), json!(4.0));
    check(json!([]), json!([of_all]), Value::Null);
    check(json!([null, 9, null, 4]), json!([of_all]), json!(6.0));
    let columns = json!({"type": "aggregate", "plugin": "textkit", "function": "geometric_mean", "columns": ["price"]});
    check(json!([{"id": 1, "price": 3}, {"id": 2, "price": 27.0}]), json!([columns]), json!(9.0));
    let by_country = json!([{"type": "keyBy", "function": "r => r.c"}, {"type": "aggregateByKey", "function": {"plugin": "textkit", "function": "geometric_mean", "columns": ["p"]}}]);
    check(json!([{"c": "ZA", "p": 4}, {"c": "NG", "p": 5}, {"c": "ZA", "p": 9}]), by_country, json!([["NG", 5.0], ["ZA", 6.0]]));
    let lambdas_behind = json!([mean, {"type": "map", "function": "p => Math.round(p[1]) + p[0]"}]);
    check(json!([[1, 4], [2, 5], [1, 9]]), lambdas_behind, json!([7, 7]));
}

#[test]
fn an_aggregate_over_more_groups_than_memory_spills() {
    const ROWS: i64 = 400_000;
    const KEYS: i64 = 150_000;
    let fixture = Fixture::with_plugin_and_memory(guest("textkit"), 16 << 20);
    let path = pairs_file(&fixture, ROWS, KEYS);
    let request = json!({"source": {"type": "parquet", "path": path.to_str().unwrap()}, "operations": [
        {"type": "map", "function": "r => [r.k, r.x]"},
        {"type": "aggregateByKey", "plugin": "textkit", "function": "geometric_mean"},
    ]});
    check_means(&fixture.run(&request, 2).unwrap(), ROWS, KEYS);
}

#[test]
fn aggregates_that_do_not_fit_or_fail_are_refused() {
    let fixture = textkit();
    let check = |data: Value, operation: Value, code: &str, pointer: &str, part: &str| {
        let failure = fixture.run(&job(data, json!([operation])), 2).unwrap_err();
        let text = format!("{} {}", failure.message, failure.hint.clone().unwrap_or_default());
        assert_eq!((failure.code.as_str(), failure.pointer.as_deref()), (code, Some(pointer)), "{failure:?}");
        assert!(text.contains(part), "{text}");
        failure
    };
    let of_all = |function: &str| json!({"type": "aggregate", "plugin": "textkit", "function": function});
    check(json!(["a"]), of_all("geometric_mean"), "plugin.refused", "/operations/0/columns", "Float64");
    check(json!([1]), of_all("haversine"), "plugin.function_unknown", "/operations/0/function", "needs aggregate");
    check(json!([1]), of_all("geometric_men"), "plugin.function_unknown", "/operations/0/function", "geometric_mean");
    check(
        json!([1]),
        json!({"type": "map", "plugin": "textkit", "function": "geometric_mean"}),
        "plugin.function_unknown",
        "/operations/0/function",
        "is of kind aggregate",
    );
    check(json!([1]), json!({"type": "aggregate", "function": "(a, b) => a"}), "operation.invalid", "/operations/0/function", "'seq'");
    check(
        json!([1]),
        json!({"type": "aggregateByKey", "plugin": "textkit", "function": "geometric_mean"}),
        "operation.invalid",
        "/operations/0",
        "pairs",
    );
    let failed = check(json!([4, -1, 9]), of_all("geometric_mean"), "plugin.failed", "/operations/0", "-1 is none");
    assert_eq!(failed.blame(), azora_spec::Blame::Plugin);
}

#[test]
fn rows_that_fail_or_trap_are_left_out() {
    let fixture = Fixture::with_plugin(guest("types"));
    let mut data: Vec<Value> = (0..3_000).map(|row| json!(format!("row {row}"))).collect();
    for (row, bad) in [(0, ""), (7, "panic"), (1_500, ""), (1_501, "panic"), (2_999, "panic")] {
        data[row] = json!(bad);
    }
    let expect: Vec<Value> =
        data.iter().filter_map(Value::as_str).filter(|text| text.starts_with("row")).map(|text| json!(text.to_uppercase())).collect();
    let shout = json!([{"type": "map", "plugin": "types", "function": "shout"}]);
    for partitions in [1, 3] {
        let request = json!({"data": data, "operations": shout, "options": {"onError": "skip"}});
        assert_eq!(fixture.run(&request, partitions).unwrap(), json!(expect), "{partitions} partitions");
    }
    let failure = fixture.run(&job(json!(data), shout), 2).unwrap_err();
    assert_eq!(failure.blame(), azora_spec::Blame::Plugin);
}

#[test]
fn an_aggregate_in_sql_is_what_it_is_natively() {
    let fixture = textkit();
    let data: Vec<Value> = pairs(5_000, 37).map(|(key, x)| json!({"k": key, "x": x})).collect();
    let check = |sql: &str| {
        for partitions in [1, 3, 16] {
            let rows = fixture.run(&json!({"data": data, "sql": sql}), partitions).unwrap_or_else(|failure| panic!("{sql}: {failure:?}"));
            let answer: Vec<Value> = rows.as_array().unwrap().iter().map(|row| json!([row["k"], row["m"]])).collect();
            check_means(&json!(answer), 5_000, 37);
        }
    };
    check("SELECT k, textkit.geometric_mean(x) AS m FROM input GROUP BY k ORDER BY k");
    check("CREATE FUNCTION gm USING 'textkit@1.0.0' FUNCTION 'geometric_mean'; SELECT k, gm(x) AS m FROM input GROUP BY k ORDER BY k");
    check("SELECT DISTINCT k, textkit.geometric_mean(x) OVER (PARTITION BY k) AS m FROM input ORDER BY k");
    let four = json!({"data": [{"x": 2}, {"x": 8}, {"x": null}], "sql": "SELECT textkit.geometric_mean(x) AS m, textkit.geometric_mean(x) FILTER (WHERE x > 3) AS n FROM input"});
    assert!(is_close(&json!([[4.0, 8.0]]), &json!([fixture.run(&four, 2).unwrap()[0].as_object().unwrap().values().collect::<Vec<_>>()])));
    let moving = json!({"data": [{"x": 2}, {"x": 8}, {"x": 32}], "sql": "SELECT x, textkit.geometric_mean(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS m FROM input ORDER BY x"});
    let means: Vec<Value> = fixture.run(&moving, 2).unwrap().as_array().unwrap().iter().map(|row| json!([row["x"], row["m"]])).collect();
    assert!(is_close(&json!([[2, 2.0], [8, 4.0], [32, 16.0]]), &json!(means)), "{means:?}");
    let wrong = |sql: &str, code: &str, part: &str| {
        let failure = fixture.run(&json!({"data": data, "sql": sql}), 2).unwrap_err();
        let text = format!("{} {}", failure.message, failure.hint.clone().unwrap_or_default());
        assert_eq!(failure.code.as_str(), code, "{sql}: {failure:?}");
        assert!(text.contains(part), "{text}");
    };
    wrong("SELECT textkit.geometric_men(x) FROM input", "plugin.function_unknown", "geometric_mean");
    wrong("SELECT textkit.geometric_mean('a') FROM input", "sql.type", "Float64");
    // A name that is not there is blamed, not the aggregate before it.
    wrong("SELECT k, textkit.geometric_mean(x) AS m, nothing FROM input GROUP BY k", "column.unknown", "nothing");
    wrong("SELECT textkit.geometric_mean(x - 100) FROM input", "plugin.failed", "");
}

#[test]
fn an_aggregate_in_sql_spills() {
    const ROWS: i64 = 300_000;
    const KEYS: i64 = 120_000;
    let fixture = Fixture::with_plugin_and_memory(guest("textkit"), 16 << 20);
    let path = pairs_file(&fixture, ROWS, KEYS);
    let sql = "SELECT count(*) AS keys, sum(ln(m)) AS logs FROM (SELECT k, textkit.geometric_mean(x) AS m FROM t GROUP BY k)";
    let request = json!({"sql": sql, "tables": {"t": {"source": {"type": "parquet", "path": path}}}});
    let expect: f64 = geometric_means(ROWS, KEYS).values().map(|mean| mean.ln()).sum();
    let answer = fixture.run(&request, 2).unwrap();
    assert_eq!(answer[0]["keys"], json!(KEYS));
    let logs = answer[0]["logs"].as_f64().unwrap();
    assert!((logs - expect).abs() < 1e-6 * expect.abs(), "{logs} is not {expect}");
    assert!(fixture.spills(&request, 2) > 0, "nothing was spilled: the test shows nothing");
}

/// Where nearly every row has a key of its own, DataFusion stops to aggregate before the exchange and asks for a state a row.
#[test]
fn rows_with_keys_of_their_own_become_states() {
    const ROWS: i64 = 500_000;
    const KEYS: i64 = 250_007;
    let fixture = textkit();
    let path = pairs_file(&fixture, ROWS, KEYS);
    let run = |select: &str| {
        let sql = format!("SELECT count(m) AS keys, sum(ln(m)) AS logs FROM (SELECT k, {select} AS m FROM t GROUP BY k)");
        fixture.run(&json!({"sql": sql, "tables": {"t": {"source": {"type": "parquet", "path": path}}}}), 2).unwrap()
    };
    let is_near = |answer: &Value, expect: f64| (answer[0]["logs"].as_f64().unwrap() - expect).abs() < 1e-6 * expect.abs();
    let means = geometric_means(ROWS, KEYS);
    let answer = run("textkit.geometric_mean(x)");
    assert_eq!(answer[0]["keys"], json!(KEYS));
    assert!(is_near(&answer, means.values().map(|mean| mean.ln()).sum()), "{answer}");
    let mut large: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (key, x) in pairs(ROWS, KEYS).filter(|(_, x)| *x > 5.0) {
        let (sum, count) = large.entry(key).or_default();
        (*sum, *count) = (*sum + x.ln(), *count + 1.0);
    }
    let answer = run("textkit.geometric_mean(x) FILTER (WHERE x > 5)");
    assert_eq!(answer[0]["keys"], json!(large.len()));
    assert!(is_near(&answer, large.values().map(|(sum, count)| sum / count).sum()), "{answer}");
}

#[test]
fn functions_that_make_rows_stand_in_from() {
    let fixture = textkit();
    let lines = json!([{"id": 1, "line": "to be"}, {"id": 2, "line": "or NOT to"}]);
    let check = |sql: &str, expect: Value| {
        for partitions in [1, 3] {
            let answer = fixture.run(&json!({"data": lines, "sql": sql}), partitions);
            assert_eq!(answer, Ok(expect.clone()), "{sql}, {partitions} partitions");
        }
    };
    let tokens = fixture.run(&json!({"data": [], "sql": "SELECT * FROM textkit.tokens('to be or')"}), 1).unwrap();
    let column = tokens[0].as_object().unwrap().keys().next().unwrap().clone();
    assert_eq!(tokens.as_array().unwrap().len(), 3);
    check(
        &format!(
            "SELECT \"{column}\" AS word, count(*) AS n FROM textkit.tokens((SELECT line FROM input WHERE id > 0)) GROUP BY 1 ORDER BY n DESC, word LIMIT 2"
        ),
        json!([{"word": "to", "n": 2}, {"word": "be", "n": 1}]),
    );
    check(
        "CREATE FUNCTION words USING 'textkit' FUNCTION 'tokens'; SELECT count(*) AS n FROM words((SELECT line FROM input)) AS w",
        json!([{"n": 5}]),
    );
    check("SELECT count(*) AS n FROM textkit.clean((SELECT line FROM input))", json!([{"n": 2}]));
    check("SELECT longest FROM textkit.profile((SELECT line FROM input)) ORDER BY longest", json!([{"longest": "NOT"}, {"longest": "to"}]));
    let wrong = |sql: &str, code: &str, part: &str| check_refused(&fixture, &lines, (sql, 2), code, part);
    wrong("SELECT * FROM textkit.tokns((SELECT line FROM input))", "plugin.function_unknown", "tokens");
    wrong("SELECT textkit.tokens(line) FROM input", "sql.invalid", "FROM");
    wrong("SELECT * FROM textkit.geometric_mean((SELECT id FROM input))", "sql.invalid", "SELECT");
    wrong("SELECT * FROM textkit.tokens((SELECT id FROM input))", "plugin.refused", "Utf8");
    wrong("SELECT * FROM textkit.tokens((SELECT id, line FROM input))", "operation.invalid", "takes 1 columns");
    wrong("SELECT * FROM nowhere.tokens('a')", "plugin.unknown", "nowhere");
}
