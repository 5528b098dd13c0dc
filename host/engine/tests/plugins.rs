//! Functions of an uploaded component in jobs: arguments, configuration, every kind, and what is refused.
//!
//! The component is the one of `examples/transform-rust`, built by `cargo xtask guests`.

#[path = "support/fixture.rs"]
mod support;

use serde_json::{Value, json};
use support::Fixture;

fn textkit() -> Fixture {
    let folder = std::env::var("AZORA_TEST_GUESTS").expect("AZORA_TEST_GUESTS is not set: run the tests by `cargo xtask test`");
    let path = std::path::Path::new(&folder).join("textkit.wasm");
    let bytes = std::fs::read(&path).unwrap_or_else(|_| panic!("{} is missing: run `cargo xtask guests`", path.display()));
    Fixture::with_plugin(bytes)
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
