//! Plugins' aggregates in frames, and plugins' functions under names of the request's own.

use super::{check_means, guest, is_close, pairs, textkit};
use crate::support::Fixture;
use serde_json::{Value, json};

fn frame(data: &Value, steps: Value) -> Value {
    json!({"data": data, "frame": steps})
}

/// Checks answers with 1, 3 and 16 partitions.
fn check(fixture: &Fixture, request: &Value, expect: &Value) {
    for partitions in [1, 3, 16] {
        let answer = fixture.run(request, partitions).unwrap_or_else(|failure| panic!("{}: {failure:?}", request["frame"]));
        assert!(is_same(expect, &answer), "{}, {partitions} partitions: {answer} is not {expect}", request["frame"]);
    }
}

/// Equality up to rounding, with the same names.
fn is_same(expect: &Value, answer: &Value) -> bool {
    match (expect, answer) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((left, a), (right, b))| left == right && is_same(a, b))
        }
        _ => is_close(expect, answer),
    }
}

fn orders() -> Value {
    json!([
        {"city": "Oslo", "kind": "a", "price": 2, "weight": 1.0},
        {"city": "Oslo", "kind": "b", "price": 8, "weight": 3.0},
        {"city": "Rome", "kind": "a", "price": 9, "weight": null},
        {"city": "Oslo", "kind": "a", "price": 32, "weight": 5.0},
        {"city": "Rome", "kind": "b", "price": null, "weight": 4.0},
    ])
}

#[test]
fn an_aggregate_of_a_plugin_stands_beside_the_engines() {
    let fixture = textkit();
    let sorted = json!({"type": "orderBy", "columns": ["city"]});
    let by_city = |agg: Value| json!([{"type": "groupBy", "columns": ["city"], "agg": agg}, sorted]);
    let named = "textkit.geometric_mean(price)";
    let expect = json!([{"city": "Oslo", named: 8.0}, {"city": "Rome", named: 9.0}]);
    check(&fixture, &frame(&orders(), by_city(json!({"price": "textkit.geometric_mean"}))), &expect);
    let several = json!({"price": ["sum", "textkit.geometric_mean", "count"], "weight": {"w": "textkit.geometric_mean", "most": "max"}});
    let expect = json!([
        {"city": "Oslo", "sum(price)": 42, named: 8.0, "count(price)": 3, "w": 15_f64.cbrt(), "most": 5.0},
        {"city": "Rome", "sum(price)": 9, named: 9.0, "count(price)": 1, "w": 4.0, "most": 4.0},
    ]);
    check(&fixture, &frame(&orders(), by_city(several)), &expect);
    let whole = json!({"price": {"plugin": "textkit@1.0.0", "function": "geometric_mean", "as": "m"}});
    let expect = json!([{"city": "Oslo", "m": 8.0}, {"city": "Rome", "m": 9.0}]);
    check(&fixture, &frame(&orders(), by_city(whole)), &expect);
    let listed = json!([
        {"function": "textkit.geometric_mean", "column": "price * 2", "as": "m"},
        {"plugin": "textkit", "function": "geometric_mean", "columns": ["weight"], "as": "w"},
    ]);
    let expect = json!([{"city": "Oslo", "m": 16.0, "w": 15_f64.cbrt()}, {"city": "Rome", "m": 18.0, "w": 4.0}]);
    check(&fixture, &frame(&orders(), by_city(listed)), &expect);
    let waiting = json!([{"type": "groupBy", "columns": ["city"]}, {"type": "agg", "agg": {"price": "textkit.geometric_mean"}}, sorted]);
    check(&fixture, &frame(&orders(), waiting), &json!([{"city": "Oslo", named: 8.0}, {"city": "Rome", named: 9.0}]));
    let all = json!([{"type": "agg", "agg": {"price": {"m": "textkit.geometric_mean"}}}]);
    check(&fixture, &frame(&orders(), all.clone()), &json!([{"m": 4608_f64.powf(0.25)}]));
    check(&fixture, &json!({"data": [], "schema": {"price": "double"}, "frame": all}), &json!([{"m": null}]));
}

