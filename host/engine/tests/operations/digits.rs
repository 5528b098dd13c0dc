//! Sums, means, spreads and correlations of fractions answer the same digits whatever the partitions, and in every run.

use crate::support::Fixture;
use serde_json::{Value, json};

/// Runs with many partitions, whose answers meet in another order each time.
const RUNS: usize = 8;

/// Fractions of very different sizes, whose sum depends on the order of adding them.
fn rows() -> Vec<Value> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 12
    };
    let value = |a: u64, b: u64| (a as f64 / (1_u64 << 51) as f64 - 1.0) * 10_f64.powi((b % 9) as i32 - 4);
    (0..6000).map(|n| json!({"n": n, "k": n % 7, "x": value(next(), next())})).collect()
}

fn check(fixture: &Fixture, request: &Value) {
    let expect = fixture.run(request, 1).unwrap();
    assert!(expect.as_array().is_none_or(|rows| !rows.is_empty()), "{request:.200}");
    for partitions in std::iter::once(3).chain(std::iter::repeat_n(16, RUNS)) {
        let answer = fixture.run(request, partitions).unwrap();
        let asked = [&request["sql"], &request["frame"], &request["operations"]];
        assert_eq!(answer, expect, "{asked:?}, {partitions} partitions");
    }
}

#[test]
fn digits_do_not_depend_on_partitions() {
    let fixture = Fixture::new();
    let data = rows();
    let sql = |text: &str| check(&fixture, &json!({"data": data, "sql": text}));
    let all = "sum(x) AS a, avg(x) AS b, mean(x) AS c, stddev(x) AS d, stddev_pop(x) AS e, var(x) AS f, var_samp(x) AS g, var_pop(x) AS h";
    sql(&format!("SELECT {all} FROM input"));
    sql(&format!("SELECT k, {all} FROM input GROUP BY k ORDER BY k"));
    sql(&format!("SELECT n % 1500 AS grp, {all} FROM input GROUP BY grp ORDER BY grp"));
    let pairs = "corr(x, y) AS a, covar_samp(x, y) AS b, covar_pop(x, y) AS c, regr_slope(x, y) AS d, regr_intercept(x, y) AS e, \
        regr_r2(x, y) AS f, regr_avgx(x, y) AS g, regr_avgy(x, y) AS h, regr_sxx(x, y) AS i, regr_syy(x, y) AS j, regr_sxy(x, y) AS l";
    let doubled = "(SELECT k, n, x, x * (n % 13) + 0.1 AS y FROM input)";
    sql(&format!("SELECT {pairs} FROM {doubled}"));
    sql(&format!("SELECT k, {pairs} FROM {doubled} GROUP BY k ORDER BY k"));
    sql(&format!("SELECT n % 1500 AS grp, {pairs} FROM {doubled} GROUP BY grp ORDER BY grp"));
    sql("SELECT k, sum(DISTINCT x) AS a, avg(DISTINCT x) AS b, count(DISTINCT n) AS c FROM input GROUP BY k ORDER BY k");
    sql("SELECT a.k, sum(a.x * b.x) AS s, avg(a.x + b.x) AS m FROM input a JOIN input b ON a.n = b.n GROUP BY a.k ORDER BY a.k");
    sql("SELECT sum(s) AS s, avg(d) AS d FROM (SELECT n % 900 AS g, sum(x) AS s, stddev(x) AS d FROM input GROUP BY 1)");
    sql("SELECT k, sum(x) FILTER (WHERE n > 100) AS s, avg(CASE WHEN n % 3 = 0 THEN x END) AS m FROM input GROUP BY k ORDER BY k");
    let frame = |steps: Value| check(&fixture, &json!({"data": data, "frame": steps}));
    let words = json!({"x": ["sum", "avg", "stddev", "stddevPop", "variance", "varPop"]});
    frame(json!([{"type": "agg", "agg": words}]));
    frame(json!([{"type": "groupBy", "columns": ["k"], "agg": words}, {"type": "orderBy", "columns": ["k"]}]));
    frame(
        json!([{"type": "groupBy", "columns": ["k"], "pivot": {"column": "k"}, "agg": {"x": "sum"}}, {"type": "orderBy", "columns": ["k"]}]),
    );
    frame(json!([{"type": "select", "columns": ["x"]}, {"type": "describe"}]));
    let rdd = |operations: Value| {
        let mut all = vec![json!({"type": "map", "function": "r => r.x"})];
        all.extend(operations.as_array().unwrap().iter().cloned());
        check(&fixture, &json!({"data": data, "operations": all}));
    };
    rdd(json!([{"type": "stats"}]));
    rdd(json!([{"type": "mean"}]));
    rdd(json!([{"type": "aggregate", "aggregates": ["mean"]}]));
}

#[test]
fn sums_of_rdds_are_the_same_in_every_run() {
    let fixture = Fixture::new();
    let data = rows();
    for operations in [
        json!([{"type": "map", "function": "r => r.x"}, {"type": "sum"}]),
        json!([{"type": "map", "function": "r => r.x"}, {"type": "aggregate", "aggregates": ["sum", "mean"]}]),
        json!([{"type": "map", "function": "r => [r.k, r.x]"}, {"type": "reduceByKey", "function": "(a, b) => a + b"}]),
        json!([{"type": "map", "function": "r => r.x"}, {"type": "reduce", "function": "(a, b) => a + b"}]),
    ] {
        let request = json!({"data": data, "operations": operations});
        let expect = fixture.run(&request, 16).unwrap();
        for _ in 0..RUNS {
            assert_eq!(fixture.run(&request, 16).unwrap(), expect, "{operations}");
        }
    }
}
