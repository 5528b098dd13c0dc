//! The suite of sinks over files below a root, in every format.

use super::super::file::FileSink;
use crate::Options;
use crate::files::Files;
use crate::testing::Bench;
use async_trait::async_trait;
use azora_connect::Sink;
use azora_connect::conformance::{self, Promise, SinkCase, sample};
use azora_spec::{Code, FileFormat, WriteMode};
use datafusion::arrow::array::RecordBatch;
use serde_json::{Value, json};
use std::sync::Arc;

struct Case {
    bench: Bench,
    files: Arc<Files>,
    format: FileFormat,
}

impl Case {
    fn new(format: FileFormat) -> Self {
        let bench = Bench::new();
        std::fs::create_dir_all(bench.root()).unwrap();
        let options = Options { roots: vec![bench.root()], ..Options::new(bench.data()) };
        let files = Arc::new(Files::new(&options).unwrap());
        Self { bench, files, format }
    }
}

#[async_trait]
impl SinkCase for Case {
    async fn sink(&self, target: &str) -> Arc<dyn Sink> {
        Arc::new(FileSink::new(Arc::clone(&self.files), target, self.format, None, WriteMode::Append).unwrap())
    }

    async fn rows(&self, target: &str) -> Vec<String> {
        match self.bench.read(json!({"path": target, "format": self.format.as_str()})).await {
            Ok(Value::Array(rows)) => rows.iter().map(Value::to_string).collect(),
            Ok(other) => panic!("{other}"),
            Err(failure) => {
                assert_eq!(failure.code, Code::PathMissing, "{failure}");
                Vec::new()
            }
        }
    }

    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }

    /// Streams are not written to files yet.
    fn has_epochs(&self) -> bool {
        false
    }

    fn batches(&self) -> Vec<RecordBatch> {
        match self.format {
            // CSV knows no difference between no text and an empty one.
            FileFormat::Csv => sample::flat().iter().map(|batch| batch.project(&[0, 2, 3]).unwrap()).collect(),
            _ => sample::flat(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_does_what_every_sink_must() {
    for format in [FileFormat::Ndjson, FileFormat::Json, FileFormat::Csv, FileFormat::Parquet, FileFormat::Arrow, FileFormat::Avro] {
        let case = Case::new(format);
        conformance::sink(&case).await.unwrap_or_else(|faults| panic!("{format:?}: {faults}"));
    }
}
