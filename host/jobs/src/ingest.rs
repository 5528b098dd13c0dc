//! Ingest: a job from a source to a dataset, waited for.

use crate::error::Error;
use crate::shared::Shared;
use crate::submit::{Incoming, Origin};
use crate::views::{IngestRequest, IngestView};
use azora_spec::{DatasetName, Failure, Input, JobOptions, JobSpec, Sink, WriteMode, limits};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Partitions of an ingest that does not say, as the seed has it.
const PARALLELISM: usize = 8;

impl Shared {
    /// Keeps a source's rows as a dataset.
    pub(crate) async fn ingest(self: &Arc<Self>, request: IngestRequest) -> Result<IngestView, Failure> {
        let partitions = request.parallelism.unwrap_or(PARALLELISM);
        if partitions == 0 || partitions > limits::PARTITIONS_MAX {
            return Err(Error::Field {
                pointer: "/parallelism",
                message: format!("parallelism is a number from 1 to {}", limits::PARTITIONS_MAX),
            }
            .into());
        }
        let name = match request.dataset {
            Some(name) => name,
            None => generated(&request.connector)?,
        };
        let source = self.source_label(&request.connector, &request.config);
        let config = self.known_fields(&request.connector, request.config);
        let body = json!({"connector": request.connector, "config": config, "parallelism": partitions,
            "dataset": name.as_str(), "mode": mode_word(request.mode), "ttlSeconds": request.ttl.map(|ttl| ttl.as_secs())});
        let incoming = Incoming { spec: spec_of(&body)?, origin: Origin::Ingest, body };
        let ended = self.run(incoming).await?;
        let output = ended.view.output.unwrap_or_default();
        let at_ms = ended.view.ended_at_ms.unwrap_or_default();
        Ok(IngestView { dataset: name, source, rows: output.rows, partitions, at_ms, job: ended.id })
    }
}

/// The job of a recorded ingest.
pub(crate) fn spec_of(body: &Value) -> Result<JobSpec, Failure> {
    read(body).ok_or_else(|| Error::RecordDamaged.into())
}

fn read(body: &Value) -> Option<JobSpec> {
    let connector = body.get("connector")?.as_str()?.to_owned();
    let name: DatasetName = body.get("dataset")?.as_str()?.parse().ok()?;
    let mode = match body.get("mode")?.as_str()? {
        "error" => WriteMode::ErrorIfExists,
        "overwrite" => WriteMode::Overwrite,
        "append" => WriteMode::Append,
        "ignore" => WriteMode::Ignore,
        _ => return None,
    };
    let parallelism = usize::try_from(body.get("parallelism")?.as_u64()?).ok()?;
    Some(JobSpec {
        name: Some(format!("ingest {connector}")),
        input: Input::Source { config: body.get("config")?.as_object()?.clone(), connector },
        operations: Vec::new(),
        sink: Sink::Dataset { name, mode, ttl: body.get("ttlSeconds").and_then(Value::as_u64).map(Duration::from_secs) },
        options: JobOptions { parallelism: Some(parallelism), ..JobOptions::default() },
    })
}

const fn mode_word(mode: WriteMode) -> &'static str {
    match mode {
        WriteMode::ErrorIfExists => "error",
        WriteMode::Overwrite => "overwrite",
        WriteMode::Append => "append",
        WriteMode::Ignore => "ignore",
    }
}

/// A name that sorts by time: `file-20261123-154210-123`.
fn generated(connector: &str) -> Result<DatasetName, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let word: String = connector.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    let id = azora_spec::JobId::generate().to_string();
    let tail = id.rsplit('-').next().unwrap_or_default();
    format!("ds-{word}-{}-{tail}", since.as_secs()).parse()
}

#[cfg(test)]
mod tests {
    use super::read;
    use azora_spec::{Input, Sink};
    use serde_json::json;

    #[test]
    fn a_recorded_ingest_becomes_the_same_job() {
        let body = json!({"connector": "file", "config": {"path": "x"}, "parallelism": 3, "dataset": "d", "mode": "overwrite"});
        let spec = read(&body).unwrap();
        assert!(matches!(spec.input, Input::Source { ref connector, .. } if connector == "file"));
        assert!(matches!(spec.sink, Sink::Dataset { ref name, .. } if name.as_str() == "d"));
        assert_eq!(spec.options.parallelism, Some(3));
        assert!(read(&json!({})).is_none());
    }
}
