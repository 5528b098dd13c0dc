//! The connectors of this crate: one for each engine, and `database`, whose `databaseType` says which.

use crate::config::{self, Engine, What};
use crate::dial::Server;
use crate::document::{MongoSink, MongoSource};
use crate::error::Site;
use crate::mysql::{MySqlSink, MySqlSource};
use crate::postgres::{PostgresSink, PostgresSource};
use crate::schema;
use crate::sqlite::{self, Roots, SqliteSink, SqliteSource, Staging};
use async_trait::async_trait;
use azora_connect::{Connector, ConnectorKind, Half, Setup, Sink, Source};
use azora_spec::{Code, Failure};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::Arc;

/// The folders of a server that databases in files need.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// Below these a request may name databases.
    pub roots: Vec<PathBuf>,
    /// The server's own, for rows that wait for their commit. It is made when it is needed.
    pub staging: PathBuf,
}

/// All connectors of this crate.
#[must_use]
pub fn connectors(setup: &Setup, files: &Files) -> Vec<Arc<dyn Connector>> {
    let (roots, staging) = (Roots::new(&files.roots), Staging::new(files.staging.clone()));
    let one = |engine| {
        let (setup, roots, staging) = (setup.clone(), roots.clone(), staging.clone());
        Arc::new(Database { engine, setup, roots, staging }) as Arc<dyn Connector>
    };
    vec![one(None), one(Some(Engine::Postgres)), one(Some(Engine::MySql)), one(Some(Engine::Sqlite)), one(Some(Engine::MongoDb))]
}

#[derive(Debug)]
struct Database {
    /// None where the request says it.
    engine: Option<Engine>,
    setup: Setup,
    roots: Roots,
    staging: Staging,
}

impl Database {
    fn engine(&self, config: &Map<String, Value>) -> Result<Engine, Failure> {
        match (self.engine, config.get("databaseType")) {
            (Some(engine), _) => Ok(engine),
            (None, Some(Value::String(text))) => Engine::parse(text),
            (None, None | Some(Value::Null)) => Ok(Engine::Postgres),
            (None, Some(_)) => Err(Failure::new(Code::ConnectorConfig, "'databaseType' is a text").at("/databaseType")),
        }
    }

    /// Where a server is, resolved and allowed.
    async fn server(&self, engine: Engine, config: &Map<String, Value>) -> Result<Server, Failure> {
        let connection = config::connection(config, engine, &self.setup.secrets)?;
        let site = Site::new(engine.product(), &format!("{}:{}", connection.host, connection.port));
        Server::find(&self.setup.network, site, connection).await
    }

    fn sqlite(&self, config: &Map<String, Value>) -> Result<sqlite::Server, Failure> {
        let place = config::file::place(config)?;
        let site = Site::new(Engine::Sqlite.product(), &place.path);
        Ok(sqlite::Server { site, place: Arc::new(place), roots: self.roots.clone() })
    }

    fn faults(&self, half: Half, config: &Map<String, Value>) -> Result<(), Failure> {
        let more = match self.engine(config)? {
            engine @ (Engine::Postgres | Engine::MySql) => {
                config::connection(config, engine, &self.setup.secrets)?;
                &[][..]
            }
            Engine::Sqlite => {
                config::file::place(config)?;
                config::file::types(config)?;
                config::file::MEMBERS
            }
            Engine::MongoDb => {
                config::connection(config, Engine::MongoDb, &self.setup.secrets)?;
                return match half {
                    Half::Source => config::document::reading(config).map(|_| ()),
                    Half::Sink => config::document::writing(config).map(|_| ()),
                };
            }
        };
        match half {
            Half::Source => config::reading(config, more).map(|_| ()),
            Half::Sink => config::writing(config, more).map(|_| ()),
        }
    }
}

#[async_trait]
impl Connector for Database {
    fn name(&self) -> &str {
        self.engine.map_or("database", Engine::name)
    }

    fn aliases(&self) -> &[&str] {
        match self.engine {
            Some(Engine::Postgres) => &["postgres"],
            Some(Engine::MySql) => &["mariadb"],
            Some(Engine::MongoDb) => &["mongo"],
            _ => &[],
        }
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Both
    }

    fn config_schema(&self) -> Value {
        schema::config(self.engine)
    }

    fn check(&self, half: Half, config: &Map<String, Value>) -> Vec<Failure> {
        self.faults(half, config).err().into_iter().collect()
    }

    fn label(&self, config: &Map<String, Value>) -> String {
        let Ok(engine) = self.engine(config) else { return "database://".to_owned() };
        let what = match config::reading(config, config::file::MEMBERS).map(|reading| reading.what) {
            _ if engine == Engine::MongoDb => {
                config.get("collection").and_then(Value::as_str).map(|name| format!("/{}", name.escape_debug())).unwrap_or_default()
            }
            Ok(What::Table(table)) => format!("/{}", table.shown()),
            _ => String::new(),
        };
        if engine == Engine::Sqlite {
            let place = config::file::place(config).map(|place| place.path).unwrap_or_default();
            return format!("sqlite://{place}{what}");
        }
        match config::connection(config, engine, &self.setup.secrets) {
            Ok(connection) => format!("{}://{}/{}{what}", engine.name(), connection.host, connection.database),
            Err(_) => format!("{}://", engine.name()),
        }
    }

    async fn source(&self, config: &Map<String, Value>) -> Result<Arc<dyn Source>, Failure> {
        match self.engine(config)? {
            Engine::Postgres => {
                let reading = config::reading(config, &[])?;
                Ok(Arc::new(PostgresSource::connect(self.server(Engine::Postgres, config).await?, reading).await?))
            }
            Engine::MySql => {
                let reading = config::reading(config, &[])?;
                Ok(Arc::new(MySqlSource::connect(self.server(Engine::MySql, config).await?, reading).await?))
            }
            Engine::Sqlite => {
                let reading = config::reading(config, config::file::MEMBERS)?;
                Ok(Arc::new(SqliteSource::connect(self.sqlite(config)?, reading, config::file::types(config)?).await?))
            }
            Engine::MongoDb => {
                let reading = config::document::reading(config)?;
                Ok(Arc::new(MongoSource::connect(&self.server(Engine::MongoDb, config).await?, reading).await?))
            }
        }
    }

    async fn sink(&self, config: &Map<String, Value>) -> Result<Arc<dyn Sink>, Failure> {
        match self.engine(config)? {
            Engine::Postgres => {
                let writing = config::writing(config, &[])?;
                Ok(Arc::new(PostgresSink::new(self.server(Engine::Postgres, config).await?, writing)))
            }
            Engine::MySql => {
                let writing = config::writing(config, &[])?;
                Ok(Arc::new(MySqlSink::new(self.server(Engine::MySql, config).await?, writing)))
            }
            Engine::Sqlite => {
                let writing = config::writing(config, config::file::MEMBERS)?;
                Ok(Arc::new(SqliteSink::new(self.sqlite(config)?, writing, self.staging.clone())))
            }
            Engine::MongoDb => {
                let writing = config::document::writing(config)?;
                Ok(Arc::new(MongoSink::new(self.server(Engine::MongoDb, config).await?, writing)))
            }
        }
    }
}