#[test]
fn pivots_and_windows_take_them() {
    let fixture = textkit();
    let pivoted = json!([
        {"type": "groupBy", "columns": ["city"]},
        {"type": "pivot", "column": "kind"},
        {"type": "agg", "agg": {"price": "textkit.geometric_mean"}},
        {"type": "orderBy", "columns": ["city"]},
    ]);
    check(&fixture, &frame(&orders(), pivoted), &json!([{"city": "Oslo", "a": 8.0, "b": 8.0}, {"city": "Rome", "a": 9.0, "b": null}]));
    let several = json!([
        {"type": "groupBy", "columns": ["city"], "pivot": {"column": "kind", "values": ["b"]},
         "agg": {"price": {"m": "textkit.geometric_mean", "n": "count"}}},
        {"type": "orderBy", "columns": ["city"]},
    ]);
    let expect = json!([{"city": "Oslo", "b_m": 8.0, "b_n": 1}, {"city": "Rome", "b_m": null, "b_n": 0}]);
    check(&fixture, &frame(&orders(), several), &expect);
    let window = |more: Value| {
        let mut step = json!({"type": "window", "name": "m", "function": "textkit.geometric_mean(price)", "partitionBy": ["city"]});
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([step, {"type": "filter", "condition": "city = 'Oslo'"}, {"type": "orderBy", "columns": ["price"]}, {"type": "select", "columns": ["price", "m"]}])
    };
    let whole = json!([{"price": 2, "m": 8.0}, {"price": 8, "m": 8.0}, {"price": 32, "m": 8.0}]);
    check(&fixture, &frame(&orders(), window(json!({}))), &whole);
    let running = json!([{"price": 2, "m": 2.0}, {"price": 8, "m": 4.0}, {"price": 32, "m": 8.0}]);
    check(&fixture, &frame(&orders(), window(json!({"orderBy": ["price"]}))), &running);
    // A guest cannot take back what it was given, so a frame that moves is given to it anew for each row.
    let moving = json!({"orderBy": ["price"], "frame": "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW"});
    let pairs = json!([{"price": 2, "m": 2.0}, {"price": 8, "m": 4.0}, {"price": 32, "m": 16.0}]);
    check(&fixture, &frame(&orders(), window(moving)), &pairs);
}

#[test]
fn functions_of_the_request_are_called_by_their_names() {
    let fixture = textkit();
    let functions = json!({
        "gm": {"plugin": "textkit", "function": "geometric_mean"},
        "points": {"plugin": "textkit", "function": "score"},
        "double": "x => x * 2",
        "sum": {"plugin": "textkit", "function": "geometric_mean"},
    });
    let data = json!([{"k": 1, "x": 2, "line": "good"}, {"k": 1, "x": 8, "line": "bad"}, {"k": 2, "x": 5, "line": "or"}]);
    let with = |steps: Value| json!({"data": data, "frame": steps, "functions": functions});
    let by_key = |agg: Value| with(json!([{"type": "groupBy", "columns": ["k"], "agg": agg}, {"type": "orderBy", "columns": ["k"]}]));
    check(&fixture, &by_key(json!({"x": {"m": "gm"}})), &json!([{"k": 1, "m": 4.0}, {"k": 2, "m": 5.0}]));
    // A name of the request's own wins over the engine's word.
    check(&fixture, &by_key(json!({"x": {"m": "sum"}})), &json!([{"k": 1, "m": 4.0}, {"k": 2, "m": 5.0}]));
    let computed = json!({"double(x)": {"m": "gm"}, "points(line)": {"p": "max"}});
    check(&fixture, &by_key(computed), &json!([{"k": 1, "m": 8.0, "p": 1}, {"k": 2, "m": 10.0, "p": 0}]));
    let columns = json!([
        {"type": "filter", "condition": "points(line) >= 0"},
        {"type": "withColumn", "name": "y", "expr": "double(x) + points(line)"},
        {"type": "select", "columns": ["k", "y"]},
        {"type": "orderBy", "columns": ["k"]},
    ]);
    check(&fixture, &with(columns), &json!([{"k": 1, "y": 5}, {"k": 2, "y": 10}]));
    let windows = json!([
        {"type": "window", "name": "m", "function": "gm(x)", "partitionBy": ["k"]},
        {"type": "select", "columns": ["m"]}, {"type": "distinct"}, {"type": "orderBy", "columns": ["m"]},
    ]);
    check(&fixture, &with(windows), &json!([{"m": 4.0}, {"m": 5.0}]));
}

