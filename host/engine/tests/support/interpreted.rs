//! Lambdas against Node, whichever tier runs them: `tests/cases/lambdas/*.json`, each over all of its data, through the
//! engine and through `Array.prototype.map`. None may be refused.

use crate::support::Fixture;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Answers for each group of cases and lambda what `data.map` makes, as JSON makes it.
const DRIVER: &str = "
const groups = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const answer = (data, text) => JSON.parse(JSON.stringify(JSON.parse(JSON.stringify(data)).map(x => eval('(' + text + ')')(x))));
// Half of a pair is no text in UTF-8.
const whole = (_, value) => typeof value === 'string' ? value.toWellFormed() : value;
process.stdout.write(JSON.stringify(groups.map(g => g.lambdas.map(text => answer(g.data, text))), whole));
";

fn node(groups: &Value) -> Vec<Vec<Value>> {
    let mut node = Command::new("node")
        .args(["-e", DRIVER])
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tests need Node: `cargo xtask test` installs it");
    node.stdin.take().unwrap().write_all(groups.to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "Node failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is absent in Node is null in a column.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        Value::Number(number) => number.as_f64().map_or(Value::Null, |number| json!(number)),
        other => other.clone(),
    }
}

#[test]
fn lambdas_beyond_the_compiler_answer_what_node_does() {
    let (count, interpreted) = compare("interpreted.json");
    assert!(count >= 90 && interpreted >= 30, "{count} lambdas, {interpreted} of them interpreted");
}

#[test]
fn lambdas_of_every_day_answer_what_node_does() {
    let (count, interpreted) = compare("everyday.json");
    assert!(count >= 175 && interpreted >= 50 && interpreted < count - 60, "{count} lambdas, {interpreted} of them interpreted");
}

/// Answers how many lambdas there are, and how many of them are interpreted.
fn compare(file: &str) -> (usize, usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/lambdas").join(file);
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let expect = node(&file["cases"]);
    let fixture = Fixture::new();
    let (mut count, mut interpreted) = (0, 0);
    let mut failed = Vec::new();
    for (group, expect) in file["cases"].as_array().unwrap().iter().zip(expect) {
        for (lambda, expect) in group["lambdas"].as_array().unwrap().iter().zip(expect) {
            count += 1;
            let request = json!({"data": group["data"], "operations": [{"type": "map", "function": lambda}]});
            let planned = fixture.plan(&request, 1);
            interpreted += usize::from(planned.is_ok_and(|planned| planned.pins().lambdas().iter().any(|used| used.tier == "interpreted")));
            match fixture.run(&request, 1) {
                Ok(answer) if without_nulls(&answer) == without_nulls(&expect) => {}
                Ok(answer) => failed.push(format!("{lambda}: {answer}, Node says {expect}")),
                Err(failure) => failed.push(format!("{lambda}: {failure}")),
            }
        }
    }
    assert!(failed.is_empty(), "{} of {count} lambdas failed:\n{}", failed.len(), failed.join("\n"));
    (count, interpreted)
}
