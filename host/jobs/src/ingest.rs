//! Ingest: a job from a source to a dataset, waited for.

use crate::error::Error;
use crate::shared::Shared;
use crate::submit::{Incoming, Origin};
use crate::views::{IngestRequest, IngestView};
use azora_spec::{DatasetName, Failure, Input, JobOptions, JobSpec, Sink, WriteMode, limits};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

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
        let source = source_name(&request.connector, &request.config);
        let body = json!({"connector": request.connector, "config": request.config, "parallelism": partitions,
            "dataset": name.as_str(), "mode": mode_word(request.mode)});
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
        _ => return None,
    };
    let parallelism = usize::try_from(body.get("parallelism")?.as_u64()?).ok()?;
    Some(JobSpec {
        name: Some(format!("ingest {connector}")),
        input: Input::Source { config: body.get("config")?.as_object()?.clone(), connector },
        operations: Vec::new(),
        sink: Sink::Dataset { name, mode },
        options: JobOptions { parallelism: Some(parallelism), ..JobOptions::default() },
    })
}

const fn mode_word(mode: WriteMode) -> &'static str {
    match mode {
        WriteMode::ErrorIfExists => "error",
        WriteMode::Overwrite => "overwrite",
        WriteMode::Append => "append",
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

/// Where rows come from, as the seed prints it. Never with a user, a password or a query.
fn source_name(connector: &str, config: &Map<String, Value>) -> String {
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    let nested = |key: &str, inner: &str| config.get(key).and_then(|value| value.get(inner)).and_then(Value::as_str);
    match connector {
        "kafka" => {
            let broker =
                config.get("brokers").and_then(|brokers| brokers.get(0).and_then(Value::as_str).or(brokers.as_str())).unwrap_or("default");
            format!("kafka://{broker}/{}", text("topic").unwrap_or_default())
        }
        "s3" => format!("s3://{}", text("bucket").unwrap_or_default()),
        "redis" => format!("redis://{}", text("redisUrl").map_or("default", host)),
        "database" => {
            let kind = text("databaseType").unwrap_or("postgresql");
            let place = nested("connection", "host").or_else(|| nested("connection", "url").map(host)).unwrap_or("default");
            format!("{kind}://{place}/{}", nested("connection", "database").unwrap_or_default())
        }
        "api" | "websocket" => format!("{connector}://{}", text("url").map_or("default", host)),
        "plugin" => match text("connector") {
            Some(connector) => format!("plugin://{}/{connector}", text("plugin").unwrap_or_default()),
            None => format!("plugin://{}", text("plugin").unwrap_or_default()),
        },
        _ => format!("file://{}", text("path").unwrap_or_default()),
    }
}

/// Host and port of a URL, and its path.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let end = rest.find('/').unwrap_or(rest.len());
    let user = rest.get(..end).and_then(|authority| authority.rfind('@')).map_or(0, |at| at + 1);
    rest.get(user..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{host, read, source_name};
    use azora_spec::{Input, Sink};
    use serde_json::{Value, json};

    #[test]
    fn names_of_sources_tell_no_secrets() {
        let check = |connector: &str, config: Value, expect: &str| assert_eq!(source_name(connector, config.as_object().unwrap()), expect);
        check("file", json!({"path": "a/b.csv"}), "file://a/b.csv");
        check("kafka", json!({"brokers": ["b0:9092", "b1"], "topic": "t"}), "kafka://b0:9092/t");
        check("api", json!({"url": "https://u:p@h.example/x?token=1"}), "api://h.example/x");
        check("redis", json!({"redisUrl": "redis://:secret@r:6379"}), "redis://r:6379");
        check("plugin", json!({"plugin": "feed@1.0.0", "connector": "pages", "config": {"url": "x"}}), "plugin://feed@1.0.0/pages");
        assert_eq!(host("https://h/x@y"), "h/x@y");
    }

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
