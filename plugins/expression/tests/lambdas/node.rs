//! The same cases in Node, all in one process.

use crate::case::Case;
use azora_expression::{Element, Type};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs each case's functions over its rows with JavaScript's own `map`, `filter` and `flatMap`.
const DRIVER: &str = r"
const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const one = inner => inner === undefined ? null : typeof inner === 'string' ? inner.toWellFormed() : inner instanceof Date ? inner.getTime() : inner;
const plain = value => JSON.parse(JSON.stringify(one(value), function (key) { return one(this[key]); }));
const revived = value => value && typeof value === 'object'
  ? '$date' in value ? new Date(value.$date) : Array.isArray(value) ? value.map(revived) : Object.fromEntries(Object.entries(value).map(([k, v]) => [k, revived(v)]))
  : value;
function run({rows, steps, end}) {
  rows = rows.map(revived);
  for (const [word, text] of steps) {
    const f = text ? eval('(' + text.trim().replace(/;$/, '') + ')') : null;
    rows = {
      map: () => rows.map(x => f(x)), filter: () => rows.filter(x => f(x)), flatMap: () => rows.flatMap(x => f(x)),
      mapValues: () => rows.map(([k, v]) => [k, f(v)]), keyBy: () => rows.map(x => [f(x), x]),
      keys: () => rows.map(x => x[0]), values: () => rows.map(x => x[1]),
    }[word]();
  }
  const [word, first, second] = end;
  const f = text => eval('(' + text + ')');
  const some = rows.filter(x => x !== null && x !== undefined);
  const best = is => some.length ? [some.reduce((a, b) => typeof b === 'number' ? Math[is](a, b) : (is === 'min') === (b < a) ? b : a)] : [];
  const runs = () => rows.reduce((all, [k, v]) => {
    const last = all[all.length - 1];
    if (last && last[0] === k) last[1].push(v); else all.push([k, [v]]);
    return all;
  }, []).map(([, values]) => values);
  switch (word) {
    case undefined: return rows;
    case 'count': return [rows.length];
    case 'sum': return [rows.reduce((a, b) => a + Number(b), 0)];
    case 'min': case 'max': return best(word);
    case 'reduce': return rows.length ? [rows.reduce((a, b) => f(first)(a, b))] : [];
    case 'aggregate': return [rows.reduce((a, b) => f(second)(a, b), first)];
    case 'reduceRuns': return runs().map(values => values.reduce((a, b) => f(first)(a, b)));
    case 'aggregateRuns': return runs().map(values => values.reduce((a, b) => f(second)(a, b), first));
  }
}
console.log(JSON.stringify(cases.map(item => {
  if (!item) return null;
  try { return run(item).map(plain); } catch (error) { return String(error); }
})));
";

/// Rows or, as a string, what was thrown; none for cases that are not for Node.
pub(crate) fn answers(cases: &[Case]) -> Vec<Option<Value>> {
    let inputs: Vec<Value> = cases
        .iter()
        .map(|case| if case.is_for_node { json!({ "rows": rows(case), "steps": case.steps, "end": case.end }) } else { Value::Null })
        .collect();
    let mut child = Command::new("node")
        .args(["-e", DRIVER])
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("these tests need `node` on the path (Debian: apt-get install nodejs): {error}"));
    child.stdin.take().unwrap().write_all(json!(inputs).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    answers.into_iter().zip(cases).map(|(answer, case)| case.is_for_node.then_some(answer)).collect()
}

/// Cases with NaN or infinities in their rows are not for Node, because JSON has no words for them.
fn rows(case: &Case) -> Vec<Value> {
    let has_floats = matches!(&case.input, Element::Scalar(field) if field.ty == Type::Float64);
    assert!(!has_floats || case.rows.iter().all(|row| !row.is_string()), "{}: say \"node\": false", case.name);
    let (ty, _) = shape(&case.input);
    case.rows.iter().map(|row| dated(&ty, row)).collect()
}

fn shape(element: &Element) -> (Type, bool) {
    match element {
        Element::Scalar(field) => (field.ty.clone(), field.nullable),
        Element::Object(fields) => (Type::Struct(fields.clone()), false),
        Element::Tuple(fields) => (Type::Tuple(fields.clone()), false),
    }
}

/// Timestamps marked, for Node to make dates of them.
fn dated(ty: &Type, value: &Value) -> Value {
    match (ty, value) {
        (_, Value::Null) => Value::Null,
        (Type::Timestamp, time) => json!({ "$date": time }),
        (Type::List(item), Value::Array(items)) => items.iter().map(|value| dated(&item.ty, value)).collect(),
        (Type::Tuple(fields), Value::Array(items)) => fields.iter().zip(items).map(|(field, value)| dated(&field.ty, value)).collect(),
        (Type::Struct(fields), Value::Object(object)) => {
            let known = |name: &String| fields.iter().find(|field| field.name == *name).map(|field| &field.ty);
            let inner = object.iter().map(|(name, value)| (name.clone(), known(name).map_or(value.clone(), |ty| dated(ty, value))));
            Value::Object(inner.collect())
        }
        _ => value.clone(),
    }
}
