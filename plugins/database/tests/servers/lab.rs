//! What the tests of all engines share: servers that live as long as a test needs them, reading and writing.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use azora_connect::conformance::{Promise, SinkCase, texts};
use azora_connect::{Connector, Outcome, ReadRequest, Setup, Sink, Source, Token, WriterId};
use azora_database::Files;
use azora_spec::{Code, Failure, JobId};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// A server for several tests at once: started by the first, gone with the last.
pub(crate) struct Shared<T> {
    server: Mutex<Weak<T>>,
}

impl<T> Shared<T> {
    pub(crate) const fn new() -> Self {
        Self { server: Mutex::new(Weak::new()) }
    }

    pub(crate) fn get(&self, start: impl FnOnce() -> anyhow::Result<T>) -> Arc<T> {
        let mut server = self.server.lock().unwrap();
        server.upgrade().unwrap_or_else(|| {
            let started = Arc::new(start().unwrap());
            *server = Arc::downgrade(&started);
            started
        })
    }
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Where all tests keep databases that are files; what an earlier run left is removed.
pub(crate) fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("azora-database");
        std::fs::remove_dir_all(&folder).ok();
        let files = Files { roots: vec![folder.join("root")], staging: folder.join("staging") };
        std::fs::create_dir_all(&files.roots[0]).unwrap();
        files
    })
}

/// The connector of a name.
pub(crate) fn connector(name: &str) -> Arc<dyn Connector> {
    azora_database::connectors(&Setup::local(), files()).into_iter().find(|connector| connector.name() == name).unwrap()
}

pub(crate) async fn source(name: &str, config: Value) -> Result<Arc<dyn Source>, Failure> {
    connector(name).source(&map(config)).await
}

pub(crate) async fn sink(name: &str, config: Value) -> Result<Arc<dyn Sink>, Failure> {
    let sink = connector(name).sink(&map(config)).await?;
    sink.check().await?;
    Ok(sink)
}

/// All rows of a source, split by split.
pub(crate) async fn read(source: &Arc<dyn Source>, parallelism: usize) -> Result<Vec<RecordBatch>, Failure> {
    let mut batches = Vec::new();
    for split in source.plan(parallelism).await? {
        let mut reader = source.open(&split, None, ReadRequest::new(8192, 8 << 20)).await?;
        while let Outcome::Batch(batch, _) = reader.read().await? {
            batches.push(batch);
        }
    }
    Ok(batches)
}

/// All rows as JSON texts.
pub(crate) async fn rows(name: &str, config: Value) -> Vec<String> {
    let source = source(name, config).await.unwrap();
    texts(&read(&source, 3).await.unwrap())
}

/// Writes batches as one partition each and commits.
pub(crate) async fn write(sink: &Arc<dyn Sink>, batches: &[RecordBatch]) -> Result<u64, Failure> {
    let job = JobId::generate();
    let tokens = prepare(sink, job, batches).await?;
    let receipt = sink.commit(job, 0, batches[0].schema(), &tokens).await?;
    Ok(receipt.rows)
}

/// Writes batches as one partition each.
pub(crate) async fn prepare(sink: &Arc<dyn Sink>, job: JobId, batches: &[RecordBatch]) -> Result<Vec<Token>, Failure> {
    let mut tokens = Vec::new();
    for (partition, batch) in batches.iter().enumerate() {
        let mut writer = sink.open(WriterId { job, partition, attempt: 0, epoch: 0 }, batch.schema()).await?;
        writer.write(batch.clone()).await?;
        tokens.push(writer.prepare().await?);
    }
    Ok(tokens)
}

/// A batch of JSON rows.
pub(crate) fn batch(values: Value) -> RecordBatch {
    let values = values.as_array().unwrap().clone();
    let schema = azora_connect::json::infer(&values, azora_connect::json::MixedTypes::Refuse).unwrap();
    azora_connect::json::batch(&schema, &values).unwrap()
}

/// A place that a connector's tests read from and write to.
pub(crate) trait Place: Send + Sync {
    /// The connector.
    const CONNECTOR: &'static str;
    /// What its configuration calls a table.
    const TABLE: &'static str = "table";

    /// How to reach it.
    fn connection(&self) -> Value;

    /// A configuration with these members.
    fn config(&self, mut more: Value) -> Value {
        more["connection"] = self.connection();
        more
    }
}

/// The suite of sinks over a place.
pub(crate) struct Case<'a, P> {
    pub(crate) place: &'a P,
    /// Members of every configuration.
    pub(crate) inside: Value,
    pub(crate) batches: Vec<RecordBatch>,
}

impl<P: Place> Case<'_, P> {
    fn config(&self, target: &str, more: Value) -> Value {
        let mut config = self.place.config(more);
        for (name, value) in map(self.inside.clone()) {
            match (&mut config[name.as_str()], value) {
                (Value::Object(known), Value::Object(more)) => known.extend(more),
                (member, value) => *member = value,
            }
        }
        config[P::TABLE] = target.into();
        config
    }
}

#[async_trait]
impl<P: Place> SinkCase for Case<'_, P> {
    async fn sink(&self, target: &str) -> Arc<dyn Sink> {
        sink(P::CONNECTOR, self.config(target, json!({"create": true}))).await.unwrap()
    }

    async fn rows(&self, target: &str) -> Vec<String> {
        let schema = self.batches[0].schema();
        let columns: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
        match source(P::CONNECTOR, self.config(target, json!({"columns": columns}))).await {
            Ok(source) => texts(&read(&source, 2).await.unwrap()),
            Err(failure) => {
                assert!(matches!(failure.code, Code::ConnectorMissing | Code::PathMissing), "{failure}");
                Vec::new()
            }
        }
    }

    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }

    fn batches(&self) -> Vec<RecordBatch> {
        self.batches.clone()
    }
}
