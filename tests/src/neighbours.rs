//! Real servers beside a case's own: what connectors speak to when a job comes over HTTP. How connectors treat them in
//! detail is tested with the connectors.

use anyhow::{Result, bail};
use azora_services::{Azure, FerretDb, Gcs, Kafka, Postgres, Redis, S3, free_port};
use serde_json::Value;
use std::collections::BTreeMap;

/// The topics of a case's Kafka, and their partitions.
const TOPICS: [(&str, i32); 4] = [("events", 3), ("doubled", 2), ("texts", 1), ("empty", 1)];

/// The servers that a case names in `servers`; they end with it.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    kafka: Option<Kafka>,
    redis: Option<Redis>,
    postgres: Option<Postgres>,
    s3: Option<S3>,
    gcs: Option<Gcs>,
    azure: Option<Azure>,
    mongodb: Option<FerretDb>,
}

impl Neighbours {
    /// Starts them. What a case needs to know of each goes into `known`.
    ///
    /// # Errors
    /// A server that cannot be started, or is none.
    pub(crate) fn start(names: &Value, known: &mut BTreeMap<String, String>) -> Result<Self> {
        let mut started = Self::default();
        for name in names.as_array().into_iter().flatten() {
            match name.as_str().unwrap_or_default() {
                "kafka" => {
                    let kafka = Kafka::start()?;
                    // The broker makes no topics by itself.
                    TOPICS.iter().try_for_each(|(topic, partitions)| kafka.topic(topic, *partitions))?;
                    known.insert("kafka".to_owned(), kafka.brokers());
                    known.insert("kafka_sasl".to_owned(), kafka.sasl_brokers());
                    known.insert("kafka_nobody".to_owned(), format!("127.0.0.1:{}", free_port()?));
                    started.kafka = Some(kafka);
                }
                "redis" => {
                    let redis = Redis::start()?;
                    known.insert("redis".to_owned(), redis.url());
                    started.redis = Some(redis);
                }
                "postgresql" => {
                    let postgres = Postgres::start()?;
                    let port = postgres.process.port();
                    let url = format!("postgresql://{}@127.0.0.1:{port}/postgres", Postgres::USER);
                    known.insert("postgresql".to_owned(), url);
                    known.insert("postgresql_password".to_owned(), Postgres::PASSWORD.to_owned());
                    started.postgres = Some(postgres);
                }
                "s3" => {
                    let s3 = S3::start()?;
                    known.insert("s3".to_owned(), s3.endpoint());
                    known.insert("s3_bucket".to_owned(), S3::BUCKET.to_owned());
                    started.s3 = Some(s3);
                }
                "gcs" => {
                    let gcs = Gcs::start()?;
                    known.insert("gcs".to_owned(), gcs.endpoint());
                    known.insert("gcs_bucket".to_owned(), Gcs::BUCKET.to_owned());
                    started.gcs = Some(gcs);
                }
                "azure" => {
                    let azure = Azure::start()?;
                    known.insert("azure".to_owned(), azure.endpoint());
                    known.insert("azure_account".to_owned(), Azure::ACCOUNT.to_owned());
                    known.insert("azure_key".to_owned(), Azure::KEY.to_owned());
                    known.insert("azure_container".to_owned(), Azure::CONTAINER.to_owned());
                    started.azure = Some(azure);
                }
                "mongodb" => {
                    let server = FerretDb::start()?;
                    let (user, port, database) = (FerretDb::USER, server.process.port(), FerretDb::DATABASE);
                    known.insert("mongodb".to_owned(), format!("mongodb://{user}@127.0.0.1:{port}/{database}?authSource=admin"));
                    known.insert("mongodb_password".to_owned(), FerretDb::PASSWORD.to_owned());
                    started.mongodb = Some(server);
                }
                other => bail!("no server is called '{other}'"),
            }
        }
        Ok(started)
    }
}
