//! Every RDD operation, frame operation and query, from the request's JSON to the answer's, in process. The cases are data:
//! `tests/cases/rdd/*.json` and `tests/cases/frame/*.json`, each `{"about", "data"?, "cases": [{"name", "request", "expect" | "fails",
//! "partitions"?}]}`. A request without an input gets the file's `data`.
//!
//! A case runs with 1, 2 and 16 partitions and must answer the same, unless it names other numbers of partitions.
//! `fails` holds members of the failure: `code`, `pointer`, `position` (`[line, column]`), and `message` or `hint` as a part of
//! the text. No failure may blame the server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

#[path = "operations/deep.rs"]
mod deep;
#[path = "operations/digits.rs"]
mod digits;
#[path = "operations/generated.rs"]
mod generated;
#[path = "support/interpreted.rs"]
mod interpreted;
#[path = "support/fixture.rs"]
mod support;
#[path = "operations/texts.rs"]
mod texts;
#[path = "operations/tpch.rs"]
mod tpch;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use support::Fixture;

/// Partitions that every case runs with.
const PARTITIONS: [usize; 3] = [1, 2, 16];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases").join(name)
}

#[test]
fn every_case_answers_what_it_should() {
    // Cases about late types are of no use where the sample sees them.
    assert!(every_case("rdd") >= 30, "hardly a job was planned again");
}

#[test]
fn every_frame_and_query_answers_what_it_should() {
    every_case("frame");
}

/// Answers how often jobs were planned again.
fn every_case(name: &str) -> usize {
    let fixture = Fixture::new();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut failed = Vec::new();
    let mut count = 0;
    for path in paths {
        let file: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let mut case = case.clone();
            if let Some(data) =
                file.get("data").filter(|_| !["data", "source", "dataset"].iter().any(|name| case["request"].get(name).is_some()))
            {
                case["request"]["data"] = data.clone();
            }
            count += 1;
            let name = format!("{}: {}", path.file_stem().unwrap().to_string_lossy(), case["name"].as_str().unwrap());
            let partitions = match case["partitions"].as_array() {
                Some(list) => list.iter().map(|n| usize::try_from(n.as_u64().unwrap()).unwrap()).collect(),
                None => PARTITIONS.to_vec(),
            };
            for partitions in partitions {
                if let Err(reason) = check(&fixture, &case, partitions) {
                    failed.push(format!("{name} ({partitions} partitions): {reason}"));
                    break;
                }
            }
        }
    }
    assert!(count > 100, "only {count} cases were found");
    assert!(failed.is_empty(), "{} of {count} cases failed:\n{}", failed.len(), failed.join("\n"));
    fixture.replans.load(std::sync::atomic::Ordering::Relaxed)
}

fn check(fixture: &Fixture, case: &Value, partitions: usize) -> Result<(), String> {
    let answer = fixture.run(&case["request"], partitions);
    match (case.get("expect"), case.get("fails"), answer) {
        (Some(expect), None, Ok(answer)) if is_same(expect, &answer) => Ok(()),
        (Some(expect), None, Ok(answer)) => Err(format!("expected {expect}, got {answer}")),
        (Some(_), None, Err(failure)) => Err(format!("failed: {failure:?}")),
        (None, Some(fails), Ok(answer)) => Err(format!("expected the failure {fails}, got {answer}")),
        (None, Some(fails), Err(failure)) => {
            let seen = json!({
                "code": failure.code.as_str(),
                "pointer": failure.pointer,
                "position": failure.position.as_ref().map(|place| [place.line, place.column]),
                "message": failure.message,
                "hint": failure.hint,
            });
            let holds = failure.blame() != azora_spec::Blame::System
                && fails.as_object().unwrap().iter().all(|(member, wanted)| match member.as_str() {
                    "message" | "hint" => seen[member].as_str().unwrap_or_default().contains(wanted.as_str().unwrap()),
                    _ => seen[member] == *wanted,
                });
            if holds { Ok(()) } else { Err(format!("expected the failure {fails}, got {seen}")) }
        }
        _ => Err("a case has either 'expect' or 'fails'".to_owned()),
    }
}

/// Equality up to the rounding of sums whose order is free.
fn is_same(expect: &Value, answer: &Value) -> bool {
    match (expect, answer) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((left, a), (right, b))| left == right && is_same(a, b))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
        }
        _ => expect == answer,
    }
}
