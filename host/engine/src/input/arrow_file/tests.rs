//! Arrow files as others write them, and as nobody should.

use crate::testing::{Bench, file_sink, inline, job};
use azora_connect::ipc::BODY_BYTES_MAX;
use azora_spec::{Code, FileFormat, WriteMode};
use datafusion::arrow::array::{DictionaryArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use datafusion::arrow::ipc::{CompressionType, MetadataVersion};
use serde_json::json;
use std::sync::Arc;

const ROWS: usize = 500;

/// A file, not a stream, of rows that compress well, with a dictionary.
fn file(alignment: usize, compression: Option<CompressionType>) -> Vec<u8> {
    let ids = Int64Array::from_iter_values((0..ROWS).map(|at| at as i64 / 100));
    let texts = StringArray::from_iter_values((0..ROWS).map(|at| format!("a text of group {}", at / 100)));
    let kinds: DictionaryArray<Int32Type> = (0..ROWS).map(|at| ["a kind", "another kind"][at % 2]).collect();
    let batch = RecordBatch::try_from_iter([("id", Arc::new(ids) as _), ("text", Arc::new(texts) as _), ("kind", Arc::new(kinds) as _)]);
    let batch = batch.unwrap();
    let options = IpcWriteOptions::try_new(alignment, false, MetadataVersion::V5).unwrap();
    let mut writer =
        FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options.try_with_compression(compression).unwrap()).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_alignment_and_compression_are_read() {
    let bench = Bench::new();
    for alignment in [8, 16, 32, 64] {
        for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            bench.put("a.arrow", file(alignment, compression));
            let rows =
                bench.read(json!({"path": "a.arrow"})).await.unwrap_or_else(|failure| panic!("{alignment}, {compression:?}: {failure}"));
            assert_eq!(rows.as_array().unwrap().len(), ROWS);
            assert_eq!(rows[499], json!({"id": 4, "text": "a text of group 4", "kind": "another kind"}));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buffer_that_becomes_more_than_it_says_is_refused() {
    let bench = Bench::new();
    for compression in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let good = file(64, Some(compression));
        // What the column of numbers says that it becomes.
        let stated = (ROWS as u64 * 8).to_le_bytes();
        let at = good.windows(8).position(|bytes| bytes == stated).unwrap();
        for (lie, reason) in
            [(64, "damaged"), (ROWS as u64 * 8 - 1, "damaged"), (BODY_BYTES_MAX + 1, "too large"), (u64::MAX - 1, "damaged")]
        {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
            bench.put("a.arrow", bytes);
            let failure = bench.read(json!({"path": "a.arrow"})).await.unwrap_err();
            assert_eq!(failure.code, Code::FileFormat, "{compression:?}, {lie}: {failure}");
            let is_said = failure.message.contains(reason) || compression == CompressionType::ZSTD;
            assert!(is_said, "{compression:?}, {lie}: {failure}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_refused() {
    let bench = Bench::new();
    let stream = job(inline(json!([{"a": 1, "b": "x"}])), Vec::new(), file_sink("good.arrow", FileFormat::Arrow, WriteMode::ErrorIfExists));
    bench.run(&stream).await.unwrap();
    let stream = std::fs::read(bench.root().join("good.arrow")).unwrap();
    bench.put("bad.arrow", [0x00, 0x1b, 0x00, 0x48]);
    assert_eq!(bench.read(json!({"path": "bad.arrow"})).await.unwrap_err().code, Code::FileFormat);
    // Every length, offset and count in the file, damaged.
    let compressed = [CompressionType::LZ4_FRAME, CompressionType::ZSTD].map(|compression| (file(8, Some(compression)), 13));
    for (good, step) in std::iter::once((stream, 3)).chain(compressed) {
        for at in (0..good.len()).step_by(step) {
            for byte in [0x00, 0x7F, 0xFF] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                bench.put("bad.arrow", &bytes);
                if let Err(failure) = bench.read(json!({"path": "bad.arrow"})).await {
                    assert!(matches!(failure.code, Code::FileFormat | Code::DataInvalid | Code::Internal), "{at}: {failure}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_may_differ_in_what_may_be_null() {
    let bench = Bench::new();
    for (name, values, nullable) in [("f/a.arrow", vec![Some(1)], false), ("f/b.arrow", vec![Some(2), None], true)] {
        let batch = RecordBatch::try_from_iter_with_nullable([("n", Arc::new(Int64Array::from(values)) as _, nullable)]).unwrap();
        let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        bench.put(name, writer.into_inner().unwrap());
    }
    assert_eq!(bench.read(json!({"path": "f", "format": "arrow"})).await.unwrap(), json!([{"n": 1}, {"n": 2}, {"n": null}]));
    bench.put("f/c.arrow", file(8, None));
    let failure = bench.read(json!({"path": "f", "format": "arrow"})).await.unwrap_err();
    assert!(failure.code == Code::FileFormat && failure.message.contains("'f/c.arrow'"), "{failure}");
}
