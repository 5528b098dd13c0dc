//! SQL as deep as it may be answers within a bearable time, and deeper SQL is refused before anybody walks it.

use crate::support::Fixture;
use azora_spec::limits::{SQL_CHAIN_MAX, SQL_UNIONS_MAX};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longest planning and running of one of these here: a hundred times what it took, and far below what quadratic would take.
const TIME_MAX: Duration = Duration::from_secs(30);

/// `first` and behind it `link` so many times.
fn chain(first: &str, link: &str, times: usize) -> String {
    format!("{first}{}", link.repeat(times))
}

#[test]
fn chains_as_long_as_they_may_be_are_answered() {
    let fixture = Fixture::new();
    let most = SQL_CHAIN_MAX;
    let check = |name: &str, sql: String, expect: Value| {
        let began = Instant::now();
        let answer = fixture.run(&json!({"data": [{"age": 30, "pay": 0.5, "name": "Ann"}], "sql": sql}), 1);
        assert_eq!(answer, Ok(json!([{"x": expect}])), "{name}");
        assert!(began.elapsed() < TIME_MAX, "{name} took {:?}", began.elapsed());
    };
    let select = |text: &str| format!("SELECT {text} AS x FROM input");
    check("constants", select(&chain("1", " + 1", most)), json!(1 + most));
    check("integers", select(&chain("age", " + age", most)), json!(30 * (1 + most)));
    check("integers by turns", select(&chain("age", " + age * 2 - 1", most / 3)), json!(30 + 59 * (most / 3)));
    check("doubles", select(&chain("pay", " + pay", most)), json!(0.5 * (1 + most) as f64));
    check("texts", select(&format!("length({})", chain("name", " || name", most / 2 - 1))), json!(3 * (most / 2)));
    check("conditions", format!("SELECT count(*) AS x FROM input WHERE {}", chain("age = 1", " OR age = 30", most / 2 - 2)), json!(1));
    check(
        "all of many conditions",
        format!("SELECT count(*) AS x FROM input WHERE {}", chain("age > 1", " AND age > 2", most / 2 - 2)),
        json!(1),
    );
    check("negations", select(&format!("{}(age > 1)", chain("", "NOT ", most - 1))), json!(most % 2 == 1));
    check("casts", select(&chain("age", "::int::bigint", most / 4)), json!(30));
    check(
        "unions",
        format!("SELECT count(*) AS x FROM ({})", chain("SELECT 1", " UNION ALL SELECT 1", SQL_UNIONS_MAX)),
        json!(1 + SQL_UNIONS_MAX),
    );
}

#[test]
fn longer_chains_are_refused() {
    let fixture = Fixture::new();
    let check = |sql: String| {
        let failure = fixture.run(&json!({"sql": sql}), 1).unwrap_err();
        assert_eq!(failure.code.as_str(), "sql.too_deep", "{}", sql.get(..40).unwrap_or_default());
        assert!(failure.position.is_some() && failure.hint.is_some());
    };
    check(format!("SELECT {}", chain("1", " + 1", 10_000)));
    check(format!("SELECT {}", chain("1", " + 1", SQL_CHAIN_MAX + 1)));
    check(chain("SELECT 1", " UNION SELECT 1", 5_000));
    check(chain("SELECT 1", " UNION SELECT 1", SQL_UNIONS_MAX + 1));
    check(format!("SELECT {}", chain("true", " AND NOT true", 10_000)));
}
