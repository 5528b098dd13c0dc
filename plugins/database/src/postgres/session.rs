//! One session with a server, and what its errors mean.

use crate::config::Tls;
use crate::dial::{self, Server};
use crate::error::{Error, Site, shown};
use crate::tls;
use azora_spec::Failure;
use std::fmt;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A session. Dropping it closes the connection; the server then stops what it was doing for it.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) site: Site,
    task: JoinHandle<()>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("site", &self.site).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    /// Opens one within the connect time-out.
    pub(crate) async fn open(server: &Server) -> Result<Self, Failure> {
        server.in_time(Self::connect(server)).await
    }

    async fn connect(server: &Server) -> Result<Self, Error> {
        let Server { site, connection, .. } = server;
        let stream = server.dial(server.deadline()).await?;
        let mut config = Config::new();
        config.user(&connection.user).dbname(&connection.database).application_name("azora");
        if let Some(password) = &connection.password {
            config.password(password.expose());
        }
        config.ssl_mode(match connection.tls {
            Tls::Disable => SslMode::Disable,
            Tls::Prefer => SslMode::Prefer,
            Tls::Require => SslMode::Require,
        });
        let mut maker = MakeRustlsConnect::new(tls::client(site, connection)?);
        let tls = MakeTlsConnect::<tokio::net::TcpStream>::make_tls_connect(&mut maker, &connection.host)
            .map_err(|_| Error::Tls { site: site.clone(), reason: "its name cannot stand in a certificate".to_owned() })?;
        let (client, socket) = config.connect_raw(stream, tls).await.map_err(|error| refused(server, &error))?;
        let task = tokio::spawn(async move {
            // The requests that wait for an answer learn of an error themselves.
            socket.await.ok();
        });
        let session = Self { client, site: site.clone(), task };
        let limit = connection.statement_time.as_millis();
        // UTC and ISO, so that bounds read as text mean one instant; a scan that starts in the middle has no fixed order.
        session
            .run(&format!(
                "SET statement_timeout = {limit}; SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; \
                 SET synchronize_seqscans = off; SET max_parallel_workers_per_gather = 0; SET lock_timeout = {limit}"
            ))
            .await?;
        Ok(session)
    }

    /// Runs statements without an answer that have no parameters.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await.map_err(|error| self.error(&error))
    }

    /// What an error means where no part of the request is to blame in particular.
    pub(crate) fn error(&self, error: &tokio_postgres::Error) -> Error {
        classify(&self.site, error, "statement", "")
    }

    /// What an error means where a member of the request made the statement.
    pub(crate) fn blame(&self, error: &tokio_postgres::Error, what: &'static str, pointer: &'static str) -> Error {
        classify(&self.site, error, what, pointer)
    }
}

/// What an error of connecting means.
fn refused(server: &Server, error: &tokio_postgres::Error) -> Error {
    let Server { site, connection, .. } = server;
    let text = error.to_string();
    if error.as_db_error().is_none() && text.contains("TLS") {
        let reason = std::error::Error::source(error).map_or_else(|| text.clone(), |source| shown(&source.to_string()));
        return Error::Tls { site: site.clone(), reason };
    }
    match error.code() {
        Some(code) if code.code().starts_with("28") => {
            Error::Login { site: site.clone(), user: connection.user.escape_debug().to_string() }
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => Error::Missing {
            site: site.clone(),
            what: "database",
            name: connection.database.escape_debug().to_string(),
            pointer: "/connection/database",
        },
        None if text.contains("authentication") || text.contains("configuration") => {
            Error::Login { site: site.clone(), user: connection.user.escape_debug().to_string() }
        }
        _ => classify(site, error, "", "/connection"),
    }
}

/// An error of the driver as ours.
fn classify(site: &Site, error: &tokio_postgres::Error, what: &'static str, pointer: &'static str) -> Error {
    let site = site.clone();
    let Some(db) = error.as_db_error() else {
        let source = std::error::Error::source(error);
        let reason = source.and_then(|source| source.downcast_ref::<std::io::Error>()).map(dial::reason);
        return Error::Lost { site, reason: reason.unwrap_or_else(|| "the connection was closed".to_owned()) };
    };
    let reason = shown(db.message());
    let code = db.code().code();
    match code.get(..2).unwrap_or_default() {
        _ if *db.code() == SqlState::QUERY_CANCELED => {
            Error::Refused { site, what, reason: format!("{reason} ('statementTimeoutMs' is the limit)"), pointer }
        }
        _ if *db.code() == SqlState::READ_ONLY_SQL_TRANSACTION => {
            Error::Refused { site, what, reason: format!("a source only reads: {reason}"), pointer }
        }
        "08" | "57" | "58" | "XX" => Error::Lost { site, reason },
        "40" | "53" | "55" => Error::Busy { site, reason },
        "23" => {
            let table = db.table().unwrap_or("the target").escape_debug().to_string();
            let named = db.constraint().or(db.column()).map(|name| format!(" ({})", name.escape_debug())).unwrap_or_default();
            Error::Constraint { site, table, reason: format!("{reason}{named}") }
        }
        "22" => {
            // `COPY t, line 3, column price: "x"`: the column is what helps.
            let column = db.where_().and_then(|place| place.split(", column ").nth(1)).and_then(|rest| rest.split([':', ',']).next());
            let place = column.map(|column| format!(", column '{}'", column.trim().escape_debug())).unwrap_or_default();
            Error::Value { place: format!("{site}{place}"), reason }
        }
        _ => Error::Refused { site, what, reason, pointer },
    }
}
