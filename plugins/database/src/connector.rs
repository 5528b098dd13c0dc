//! The connectors of this crate: one for each engine, and `database`, whose `databaseType` says which.

use crate::config::{self, Connection, Engine, What};
use crate::dial;
use crate::error::Site;
use crate::mysql::{self, MySqlSink, MySqlSource};
use crate::postgres::{self, PostgresSink, PostgresSource};
use crate::schema;
use async_trait::async_trait;
use azora_connect::{Connector, ConnectorKind, Half, Setup, Sink, Source};
use azora_spec::{Code, Failure};
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;

/// All connectors of this crate.
#[must_use]
pub fn connectors(setup: &Setup) -> Vec<Arc<dyn Connector>> {
    let one = |engine| Arc::new(Database { engine, setup: setup.clone() }) as Arc<dyn Connector>;
    vec![one(None), one(Some(Engine::Postgres)), one(Some(Engine::MySql))]
}

#[derive(Debug)]
struct Database {
    /// None where the request says it.
    engine: Option<Engine>,
    setup: Setup,
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
    async fn place(&self, engine: Engine, config: &Map<String, Value>) -> Result<(Site, Arc<Connection>, Arc<[IpAddr]>), Failure> {
        let connection = config::connection(config, engine, &self.setup.secrets)?;
        let site = Site::new(engine.product(), &format!("{}:{}", connection.host, connection.port));
        let addresses = dial::addresses(&self.setup.network, &site, &connection).await?;
        Ok((site, Arc::new(connection), addresses.into()))
    }

    async fn postgres(&self, config: &Map<String, Value>) -> Result<postgres::Server, Failure> {
        let (site, connection, addresses) = self.place(Engine::Postgres, config).await?;
        Ok(postgres::Server { site, connection, addresses })
    }

    async fn mysql(&self, config: &Map<String, Value>) -> Result<mysql::Server, Failure> {
        let (site, connection, addresses) = self.place(Engine::MySql, config).await?;
        Ok(mysql::Server { site, connection, addresses })
    }

    fn faults(&self, half: Half, config: &Map<String, Value>) -> Result<(), Failure> {
        match self.engine(config)? {
            engine @ (Engine::Postgres | Engine::MySql) => {
                config::connection(config, engine, &self.setup.secrets)?;
            }
            other => return Err(absent(other)),
        }
        match half {
            Half::Source => config::reading(config, &[]).map(|_| ()),
            Half::Sink => config::writing(config, &[]).map(|_| ()),
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
        let what = match config::reading(config, &[]).map(|reading| reading.what) {
            Ok(What::Table(table)) => format!("/{}", table.shown()),
            _ => String::new(),
        };
        match config::connection(config, engine, &self.setup.secrets) {
            Ok(connection) => format!("{}://{}/{}{what}", engine.name(), connection.host, connection.database),
            Err(_) => format!("{}://", engine.name()),
        }
    }

    async fn source(&self, config: &Map<String, Value>) -> Result<Arc<dyn Source>, Failure> {
        match self.engine(config)? {
            Engine::Postgres => {
                let reading = config::reading(config, &[])?;
                Ok(Arc::new(PostgresSource::connect(self.postgres(config).await?, reading).await?))
            }
            Engine::MySql => {
                let reading = config::reading(config, &[])?;
                Ok(Arc::new(MySqlSource::connect(self.mysql(config).await?, reading).await?))
            }
            other => Err(absent(other)),
        }
    }

    async fn sink(&self, config: &Map<String, Value>) -> Result<Arc<dyn Sink>, Failure> {
        match self.engine(config)? {
            Engine::Postgres => {
                let writing = config::writing(config, &[])?;
                Ok(Arc::new(PostgresSink::new(self.postgres(config).await?, writing)))
            }
            Engine::MySql => {
                let writing = config::writing(config, &[])?;
                Ok(Arc::new(MySqlSink::new(self.mysql(config).await?, writing)))
            }
            other => Err(absent(other)),
        }
    }
}

fn absent(engine: Engine) -> Failure {
    Failure::new(Code::ConnectorConfig, format!("{} is not there yet", engine.product()))
        .hint("databases are PostgreSQL, MySQL and MariaDB")
        .at("/databaseType")
}
