//! The form of a case, and reading and writing the files.
//!
//! `{"name", "input": type, "rows": [...], "steps": [["map", "x => x"], ...], "end": ["count"], ...}` with one of
//! `expect` (rows), `failure` (part of a run-time failure) and `refused` (members of the diagnostic). `"node": false`
//! marks what is meant to differ from Node, for a reason that `"why"` gives.

use azora_expression::{Element, End, Field, Lambda, Pipeline, Step, Type};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Clone)]
pub(crate) enum Expect {
    Rows(Vec<Value>),
    Failure(String),
    Diagnostic(Value),
}

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) input: Element,
    pub(crate) rows: Vec<Value>,
    pub(crate) steps: Vec<(String, String)>,
    pub(crate) end: Vec<Value>,
    pub(crate) expect: Expect,
    pub(crate) is_for_node: bool,
}

pub(crate) fn all() -> Vec<Case> {
    files().into_iter().flat_map(|(_, cases)| cases).collect()
}

fn paths() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "json"));
    paths.sort();
    paths
}

fn texts() -> Vec<(PathBuf, Vec<Value>)> {
    paths()
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let cases = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, cases)
        })
        .collect()
}

pub(crate) fn files() -> Vec<(PathBuf, Vec<Case>)> {
    texts().into_iter().map(|(path, cases)| (path, cases.iter().map(Case::read).collect())).collect()
}

/// Writes answers into the files, one case on a line.
pub(crate) fn update(answers: &[Option<Value>]) {
    let mut answers = answers.iter();
    let mut thrown = Vec::new();
    for (path, mut cases) in texts() {
        for case in &mut cases {
            match answers.next().unwrap() {
                Some(Value::Array(rows)) => case["expect"] = json!(rows),
                Some(Value::String(what)) if case.get("failure").is_none() => thrown.push(format!("{}: Node throws {what}", case["name"])),
                _ => {}
            }
        }
        let lines: Vec<String> = cases.iter().map(|case| format!("  {case}")).collect();
        std::fs::write(path, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
    assert!(thrown.is_empty(), "{}", thrown.join("\n"));
}

impl Case {
    fn read(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = text(&value["name"]);
        let list = |key: &str| value[key].as_array().cloned().unwrap_or_default();
        let expect = match (value.get("refused"), value.get("failure")) {
            (Some(diagnostic), _) => Expect::Diagnostic(diagnostic.clone()),
            (_, Some(failure)) => Expect::Failure(text(failure)),
            _ => Expect::Rows(list("expect")),
        };
        Self {
            input: element(&value["input"]),
            rows: list("rows"),
            steps: list("steps").iter().map(|step| (text(&step[0]), text(&step[1]))).collect(),
            end: list("end"),
            is_for_node: value.get("node") != Some(&Value::Bool(false)) && !matches!(expect, Expect::Diagnostic(_)),
            expect,
            name,
        }
    }

    pub(crate) fn pipeline(&self) -> Pipeline {
        let steps = self.steps.iter().enumerate().map(|(operation, (word, text))| {
            let lambda = Lambda::new(text.clone(), operation);
            match word.as_str() {
                "map" => Step::Map(lambda),
                "filter" => Step::Filter(lambda),
                "flatMap" => Step::FlatMap(lambda),
                "mapValues" => Step::MapValues(lambda),
                "keyBy" => Step::KeyBy(lambda),
                "keys" => Step::Keys,
                "values" => Step::Values,
                other => panic!("no step {other}"),
            }
        });
        let operation = self.steps.len();
        let lambda = |at: usize| Lambda::new(self.end[at].as_str().unwrap(), operation);
        let end = match self.end.first().and_then(Value::as_str) {
            None => End::Rows,
            Some("count") => End::Count,
            Some("sum") => End::Sum,
            Some("min") => End::Min,
            Some("max") => End::Max,
            Some("reduce") => End::Reduce(lambda(1)),
            Some("aggregate") => End::Aggregate { zero: self.end[1].clone(), seq: lambda(2), operation },
            Some("reduceRuns") => End::ReduceRuns(lambda(1)),
            Some("aggregateRuns") => End::AggregateRuns { zero: self.end[1].clone(), seq: lambda(2), operation },
            Some(other) => panic!("no end {other}"),
        };
        Pipeline { input: self.input.clone(), steps: steps.collect(), end }
    }

    pub(crate) fn has_runs(&self) -> bool {
        self.end.first().and_then(Value::as_str).is_some_and(|word| word.ends_with("Runs"))
    }

    /// Whether the answer to repeated input is the answer repeated.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.end.is_empty()
    }
}

fn element(value: &Value) -> Element {
    match ty(value) {
        (Type::Struct(fields), false) => Element::Object(fields),
        (Type::Tuple(fields), false) => Element::Tuple(fields),
        (ty, nullable) => Element::Scalar(Field::new("value", ty, nullable)),
    }
}

/// `"int"`, `"string?"`, `{"list": T}`, `{"object": {name: T}}`, `{"tuple": [T]}`; a `?` behind the word means nullable.
fn ty(value: &Value) -> (Type, bool) {
    if let Some(word) = value.as_str() {
        let nullable = word.ends_with('?');
        let ty = match word.trim_end_matches('?') {
            "int" => Type::Int64,
            "float" => Type::Float64,
            "string" => Type::Utf8,
            "bool" => Type::Boolean,
            "time" => Type::Timestamp,
            "null" => return (Type::Null, true),
            other => panic!("no type {other}"),
        };
        return (ty, nullable);
    }
    let (word, inner) = value.as_object().and_then(|object| object.iter().next()).unwrap_or_else(|| panic!("no type {value}"));
    let field = |name: &str, value: &Value| {
        let (ty, nullable) = ty(value);
        Field::new(name, ty, nullable)
    };
    let ty = match word.trim_end_matches('?') {
        "list" => Type::List(Box::new(field("item", inner))),
        "object" => Type::Struct(inner.as_object().unwrap().iter().map(|(name, value)| field(name, value)).collect()),
        "tuple" => {
            Type::Tuple(inner.as_array().unwrap().iter().enumerate().map(|(at, value)| field(&format!("_{}", at + 1), value)).collect())
        }
        other => panic!("no type {other}"),
    };
    (ty, word.ends_with('?'))
}
