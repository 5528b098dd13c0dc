//! Every format a result can be fetched in, read back. Content negotiation is the API crate's.

use super::{stream, to_json_value};
use crate::testing::{Bench, inline, job};
use crate::{Engine, JobResult, Shape};
use azora_connect::element::Element;
use azora_spec::{Code, FileFormat, Sink};
use bytes::Bytes;
use datafusion::arrow::array::{
    ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, TimestampMillisecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::ipc::reader::StreamReader;
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use std::sync::Arc;

fn rows(data: Value) -> JobResult {
    Engine::rows(data.as_array().unwrap()).unwrap()
}

async fn bytes(result: &JobResult, format: FileFormat) -> Vec<u8> {
    let pieces: Vec<Bytes> = stream(result, format).unwrap().try_collect().await.unwrap();
    pieces.concat()
}

async fn text(result: &JobResult, format: FileFormat) -> String {
    String::from_utf8(bytes(result, format).await).unwrap()
}

#[tokio::test]
async fn json_comes_out_as_it_went_in() {
    for data in [
        json!([1, -9_223_372_036_854_775_808_i64, 9_223_372_036_854_775_807_i64, null]),
        json!([true, false, null]),
        json!(["", "é😀", "quote \" back \\ \u{1} \n", null]),
        json!([[1, 2], [], null]),
        json!([["a", 1], ["b", null]]),
        json!([{"a": 1, "b": {"c": [1.5, null], "d": ["x", 2]}}, {"a": null, "b": null}]),
        json!([null, null]),
        json!([]),
    ] {
        let result = rows(data.clone());
        assert_eq!(to_json_value(&result, usize::MAX).await.unwrap(), data);
        assert_eq!(serde_json::from_str::<Value>(&text(&result, FileFormat::Json).await).unwrap(), data);
        let lines = text(&result, FileFormat::Ndjson).await;
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(Value::Array(lines), data);
    }
}

#[tokio::test]
async fn numbers_follow_javascript() {
    let values = Float64Array::from(vec![2.0, -0.0, 0.1, 1e20, 1e21, 1.5e300, f64::NAN, f64::INFINITY, 5e-324]);
    let schema = azora_connect::element::scalar(DataType::Float64, false);
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values)]).unwrap();
    let result = JobResult::of_batches(Shape::Rows, schema, vec![batch]);
    assert_eq!(text(&result, FileFormat::Ndjson).await, "2\n0\n0.1\n100000000000000000000\n1e+21\n1.5e+300\nnull\nnull\n5e-324\n");
}

#[tokio::test]
async fn other_types_have_a_text() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("t", Arc::new(TimestampMillisecondArray::from(vec![1_719_792_000_123]).with_timezone("UTC"))),
        ("d", Arc::new(Date32Array::from(vec![19_000]))),
        ("n", Arc::new(Decimal128Array::from(vec![1230]).with_precision_and_scale(10, 2).unwrap())),
        ("b", Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..]]))),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Element::Object.schema(fields);
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    let result = JobResult::of_batches(Shape::Rows, schema, vec![batch]);
    let expect = "{\"t\":\"2024-07-01T00:00:00.123Z\",\"d\":\"2022-01-08\",\"n\":12.30,\"b\":\"AP8=\"}\n";
    assert_eq!(text(&result, FileFormat::Ndjson).await, expect);
}

#[tokio::test]
async fn csv_and_text() {
    let result = rows(json!([{"a": "x,\"y\"", "b": 2.0, "c": [1, 2], "d": null}, {"a": null, "b": 2.5, "c": null, "d": null}]));
    assert_eq!(text(&result, FileFormat::Csv).await, "a,b,c,d\n\"x,\"\"y\"\"\",2,\"[1,2]\",\n,2.5,,\n");
    assert_eq!(text(&rows(json!(["a", "b"])), FileFormat::Text).await, "a\nb\n");
    assert_eq!(text(&rows(json!([["a", 1]])), FileFormat::Text).await, "[\"a\",1]\n");
    assert_eq!(text(&rows(json!([])), FileFormat::Csv).await, "value\n");
}

#[tokio::test]
async fn tables_keep_what_an_element_is() {
    let result = rows(json!([["a", 1], ["b", 2]]));
    let parquet = Bytes::from(bytes(&result, FileFormat::Parquet).await);
    let builder = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap();
    assert_eq!(Element::of(builder.schema()), Element::Tuple);
    let batch = builder.build().unwrap().next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), 2);
    let arrow = bytes(&result, FileFormat::Arrow).await;
    let reader = StreamReader::try_new(arrow.as_slice(), None).unwrap();
    assert_eq!(reader.schema(), result.schema);
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 2);
}

#[tokio::test]
async fn single_values_and_known_values() {
    let mut result = rows(json!([3]));
    result.shape = Shape::Single;
    assert_eq!(text(&result, FileFormat::Json).await, "3");
    assert_eq!(to_json_value(&result, 100).await.unwrap(), json!(3));
    let mut none = rows(json!([]));
    none.shape = Shape::Single;
    assert_eq!(text(&none, FileFormat::Json).await, "null");
    let known = JobResult::of_batches(Shape::Value(json!({"x": 1})), Arc::new(Schema::empty()), Vec::new());
    assert_eq!(text(&known, FileFormat::Json).await, "{\"x\":1}");
    assert_eq!(stream(&known, FileFormat::Csv).err().unwrap().code, Code::RequestNotAcceptable);
}

#[tokio::test]
async fn a_large_result_is_refused_as_one_text_and_streamed_in_pieces() {
    let batch = |at: i64| {
        let schema = azora_connect::element::scalar(DataType::Int64, false);
        RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(at..at + 8192))]).unwrap()
    };
    let batches: Vec<RecordBatch> = (0..40).map(|at| batch(at * 8192)).collect();
    let result = JobResult::of_batches(Shape::Rows, batches[0].schema(), batches);
    assert_eq!(to_json_value(&result, 100_000).await.unwrap_err().code, Code::ResultTooLarge);
    let pieces: Vec<Bytes> = stream(&result, FileFormat::Json).unwrap().try_collect().await.unwrap();
    assert!(pieces.len() > 10 && pieces.iter().all(|piece| piece.len() < 256 << 10));
    let all: Vec<i64> = serde_json::from_slice(&pieces.concat()).unwrap();
    assert!(all.into_iter().eq(0..40 * 8192));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_results_come_back_from_files() {
    let bench = Bench::new();
    let data: Vec<Value> = (0..50_000).map(Value::from).collect();
    let spec = job(inline(Value::Array(data.clone())), Vec::new(), Sink::Collect);
    let (result, _) = bench.run(&spec).await.unwrap();
    assert_eq!(result.rows, 50_000);
    assert!(!crate::testing::tree(&bench.data().join("results")).is_empty());
    assert_eq!(to_json_value(&result, usize::MAX).await.unwrap(), Value::Array(data));
}
