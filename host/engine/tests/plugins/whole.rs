//! Functions of whole partitions in SQL: uploaded ones and lambdas in FROM, over several partitions, over nothing, and
//! where they fail.

use super::{check_refused, guest};
use crate::support::Fixture;
use serde_json::{Value, json};

fn types() -> Fixture {
    Fixture::with_plugin(guest("types"))
}

fn numbers(rows: i64) -> Value {
    (0..rows).map(|n| json!({"n": n, "s": if n % 2 == 0 { "a b" } else { "c" }})).collect()
}

#[test]
fn a_function_of_whole_partitions_sees_each_of_them_once() {
    let fixture = types();
    let sql = "SELECT value FROM types.running((SELECT n FROM input)) AS r(value)";
    let answer = |rows: i64, partitions: usize| {
        let answer = fixture.run(&json!({"data": numbers(rows), "sql": sql}), partitions).unwrap();
        let sums = answer.as_array().unwrap().iter().map(|row| row["value"].as_i64().unwrap());
        sums.collect::<Vec<i64>>()
    };
    assert_eq!(answer(5, 1), [1, 6, 10]);
    let whole = answer(10_000, 1);
    assert_eq!((whole.len(), whole.last()), (5_000, Some(&49_995_000)));
    // Each partition begins at nothing, and what it holds is always the same.
    let parted = answer(10_000, 4);
    assert_eq!(parted.len(), 5_000);
    assert_ne!(parted, whole);
    assert_eq!(answer(10_000, 4), parted);
    let counted = json!({"data": numbers(10_000), "sql": "SELECT count(*) AS n, max(value) AS most FROM types.running((SELECT n FROM input WHERE n < 1000)) AS r(value)"});
    assert_eq!(fixture.run(&counted, 1).unwrap(), json!([{"n": 500, "most": 499_500}]));
    let joined = json!({"data": numbers(10), "sql": "SELECT a.n, r.value FROM input a JOIN types.running((SELECT n FROM input)) AS r(value) ON a.n = r.value ORDER BY a.n"});
    assert_eq!(fixture.run(&joined, 1).unwrap(), json!([{"n": 1, "value": 1}, {"n": 6, "value": 6}]));
    let twice = json!({"data": numbers(4), "sql": "SELECT value FROM types.running((SELECT value FROM types.running((SELECT n FROM input)) AS q(value))) AS r(value)"});
    assert_eq!(fixture.run(&twice, 1).unwrap(), json!([{"value": 7}]));
    let named = json!({"data": numbers(4), "sql": "CREATE FUNCTION sums USING 'types' FUNCTION 'running'; SELECT value FROM sums((SELECT n FROM input)) AS r(value)"});
    assert_eq!(fixture.run(&named, 1).unwrap(), json!([{"value": 1}, {"value": 6}]));
    let empty =
        json!({"data": numbers(40), "sql": "SELECT count(*) AS n FROM types.running((SELECT n FROM input WHERE n > 100)) AS r(value)"});
    for partitions in [1, 4] {
        assert_eq!(fixture.run(&empty, partitions).unwrap(), json!([{"n": 0}]), "{partitions} partitions");
    }
}

#[test]
fn rows_of_other_functions_are_those_of_all_partitions() {
    let fixture = types();
    let check = |sql: &str, expect: Value| {
        for partitions in [1, 3, 16] {
            let answer = fixture.run(&json!({"data": numbers(6), "sql": sql}), partitions);
            assert_eq!(answer, Ok(expect.clone()), "{sql}, {partitions} partitions");
        }
    };
    check("SELECT count(*) AS n FROM types.explode((SELECT s FROM input)) AS w(word)", json!([{"n": 9}]));
    check("SELECT sum(n) AS n FROM types.is_even((SELECT n FROM input))", json!([{"n": 6}]));
    check("SELECT sum(x) AS x FROM types.invert((SELECT n FROM input WHERE n > 100)) AS i(x)", json!([{"x": null}]));
    check(
        "CREATE FUNCTION twice AS 'r => [r.n, r.n * 10]'; SELECT sum(v) AS v, count(*) AS n FROM twice((SELECT n FROM input)) AS t(v)",
        json!([{"v": 165, "n": 12}]),
    );
    check(
        "CREATE FUNCTION none AS 'r => r.n > 100 ? [r.n] : []'; SELECT count(*) AS n FROM none((SELECT n FROM input)) AS t(v)",
        json!([{"n": 0}]),
    );
    check(
        "CREATE FUNCTION twice AS 'r => [r.n, r.n]'; SELECT count(*) AS n FROM twice((SELECT n FROM input WHERE n < 0)) AS t(v)",
        json!([{"n": 0}]),
    );
    check(
        "CREATE FUNCTION parts AS 'r => r.s.split(\" \")'; SELECT w, count(*) AS n FROM parts((SELECT n, s FROM input)) AS t(w) GROUP BY w ORDER BY w",
        json!([{"w": "a", "n": 3}, {"w": "b", "n": 3}, {"w": "c", "n": 3}]),
    );
}

#[test]
fn what_fails_there_has_a_code_and_a_place() {
    let fixture = types();
    let wrong = |sql: &str, code: &str, part: &str| {
        for partitions in [1, 4] {
            check_refused(&fixture, &numbers(40), (sql, partitions), code, part);
        }
    };
    wrong("SELECT * FROM types.explode((SELECT CASE WHEN n = 33 THEN 'bomb' ELSE s END AS s FROM input))", "plugin.failed", "bomb found");
    wrong("SELECT * FROM types.shout((SELECT CASE WHEN n = 33 THEN 'panic' ELSE s END AS s FROM input))", "plugin.trap", "");
    wrong("SELECT * FROM types.running((SELECT s FROM input))", "plugin.refused", "Int64");
    wrong("SELECT * FROM types.running((SELECT n, s FROM input))", "operation.invalid", "takes 1 columns");
    wrong("SELECT * FROM types.fails((SELECT n FROM input))", "request.field", "factor");
    wrong("SELECT types.running(n) FROM input", "sql.invalid", "FROM");
    wrong("CREATE FUNCTION bad AS 'r => r.x.y'; SELECT * FROM bad((SELECT n FROM input))", "lambda.unknown_name", "");
    wrong("CREATE FUNCTION broken AS 'n => [n'; SELECT * FROM broken((SELECT n FROM input))", "lambda.syntax", "");
    let mut skipping =
        json!({"data": numbers(4), "sql": "SELECT * FROM types.running((SELECT n FROM input))", "options": {"onError": "skip"}});
    let failure = fixture.run(&skipping, 2).unwrap_err();
    assert_eq!(failure.code.as_str(), "operation.invalid", "{failure:?}");
    skipping["options"]["onError"] = json!("fail");
    assert!(fixture.run(&skipping, 2).is_ok());
}

#[test]
fn rdds_take_the_same_functions() {
    let fixture = types();
    let run = |data: Value, partitions: usize| {
        let operations = json!([{"type": "mapPartitions", "plugin": "types", "function": "running"}]);
        fixture.run(&json!({"data": data, "operations": operations}), partitions).unwrap()
    };
    assert_eq!(run(json!([1, 2, 3, 4]), 1), json!([3, 10]));
    assert_eq!(run(json!([1, 2, 3, 4]), 2), json!([3, 7]));
    assert_eq!(run(json!([1, 2, 3]), 16), json!([1, 2, 3]));
    assert_eq!(run(json!([]), 4), json!([]));
}
