//! One session with a server, and what its errors mean.

use crate::config::Tls;
use crate::dial::{self, KEEPALIVE, Server};
use crate::error::{Error, Site, shown};
use crate::tls;
use azora_spec::Failure;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, OptsBuilder, Row, SslOpts};

/// A session. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) conn: Conn,
    pub(super) site: Site,
}

impl Session {
    /// Opens one within the connect time-out.
    pub(super) async fn open(server: &Server) -> Result<Self, Failure> {
        server.in_time(Self::connect(server)).await
    }

    async fn connect(server: &Server) -> Result<Self, Error> {
        let Server { site, connection, .. } = server;
        let mut conn = match Conn::new(options(server, connection.tls != Tls::Disable)).await {
            // The driver has no word for "encrypted where it can be had".
            Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer)) if connection.tls == Tls::Prefer => {
                Conn::new(options(server, false)).await
            }
            other => other,
        }
        .map_err(|error| refused(server, &error))?;
        let seconds = connection.statement_time.as_secs().max(1);
        let version: Option<String> = conn.query_first("SELECT VERSION()").await.map_err(|error| classify(site, &error, "", ""))?;
        let limit = if version.is_some_and(|version| version.contains("MariaDB")) {
            format!("SESSION max_statement_time = {seconds}")
        } else {
            format!("SESSION max_execution_time = {}", seconds.saturating_mul(1000))
        };
        // UTC, so that instants mean one thing; strict, so that no value is changed to fit.
        let mut session = Self { conn, site: site.clone() };
        session.run(&format!("SET SESSION time_zone = '+00:00', SESSION sql_mode = 'TRADITIONAL', {limit}")).await?;
        Ok(session)
    }

    pub(super) async fn run(&mut self, sql: &str) -> Result<(), Error> {
        self.conn.query_drop(sql).await.map_err(|error| classify(&self.site, &error, "statement", ""))
    }

    /// Runs a statement and gives the number of rows that it changed.
    pub(super) async fn change(&mut self, sql: &str) -> Result<u64, Error> {
        self.run(sql).await?;
        Ok(self.conn.affected_rows())
    }

    pub(super) async fn rows(&mut self, sql: &str, parameters: Vec<String>) -> Result<Vec<Row>, Error> {
        self.conn.exec(sql, parameters).await.map_err(|error| classify(&self.site, &error, "statement", ""))
    }
}

/// What the driver is told.
fn options(server: &Server, is_encrypted: bool) -> OptsBuilder {
    let connection = &server.connection;
    let encryption = is_encrypted.then(|| {
        tls::provide();
        let mut options = SslOpts::default();
        if connection.tls == Tls::Prefer {
            options = options.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
        }
        if let Some(authority) = &connection.authority {
            options = options.with_root_certs(vec![authority.clone().into_bytes().into()]);
        }
        options
    });
    OptsBuilder::default()
        .ip_or_hostname(connection.host.clone())
        .resolved_ips(Some(server.addresses.to_vec()))
        .tcp_port(connection.port)
        .user(Some(connection.user.clone()))
        .pass(connection.password.as_ref().map(|password| password.expose().to_owned()))
        .db_name(Some(connection.database.clone()))
        // A socket that the server names would go around the check of addresses.
        .prefer_socket(false)
        .tcp_keepalive(Some(KEEPALIVE))
        .ssl_opts(encryption)
}

/// What an error of connecting means.
fn refused(server: &Server, error: &mysql_async::Error) -> Error {
    let (site, connection) = (server.site.clone(), &server.connection);
    match error {
        mysql_async::Error::Server(server) if matches!(server.code, 1045 | 1698 | 1130 | 1251) => {
            Error::Login { site, user: connection.user.escape_debug().to_string() }
        }
        mysql_async::Error::Server(server) if matches!(server.code, 1044 | 1049) => {
            let name = connection.database.escape_debug().to_string();
            Error::Missing { site, what: "database", name, pointer: "/connection/database" }
        }
        mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            Error::Tls { site, reason: "it offers no encryption".to_owned() }
        }
        mysql_async::Error::Io(mysql_async::IoError::Tls(error)) => Error::Tls { site, reason: shown(&error.to_string()) },
        mysql_async::Error::Io(mysql_async::IoError::Io(error)) => Error::Unreachable { site, reason: dial::reason(error) },
        _ => classify(&server.site, error, "", "/connection"),
    }
}

/// An error of the driver as ours.
pub(super) fn classify(site: &Site, error: &mysql_async::Error, what: &'static str, pointer: &'static str) -> Error {
    let site = site.clone();
    let server = match error {
        mysql_async::Error::Server(server) => server,
        mysql_async::Error::Io(mysql_async::IoError::Io(error)) => return Error::Lost { site, reason: dial::reason(error) },
        _ => return Error::Lost { site, reason: "the connection was closed".to_owned() },
    };
    let reason = shown(&server.message);
    match server.code {
        1146 | 1049 => Error::Missing { site, what: "table", name: reason, pointer },
        1792 => Error::Refused { site, what, reason: format!("a source only reads: {reason}"), pointer },
        1969 | 3024 => Error::Refused { site, what, reason: format!("{reason} ('statementTimeoutMs' is the limit)"), pointer },
        1048 | 1062 | 1216 | 1217 | 1364 | 1451 | 1452 | 1586 | 3819 | 4025 => {
            Error::Constraint { site, table: "the target".to_owned(), reason }
        }
        1264 | 1265 | 1292 | 1365 | 1366 | 1367 | 1406 | 1411 | 1690 | 3140 | 3141 => Error::Value { place: site.to_string(), reason },
        1040 | 1203 | 1205 | 1213 | 1021 | 1041 => Error::Busy { site, reason },
        1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1184 | 1317 | 1927 => Error::Lost { site, reason },
        _ => Error::Refused { site, what, reason, pointer },
    }
}
