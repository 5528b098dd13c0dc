//! The suite of sources over files below a root, in every format that is read by a source. Parquet is read by DataFusion.

use super::arrow_file::ArrowSource;
use super::avro_file::AvroSource;
use super::file::{self, Config};
use super::folders::{Folders, WithFolders};
use super::text::{Settings, TextSource};
use crate::Options;
use crate::files::Files;
use crate::testing::{Bench, file_sink, inline, job};
use azora_connect::Source;
use azora_connect::conformance::{self, Expect, sample, texts};
use azora_spec::{FileFormat, WriteMode};
use datafusion::arrow::array::RecordBatch;
use serde_json::{Value, json};
use std::sync::Arc;

/// A source over files as a job makes it.
fn source(bench: &Bench, format: FileFormat, path: &str) -> Arc<dyn Source> {
    let options = Options { roots: vec![bench.root()], ..Options::new(bench.data()) };
    let files = Arc::new(Files::new(&options).unwrap());
    let config = json!({"path": path, "format": format.as_str()});
    let config = Config::read("file", config.as_object().unwrap()).unwrap();
    let pins = file::find(&files, &config, 100).unwrap();
    let folders = Folders::of(&files, &config, &pins).unwrap();
    match format {
        FileFormat::Arrow => Arc::new(WithFolders::new(ArrowSource::new(files, pins)().unwrap(), folders).unwrap()),
        FileFormat::Avro => Arc::new(WithFolders::new(AvroSource::new(files, pins)().unwrap(), folders).unwrap()),
        format => {
            let settings = Settings::new(&config, format, &options);
            Arc::new(WithFolders::new(TextSource::new(files, pins, settings)().unwrap(), folders).unwrap())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_does_what_every_source_must() {
    for format in [FileFormat::Ndjson, FileFormat::Json, FileFormat::Csv, FileFormat::Arrow, FileFormat::Avro] {
        let bench = Bench::new();
        let batches: Vec<RecordBatch> = match format {
            // CSV knows no difference between no text and an empty one.
            FileFormat::Csv => sample::flat().iter().map(|batch| batch.project(&[0, 2, 3]).unwrap()).collect(),
            _ => sample::flat(),
        };
        // In several files, where types do not come from the first rows of each.
        let parts: Vec<&[RecordBatch]> = match format {
            FileFormat::Arrow | FileFormat::Avro => vec![&batches],
            _ => batches.iter().map(std::slice::from_ref).collect(),
        };
        for (at, part) in parts.into_iter().enumerate() {
            let rows = texts(part).iter().map(|row| serde_json::from_str::<Value>(row).unwrap()).collect();
            let sink = file_sink(&format!("some/{at}"), format, WriteMode::ErrorIfExists);
            bench.run(&job(inline(rows), Vec::new(), sink)).await.unwrap();
        }
        let of = source(&bench, format, "some");
        conformance::source(&of, &Expect::of(&batches)).await.unwrap_or_else(|faults| panic!("{format:?}: {faults}"));
    }
}
