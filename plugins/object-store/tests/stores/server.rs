//! The servers behind one face, and what tests do with all of them.

use arrow::array::RecordBatch;
use azora_connect::{Connector, Outcome, Policy, ReadRequest, Rejects, Secrets, Setup, Sink, Source, Token, WriterId};
use azora_services::{Azure, Gcs, S3};
use azora_spec::{Failure, JobId, OnError, Secret};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    S3,
    Gcs,
    Azure,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }
}

/// A running server.
pub(crate) enum Server {
    S3(S3),
    Gcs(Gcs),
    Azure(Azure),
}

/// The secrets that configurations name.
pub(crate) fn setup() -> Setup {
    let secret = |name: &str, text: &str| (name.to_owned(), Secret::new(text.to_owned()));
    let secrets = [secret("KEY", "canary-secret"), secret("GCS", Gcs::KEY), secret("AZURE", Azure::KEY)];
    Setup { network: Policy::local(), secrets: Secrets::new(secrets) }
}

pub(crate) fn connector(name: &str, setup: &Setup) -> Arc<dyn Connector> {
    azora_object_store::connectors(setup).into_iter().find(|connector| connector.name() == name).expect("a connector")
}

impl Server {
    pub(crate) fn start(kind: Kind) -> Self {
        match kind {
            Kind::S3 => Self::S3(S3::start().expect("a server")),
            Kind::Gcs => Self::Gcs(Gcs::start().expect("a server")),
            Kind::Azure => Self::Azure(Azure::start().expect("a server")),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::S3(_) => Kind::S3.name(),
            Self::Gcs(_) => Kind::Gcs.name(),
            Self::Azure(_) => Kind::Azure.name(),
        }
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~=".contains(&byte);
        let key: String = key.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
        match self {
            Self::S3(server) => server.put(&key, bytes),
            Self::Gcs(server) => server.put(&key, bytes),
            Self::Azure(server) => server.put(&key, bytes),
        }
        .expect("put");
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::S3(server) => server.process.address(),
            Self::Gcs(server) => server.process.address(),
            Self::Azure(server) => server.process.address(),
        }
    }

    /// Its URL, or that of a relay before it.
    pub(crate) fn endpoint(&self, port: u16) -> String {
        let account = if let Self::Azure(_) = self { format!("/{}", Azure::ACCOUNT) } else { String::new() };
        format!("http://127.0.0.1:{port}{account}")
    }

    /// Uploads that were begun and neither ended nor given up. Azure does not say.
    pub(crate) fn unfinished(&self) -> String {
        match self {
            Self::S3(server) => server.process.request("GET", &format!("/{}?uploads", S3::BUCKET), b"").expect("listed"),
            Self::Gcs(server) => server.process.request("GET", &format!("/{}?uploads", Gcs::BUCKET), b"").expect("listed"),
            Self::Azure(_) => String::new(),
        }
    }

    pub(crate) fn config(&self, members: Value) -> Map<String, Value> {
        let endpoint = self.endpoint(self.address().port());
        let mut config = match self {
            Self::S3(_) => json!({"bucket": S3::BUCKET, "endpoint": endpoint, "accessKeyId": "id", "secretAccessKey": {"secret": "KEY"}}),
            Self::Gcs(_) => json!({"bucket": Gcs::BUCKET, "endpoint": endpoint, "serviceAccountKey": {"secret": "GCS"}}),
            Self::Azure(_) => {
                json!({"account": Azure::ACCOUNT, "container": Azure::CONTAINER, "endpoint": endpoint, "accessKey": {"secret": "AZURE"}})
            }
        };
        let config = config.as_object_mut().expect("an object");
        config.extend(members.as_object().expect("an object").clone());
        config.clone()
    }

    pub(crate) async fn source(&self, members: Value) -> Result<Arc<dyn Source>, Failure> {
        connector(self.name(), &setup()).source(&self.config(members)).await
    }

    pub(crate) async fn sink(&self, members: Value) -> Arc<dyn Sink> {
        connector(self.name(), &setup()).sink(&self.config(members)).await.expect("a sink")
    }

    /// The rows below a key as JSON texts, in any order.
    pub(crate) async fn texts(&self, members: Value) -> Vec<String> {
        let read = self.source(members).await.expect("a source");
        azora_connect::conformance::texts(&all(&read, OnError::Fail).await.expect("rows").0)
    }

    /// The objects that a pattern finds.
    pub(crate) async fn keys(&self, pattern: &str) -> Vec<String> {
        match self.source(json!({"key": pattern, "format": "text"})).await {
            Ok(found) => {
                let key = |payload: &str| {
                    serde_json::from_str::<Value>(payload).expect("a split")["object"]["key"].as_str().expect("a key").to_owned()
                };
                found.plan(1).await.expect("splits").iter().map(|split| key(&split.payload)).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    /// Writes batches as one job, in two partitions.
    pub(crate) async fn write(&self, members: Value, batches: &[RecordBatch]) {
        let sink = self.sink(members).await;
        let (job, schema) = (JobId::generate(), batches[0].schema());
        sink.check().await.expect("free");
        let tokens = prepare(&sink, job, batches).await;
        sink.commit(job, 0, schema, &tokens).await.expect("committed");
    }
}

/// Batches in two partitions, prepared.
pub(crate) async fn prepare(sink: &Arc<dyn Sink>, job: JobId, batches: &[RecordBatch]) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (partition, part) in [&batches[..1], &batches[1..]].into_iter().enumerate() {
        let id = WriterId { job, partition, attempt: 0, epoch: 0 };
        let mut writer = sink.open(id, batches[0].schema()).await.expect("a writer");
        for batch in part {
            writer.write(batch.clone()).await.expect("written");
        }
        tokens.push(writer.prepare().await.expect("prepared"));
    }
    tokens
}

/// Everything that a source gives, and what it rejects.
pub(crate) async fn all(source: &Arc<dyn Source>, policy: OnError) -> Result<(Vec<RecordBatch>, Rejects), Failure> {
    let rejects = Rejects::new(policy);
    let mut batches = Vec::new();
    for split in source.plan(3).await? {
        let request = ReadRequest { rejects: rejects.clone(), ..ReadRequest::new(8192, 8 << 20) };
        let mut reader = source.open(&split, None, request).await?;
        while let Outcome::Batch(batch, _) = reader.read().await? {
            batches.push(batch);
        }
    }
    Ok((batches, rejects))
}
