//! Jobs that make far more rows than their time allows: they end, and nothing of them goes on computing.

use super::support::Fixture;
use azora_spec::Failure;
use serde_json::{Value, json};
use std::sync::mpsc;
use std::time::Duration;

/// Rows of each side; every query looks at all pairs.
const ROWS: u64 = 200_000;
const TIME_MAX_MS: u64 = 200;
/// What never stops would take hours.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a job ends that is over its time. Its run comes back once all of its partitions have stopped.
fn ended(request: Value) -> Failure {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(Fixture::new().run(&request, 2)));
    let answer = receiver.recv_timeout(PATIENCE).expect("the run goes on computing after its time");
    answer.expect_err("the job was ready in time: it shows nothing")
}

fn check(sql: &str) {
    let sql = sql.replace("$rows", &ROWS.to_string());
    let failure = ended(json!({"sql": sql, "options": {"timeoutMs": TIME_MAX_MS}}));
    assert_eq!(failure.code.as_str(), "job.timeout", "{sql}: {failure:?}");
}

#[test]
fn joins_of_all_pairs() {
    check("SELECT sum(a.x % 7) AS s FROM generate_series(1, $rows) AS a(x) CROSS JOIN generate_series(1, $rows) AS b(y)");
    check("SELECT count(*) AS n FROM generate_series(1, $rows) AS a(x) JOIN generate_series(1, $rows) AS b(y) ON a.x <> b.y");
    check("SELECT count(*) AS n FROM generate_series(1, $rows) AS a(x) JOIN generate_series(1, $rows) AS b(y) ON a.x % 1 = b.y % 1");
}

#[test]
fn joins_whose_condition_is_never_true() {
    for kind in ["JOIN", "LEFT JOIN", "FULL JOIN", "LEFT SEMI JOIN", "RIGHT ANTI JOIN"] {
        let from = format!("FROM generate_series(1, $rows) AS a(x) {kind} generate_series(1, $rows) AS b(y)");
        check(&format!("SELECT count(*) AS n {from} ON a.x * b.y < 0"));
        check(&format!("SELECT count(*) AS n {from} ON a.x % 1 = b.y % 1 AND a.x * b.y < 0"));
    }
}

#[test]
fn windows_that_look_at_all_rows() {
    check("SELECT max(c) AS m FROM (SELECT median(x) OVER (ORDER BY x % 1000, x) AS c FROM generate_series(1, $rows) AS a(x))");
}

#[test]
fn rows_of_lists() {
    check("SELECT sum(v) AS s FROM (SELECT unnest(range(0, 2000)) AS v FROM generate_series(1, 20000000) AS a(x))");
}

/// Of lists no more pairs are made than a patient test could wait for, so this one looks at the plan.
#[test]
fn pairs_of_lists() {
    let operations = json!([{"type": "cartesian", "other": {"data": [1, 2]}}, {"type": "count"}]);
    let plan = Fixture::new().plan(&json!({"data": [1, 2], "operations": operations}), 2).unwrap().explain();
    let nodes: Vec<&str> = plan.lines().map(str::trim).collect();
    let at = nodes.iter().position(|node| node.contains("cartesian")).unwrap();
    assert!(nodes[at - 1].contains("Stoppable"), "{plan}");
}