#[test]
fn what_does_not_fit_has_a_code_a_place_and_a_hint() {
    let fixture = textkit();
    let wrong = |agg: Value, code: &str, pointer: &str, part: &str| {
        let request = json!({
            "data": [{"k": 1, "x": 2, "s": "a"}], "functions": {"double": "x => x * 2"},
            "frame": [{"type": "groupBy", "columns": ["k"]}, {"type": "agg", "agg": agg}],
        });
        let failure = fixture.run(&request, 2).unwrap_err();
        let text = format!("{} {}", failure.message, failure.hint.clone().unwrap_or_default());
        assert_eq!((failure.code.as_str(), failure.pointer.as_deref()), (code, Some(pointer)), "{agg}: {failure:?}");
        assert!(text.contains(part), "{agg}: {text}");
    };
    wrong(json!({"x": "textkit.geometric_men"}), "plugin.function_unknown", "/frame/1", "did you mean 'geometric_mean'");
    wrong(json!({"x": "textkit.score"}), "plugin.function_unknown", "/frame/1", "its aggregates are geometric_mean");
    wrong(json!({"x": "textkit9.score"}), "plugin.unknown", "/frame/1", "textkit9");
    wrong(json!({"x": "geometric_mean"}), "function.unknown", "/frame/1/agg/x", "plugin.function");
    wrong(json!({"x": "double"}), "operation.invalid", "/frame/1/agg/x", "lambda");
    wrong(json!({"s": "textkit.geometric_mean"}), "sql.type", "/frame/1", "Float64");
    wrong(json!({"price": "textkit.geometric_mean"}), "column.unknown", "/frame/1", "columns are k, x, s");
    wrong(json!({"*": "textkit.geometric_mean"}), "request.field", "/frame/1/agg/*", "only 'count'");
    wrong(json!({"x - 9": "textkit.geometric_mean"}), "plugin.failed", "/frame/1", "-7 is none");
    let listed = |value: Value| json!([value]);
    let two = json!({"plugin": "textkit", "function": "geometric_mean", "columns": ["k", "x"]});
    wrong(listed(two), "sql.type", "/frame/1", "takes 1 arguments, and 2 were given");
    let config = json!({"plugin": "textkit", "function": "geometric_mean", "column": "x", "config": {"a": 1}});
    wrong(listed(config), "request.field", "/frame/1", "takes no configuration");
    let fraction = json!({"plugin": "textkit", "function": "geometric_mean", "column": "x", "fraction": 0.5});
    wrong(listed(fraction), "request.field", "/frame/1/agg/0/fraction", "takes no fraction");
    let both = json!({"function": "sum", "column": "x", "columns": ["k"]});
    wrong(listed(both), "request.field", "/frame/1/agg/0/column", "both");
    wrong(
        json!({"x": {"plugin": "textkit", "function": "geometric_mean", "columns": ["k"]}}),
        "request.field",
        "/frame/1/agg/x/columns",
        "both",
    );
}

#[test]
fn many_groups_of_a_frame_are_what_they_are_natively() {
    let fixture = textkit();
    let data: Vec<Value> = pairs(5_000, 37).map(|(key, x)| json!({"k": key, "x": x})).collect();
    let steps = json!([{"type": "groupBy", "columns": ["k"], "agg": {"x": {"m": "textkit.geometric_mean"}}}, {"type": "orderBy", "columns": ["k"]}]);
    for partitions in [1, 3, 16] {
        let rows = fixture.run(&frame(&json!(data), steps.clone()), partitions).unwrap();
        let answer: Vec<Value> = rows.as_array().unwrap().iter().map(|row| json!([row["k"], row["m"]])).collect();
        check_means(&json!(answer), 5_000, 37);
    }
}

#[test]
fn an_aggregate_of_texts_keeps_its_types() {
    let fixture = Fixture::with_plugin(guest("types"));
    let data = json!([{"k": 1, "s": "ab"}, {"k": 1, "s": "abcd"}, {"k": 2, "s": "x"}, {"k": 2, "s": null}]);
    let steps = json!([{"type": "groupBy", "columns": ["k"], "agg": {"s": {"l": "types.longest", "n": "count"}}}, {"type": "orderBy", "columns": ["k"]}]);
    check(&fixture, &frame(&data, steps), &json!([{"k": 1, "l": "abcd", "n": 2}, {"k": 2, "l": "x", "n": 1}]));
}
