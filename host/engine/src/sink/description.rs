//! What of a plan is needed to read its answer later: a small text kept with the job.

use super::{Kind, Target, collect, part};
use crate::files::Files;
use crate::relation::Shape;
use crate::result::JobResult;
use crate::{Error, error};
use azora_connect::Token;
use azora_spec::{Failure, JobId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Description {
    version: u32,
    sink: String,
    /// Where files went, or which connector it was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    to: String,
    #[serde(flatten)]
    shape: Shape,
    /// An Arrow IPC stream without rows.
    schema: String,
    /// How many of the tokens are those of partitions, where there are others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partitions: Option<usize>,
}

pub(crate) fn write(target: &Target, shape: &Shape, schema: &SchemaRef, partitions: Option<usize>) -> Result<String, Failure> {
    let (sink, to) = match &target.kind {
        Kind::Collect => ("collect", String::new()),
        Kind::Files(path) => ("files", path.clone()),
        Kind::Connector(name) => ("connector", name.clone()),
    };
    let schema = STANDARD.encode(schema_bytes(schema)?);
    let description = Description { version: VERSION, sink: sink.to_owned(), to, shape: shape.clone(), schema, partitions };
    serde_json::to_string(&description).map_err(|_| Error::Broken("a description is JSON").into())
}

/// The answer.
pub(crate) fn result(files: &Files, job: JobId, description: &str, tokens: &[Token]) -> Result<JobResult, Failure> {
    let damaged = || Failure::from(Error::Damaged { what: "the description of a result" });
    let description: Description = serde_json::from_str(description).map_err(|_| damaged())?;
    if description.version > VERSION {
        return Err(damaged());
    }
    // Behind the tokens of partitions there may be one of what the job left out.
    let tokens = tokens.get(..description.partitions.unwrap_or(tokens.len())).unwrap_or(tokens);
    let bytes = STANDARD.decode(&description.schema).map_err(|_| damaged())?;
    let schema = StreamReader::try_new(bytes.as_slice(), None).map_err(|_| damaged())?.schema();
    match description.sink.as_str() {
        "collect" => collect::result(files, job, description.shape, schema, tokens),
        "files" => {
            let parts = tokens.iter().map(part::PartToken::read).collect::<Result<Vec<_>, _>>()?;
            let rows: u64 = parts.iter().map(|part| part.rows).sum();
            let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
            let written = parts.iter().flat_map(part::PartToken::files).count();
            let answer = json!({"rows": rows, "bytes": bytes, "files": written, "path": description.to});
            Ok(JobResult::of_batches(Shape::Value(answer), empty(), Vec::new()))
        }
        "connector" => Ok(JobResult::of_batches(Shape::Value(json!({"connector": description.to})), empty(), Vec::new())),
        _ => Err(damaged()),
    }
}

fn empty() -> SchemaRef {
    Arc::new(Schema::empty())
}

fn schema_bytes(schema: &SchemaRef) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let written = StreamWriter::try_new(&mut bytes, schema).and_then(|mut writer| writer.finish());
    written.map_err(|error| error::arrow_failure(&error))?;
    Ok(bytes)
}
