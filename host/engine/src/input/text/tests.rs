//! CSV, JSON and plain text as people really write them, whole and in byte ranges.

use crate::testing::{Bench, job, source};
use azora_connect::compress::{Codec, Deflate};
use azora_spec::{Code, Sink};
use serde_json::{Value, json};
use std::io::Write;

async fn check(name: &str, text: &str, config: Value, expect: Value) {
    let bench = Bench::new();
    bench.put(name, text);
    let mut config = config;
    config["path"] = json!(name);
    assert_eq!(bench.read(config).await.unwrap(), expect, "{text}");
}

async fn refused(name: &str, bytes: &[u8], config: Value) -> azora_spec::Failure {
    let bench = Bench::new();
    bench.put(name, bytes);
    let mut config = config;
    config["path"] = json!(name);
    bench.read(config).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_quoting_and_types() {
    let text = "id,name,price,ok,zip\r\n1,\"Miller, \"\"Joe\"\"\",2.5,true,007\r\n2,\"two\nlines\",3,FALSE,012\r\n3,,,,\r\n";
    let expect = json!([
        {"id": 1, "name": "Miller, \"Joe\"", "price": 2.5, "ok": true, "zip": "007"},
        {"id": 2, "name": "two\nlines", "price": 3, "ok": false, "zip": "012"},
        {"id": 3, "name": null, "price": null, "ok": null, "zip": null},
    ]);
    check("a.csv", text, json!({}), expect).await;
    check("a.csv", "x;y\n1;2", json!({"delimiter": ";"}), json!([{"x": 1, "y": 2}])).await;
    check("a.csv", "1,a\n2,b\n", json!({"header": false}), json!([{"column_1": 1, "column_2": "a"}, {"column_1": 2, "column_2": "b"}]))
        .await;
    check("a.csv", "\u{feff}x\n1\n", json!({}), json!([{"x": 1}])).await;
    check("a.csv", "x,y\n1,2\n", json!({"columns": ["y"]}), json!([2])).await;
    check("a.csv", "x,y\n1,2\n", json!({"columns": ["y", "x"], "types": ["utf8", "float64"]}), json!([{"y": "2", "x": 1}])).await;
    check("a.csv", "x,y\n1,2\n", json!({"schema": {"x": "utf8"}}), json!([{"x": "1", "y": 2}])).await;
    check("a.csv", "x,y\n", json!({}), json!([])).await;
    check("a.csv", "t\n2024-07-01T00:00:00Z\n", json!({"types": {"t": "timestamp"}}), json!([{"t": "2024-07-01T00:00:00.000Z"}])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_cell_is_named_by_row_and_column() {
    let mut text = String::from("id,note\n");
    for row in 0..20_000 {
        text.push_str(&format!("{row},\"line\n{row}\"\n"));
    }
    text.push_str("twenty,x\n");
    let failure = refused("a.csv", text.as_bytes(), json!({"sampleRows": 10})).await;
    assert_eq!((failure.code, failure.row), (Code::DataInvalid, Some(20_000)), "{failure}");
    assert!(failure.message.contains("'id'") && failure.message.contains("twenty"), "{failure}");

    let failure = refused("a.csv", b"a,b\n1,2\n1,2,3\n", json!({})).await;
    assert_eq!((failure.code, failure.row), (Code::DataInvalid, Some(1)), "{failure}");
    let failure = refused("a.csv", b"a,b\n1,\xff\n", json!({})).await;
    assert!(matches!(failure.code, Code::DataInvalid | Code::FileFormat), "{failure}");
    let failure = refused("a.csv", b"a,a\n1,2\n", json!({})).await;
    assert_eq!(failure.code, Code::FileFormat, "{failure}");
    let failure = refused("a.csv", b"", json!({})).await;
    assert_eq!(failure.code, Code::FileFormat, "{failure}");
    let failure = refused("a.csv", b"a\n1\n", json!({"columns": ["b"]})).await;
    assert_eq!((failure.code, failure.pointer.as_deref()), (Code::ConnectorConfig, Some("/columns/0")));
    assert!(failure.hint.unwrap_or_default().contains('a'));
    let failure = refused("a.csv", b"a\n1\n", json!({"colums": ["b"]})).await;
    assert_eq!(failure.code, Code::ConnectorConfig);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_arrays_and_lines() {
    let expect = json!([{"a": 1, "b": [1, 2], "c": {"d": "x"}}, {"a": 2.5, "b": null, "c": {"d": null}}]);
    let array = "\n [ {\"a\": 1, \"b\": [1,\n 2], \"c\": {\"d\": \"x\"}} ,\n {\"a\": 2.5, \"c\": {}}\n ] \n";
    check("a.json", array, json!({}), expect.clone()).await;
    let lines = "{\"a\":1,\"b\":[1,2],\"c\":{\"d\":\"x\"}}\n\n{\"a\":2.5,\"c\":{}}";
    check("a.json", lines, json!({}), expect.clone()).await;
    check("a.ndjson", lines, json!({}), expect).await;
    check("a.json", "[1, 2, 3]", json!({}), json!([1, 2, 3])).await;
    check("a.ndjson", "1\n2\n3", json!({}), json!([1, 2, 3])).await;
    check("a.ndjson", "\"x\"\nnull\n", json!({}), json!(["x", null])).await;
    check("a.ndjson", "[1,2]\n[3]\n", json!({}), json!([[1, 2], [3]])).await;
    check("a.json", "[[\"a\", 1], [\"b\", 2]]", json!({}), json!([["a", 1], ["b", 2]])).await;
    check("a.json", "[]", json!({}), json!([])).await;
    check("a.json", r#"[{"s":"a,]}[{\"\\"},{"s":"]"}]"#, json!({}), json!([{"s": "a,]}[{\"\\"}, {"s": "]"}])).await;
    let told = json!({"columns": ["a", "t"], "types": ["int64", "timestamp"]});
    let text = r#"{"t":"2024-07-01T00:00:00.000Z","a":5,"rest":{"x":1}}"#;
    check("a.ndjson", text, told, json!([{"a": 5, "t": "2024-07-01T00:00:00.000Z"}])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_json_is_refused() {
    for (name, text) in [
        ("a.json", "[{\"a\":1},"),
        ("a.json", "[{\"a\":1}] x"),
        ("a.json", "[{\"a\":}]"),
        ("a.ndjson", "{\"a\":1}\n{\"a\":"),
        ("a.json", "[1,2"),
        ("a.json", "nonsense"),
        ("a.json", "[1}]"),
    ] {
        let failure = refused(name, text.as_bytes(), json!({})).await;
        assert!(matches!(failure.code, Code::FileFormat | Code::DataInvalid), "{text}: {failure}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let failure = refused("a.ndjson", deep.as_bytes(), json!({})).await;
    assert_eq!(failure.code, Code::FileFormat, "{failure}");
    let mut text = String::new();
    for row in 0..9000 {
        text.push_str(&format!("{{\"a\":{row}}}\n"));
    }
    text.push_str("{\"a\":\"x\"}\n");
    let failure = refused("a.ndjson", text.as_bytes(), json!({"sampleRows": 5})).await;
    assert_eq!((failure.code, failure.row), (Code::DataInvalid, Some(9000)), "{failure}");
    assert!(failure.message.contains("'a'"), "{failure}");
    let failure = refused("a.ndjson", b"{\"a\":1}\n{\"a\":\"x\"}\n", json!({})).await;
    assert_eq!((failure.code, failure.row), (Code::DataMixed, Some(1)), "{failure}");
    assert!(failure.message.starts_with("'a.ndjson': row 1 has "), "{failure}");
}

/// Arrow's decoder would cut it without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_fraction_among_integers_is_no_integer() {
    let told = json!({"sampleRows": 2});
    for (integers, fraction) in [
        ("{\"a\":1,\"b\":0.5}", "{\"a\":1.5,\"b\":2}"),
        ("7", "7.25"),
        ("{\"a\":[1]}", "{\"a\":[2,1.5]}"),
        ("{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1.5}}"),
    ] {
        let text = format!("{integers}\n{integers}\n{integers}\n{fraction}\n");
        let failure = refused("a.ndjson", text.as_bytes(), told.clone()).await;
        assert_eq!((failure.code, failure.row), (Code::DataInvalid, Some(3)), "{failure}");
    }
    // Whole numbers stay what they are, however large and however written; a text is read as Arrow reads it.
    let text = "{\"a\":1,\"b\":0.5}\n{\"a\":9007199254740993,\"b\":1}\n{\"a\":2.0,\"b\":1}\n{\"a\":-9223372036854775808}\n{\"a\":null}\n";
    let expect = json!([{"a": 1, "b": 0.5}, {"a": 9007199254740993_i64, "b": 1}, {"a": 2, "b": 1}, {"a": i64::MIN, "b": null}, {"a": null, "b": null}]);
    check("a.ndjson", text, told.clone(), expect).await;
    check("a.ndjson", "{\"a\":1}\n{\"a\":2}\n{\"a\":3e2}\n", told.clone(), json!([{"a": 1}, {"a": 2}, {"a": 300}])).await;
    for other in ["9223372036854775808", "9007199254740993.5", "\"NaN\"", "true"] {
        let failure = refused("a.ndjson", format!("{{\"a\":1}}\n{{\"a\":2}}\n{{\"a\":{other}}}\n").as_bytes(), told.clone()).await;
        assert_eq!((failure.code, failure.row), (Code::DataInvalid, Some(2)), "{other}: {failure}");
    }
    // In lists and objects, too.
    let deep = [r#"{"a":{"b":[1,null]},"c":0.5}"#, r#"{"a":null}"#, r#"{"a":{"b":[9007199254740993,2.0]},"c":1}"#, r#"{"a":{"b":null}}"#];
    let expect = json!([{"a": {"b": [1, null]}, "c": 0.5}, {"a": null, "c": null}, {"a": {"b": [9007199254740993_i64, 2]}, "c": 1}, {"a": {"b": null}, "c": null}]);
    check("a.ndjson", &deep.join("\n"), told.clone(), expect).await;
    let text = "{\"a\":1,\"b\":0.5}\n{\"a\":2,\"b\":1.5}\n{\"a\":-3,\"b\":2.5}\n";
    check("a.ndjson", text, told, json!([{"a": 1, "b": 0.5}, {"a": 2, "b": 1.5}, {"a": -3, "b": 2.5}])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_lines() {
    check("a.txt", "one\r\n\ntwo", json!({}), json!([{"text": "one"}, {"text": ""}, {"text": "two"}])).await;
    check("a.txt", "one\n", json!({"columns": ["text"]}), json!(["one"])).await;
    let failure = refused("a.txt", b"ok\n\xff\xfe\n", json!({})).await;
    assert_eq!((failure.code, failure.row), (Code::DataInvalid, Some(1)), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_files() {
    let packed = |codec: Codec, bytes: &[u8]| {
        let mut out = Vec::new();
        let mut deflate = Deflate::new(Some(codec), &mut out).unwrap();
        deflate.write_all(bytes).unwrap();
        deflate.finish().unwrap();
        out
    };
    let bench = Bench::new();
    // More than one of 200, in lines and without an end of line.
    let lines = [&[b'0'; 999][..], b"\n"].concat().repeat(80_000);
    for codec in Codec::ALL {
        let path = |name: &str| format!("{name}{}", codec.suffix());
        let whole = packed(codec, b"x\n1\n2\n");
        bench.put(&path("a.csv"), &whole);
        assert_eq!(bench.read(json!({"path": path("a.csv")})).await.unwrap(), json!([{"x": 1}, {"x": 2}]), "{codec:?}");
        bench.put(&path("a.ndjson"), packed(codec, b"{\"x\":1}\n"));
        assert_eq!(bench.read(json!({"path": path("a.ndjson")})).await.unwrap(), json!([{"x": 1}]), "{codec:?}");
        bench.put(&path("b.csv"), &whole[..whole.len() - 3]);
        assert_eq!(bench.read(json!({"path": path("b.csv")})).await.unwrap_err().code, Code::FileFormat, "{codec:?}");
        bench.put(&path("bomb.txt"), packed(codec, &lines));
        let failure = bench.read(json!({"path": path("bomb.txt")})).await.unwrap_err();
        assert!(failure.code == Code::FileFormat && failure.message.contains("200 times"), "{codec:?}: {failure}");
        bench.put(&path("long.txt"), packed(codec, &vec![b'0'; 80 << 20]));
        let failure = bench.read(json!({"path": path("long.txt")})).await.unwrap_err();
        assert!(matches!(failure.code, Code::FileFormat | Code::DataInvalid), "{codec:?}: {failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_end_is_refused_early() {
    let bench = Bench::new();
    let line = vec![b'x'; 40 << 20];
    for name in ["a.csv", "a.txt", "a.ndjson"] {
        bench.put(name, &line);
        let failure = bench.read(json!({"path": name})).await.unwrap_err();
        assert!(matches!(failure.code, Code::DataInvalid | Code::FileFormat), "{name}: {failure}");
    }
}

/// However a file is cut, every row comes exactly once and in order.
#[tokio::test(flavor = "multi_thread")]
async fn cuts_lose_nothing() {
    let bench = Bench::new();
    let mut csv = String::from("id,note\n");
    let mut lines = String::new();
    for row in 0..300_000 {
        csv.push_str(&format!("{row},\"a \"\"quoted\"\"\nnote of row {row}\"\n"));
        lines.push_str(&format!("{{\"id\":{row},\"note\":\"note of row {row}\"}}\n"));
    }
    bench.put("big.csv", &csv);
    bench.put("big.ndjson", &lines);
    for name in ["big.csv", "big.ndjson"] {
        let config = json!({"path": name, "columns": ["id"]});
        let mut spec = job(source(config), Vec::new(), Sink::Collect);
        spec.options.parallelism = Some(3);
        let planned = bench.plan(&spec).await.unwrap();
        assert!(planned.partitions() > 1, "{}", planned.explain());
        let ids = bench.answer(&spec).await.unwrap();
        let expect: Vec<Value> = (0..300_000).map(Value::from).collect();
        assert!(ids == Value::Array(expect), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_and_patterns() {
    let bench = Bench::new();
    bench.put("d/2.csv", "x\n2\n");
    bench.put("d/1.csv", "x\n1\n");
    bench.put("d/_SUCCESS", "");
    assert_eq!(bench.read(json!({"path": "d"})).await.unwrap(), json!([{"x": 1}, {"x": 2}]));
    assert_eq!(bench.read(json!({"path": "d/1*.csv"})).await.unwrap(), json!([{"x": 1}]));
    bench.put("d/3.json", "[1]");
    assert_eq!(bench.read(json!({"path": "d"})).await.unwrap_err().code, Code::ConnectorConfig);
    bench.put("e/1.csv", "x\n1\n");
    bench.put("e/2.csv", "y\n1\n");
    assert_eq!(bench.read(json!({"path": "e"})).await.unwrap_err().code, Code::FileFormat);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_after_planning_is_not_read() {
    let bench = Bench::new();
    bench.put("a.ndjson", "{\"x\":1}\n");
    let spec = job(source(json!({"path": "a.ndjson"})), Vec::new(), Sink::Collect);
    let planned = bench.plan(&spec).await.unwrap();
    let pins = crate::Pins::from_json(&planned.pins().to_json().unwrap()).unwrap();
    assert_eq!(&pins, planned.pins());
    bench.put("a.ndjson", "{\"x\":1}\n{\"x\":2}\n");
    let failure = bench.engine.plan(&spec, &bench.context, Some(&pins)).await.unwrap_err();
    assert_eq!(failure.code, Code::DataInvalid);
}
