//! A client of one server, and what its errors mean. It connects to the one host that was checked and to none that the
//! server names.

use super::relay::{Relay, Route};
use crate::config::Tls;
use crate::dial::{self, Server};
use crate::error::{Error, Site, shown};
use azora_spec::Failure;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{ErrorKind, WriteFailure};
use mongodb::options::{ClientOptions, Credential, ServerAddress};
use mongodb::{Client, Database};
use std::time::Duration;
use tokio::time::timeout;

/// Most connections of one source or sink.
const CONNECTIONS_MAX: u32 = 64;

/// A client. Clones of its database share connections; dropping it closes them.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) database: Database,
    pub(super) site: Site,
    user: String,
    statement_time: Duration,
    _relay: Option<Relay>,
}

impl Session {
    /// Connects within the connect time-out.
    pub(super) async fn open(server: &Server) -> Result<Self, Failure> {
        server.in_time(Self::connect(server)).await
    }

    async fn connect(server: &Server) -> Result<Self, Error> {
        let Server { site, connection, .. } = server;
        // Whoever does not answer is found here, and not by a driver that waits for a server to appear.
        let (host, relay) = if connection.tls == Tls::Disable {
            let stream = server.dial(server.deadline()).await?;
            let peer = stream.peer_addr().map_err(|error| Error::Unreachable { site: site.clone(), reason: dial::reason(&error) })?;
            (ServerAddress::from(peer), None)
        } else {
            let route = Route::new(server)?;
            drop(route.connect().await?);
            let relay = Relay::start(route)?;
            (ServerAddress::Unix { path: relay.path() }, Some(relay))
        };
        let mut options = ClientOptions::default();
        options.hosts = vec![host];
        options.direct_connection = Some(true);
        options.app_name = Some("azora".to_owned());
        options.connect_timeout = Some(connection.connect_time);
        options.server_selection_timeout = Some(connection.connect_time);
        options.max_pool_size = Some(CONNECTIONS_MAX);
        options.retry_writes = Some(false);
        options.credential = credential(server);
        let lost = |error: &mongodb::error::Error| classify(site, &connection.user, error, "connection", "/connection");
        let client = Client::with_options(options).map_err(|error| lost(&error))?;
        let database = client.database(&connection.database);
        database.run_command(doc! {"ping": 1}).await.map_err(|error| lost(&error))?;
        let statement_time = connection.statement_time;
        Ok(Self { database, site: site.clone(), user: connection.user.clone(), statement_time, _relay: relay })
    }

    /// Waits for an answer no longer than a statement may take.
    pub(super) async fn ask<T>(
        &self,
        what: &'static str,
        pointer: &'static str,
        question: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> Result<T, Error> {
        match timeout(self.statement_time, question).await {
            Ok(answer) => answer.map_err(|error| classify(&self.site, &self.user, &error, what, pointer)),
            Err(_) => Err(Error::slow(&self.site, self.statement_time)),
        }
    }

    /// Whether a collection is there.
    pub(super) async fn has(&self, collection: &str) -> Result<bool, Error> {
        let found = self.database.list_collection_names().filter(doc! {"name": collection});
        Ok(!self.ask("collection", "/collection", found).await?.is_empty())
    }

    /// That a collection is there.
    pub(super) async fn find(&self, collection: &str) -> Result<(), Error> {
        if self.has(collection).await? {
            return Ok(());
        }
        let name = collection.escape_debug().to_string();
        Err(Error::Missing { site: self.site.clone(), what: "collection", name, pointer: "/collection" })
    }

    /// Runs a command that writes, durably; gives what it refused of it. A command that went well as such may have refused
    /// single documents.
    pub(super) async fn command(&self, what: &'static str, mut command: Document) -> Result<Vec<Refusal>, Error> {
        command.insert("writeConcern", doc! {"w": "majority", "j": true});
        let answer = self.ask(what, "", self.database.run_command(command)).await?;
        let number = |error: &Document, name: &str| error.get_i32(name).unwrap_or_default();
        let refusal = |error: &Bson| {
            let error = error.as_document()?;
            let message = shown(error.get_str("errmsg").unwrap_or_default());
            Some(Refusal { index: usize::try_from(number(error, "index")).unwrap_or_default(), code: number(error, "code"), message })
        };
        Ok(answer.get_array("writeErrors").map(|errors| errors.iter().filter_map(refusal).collect()).unwrap_or_default())
    }

    /// The same where nothing may be refused.
    pub(super) async fn checked(&self, what: &'static str, command: Document) -> Result<(), Error> {
        match self.command(what, command).await?.into_iter().next() {
            None => Ok(()),
            Some(refusal) => Err(by_code(&self.site, &self.user, refusal.code, &refusal.message, what, "")),
        }
    }
}

/// Who asks; nobody where the request names no user.
fn credential(server: &Server) -> Option<Credential> {
    let connection = &server.connection;
    if connection.user.is_empty() {
        return None;
    }
    let mut credential = Credential::default();
    credential.username = Some(connection.user.clone());
    credential.password = connection.password.as_ref().map(|password| password.expose().to_owned());
    credential.source = Some(connection.auth_source.clone().unwrap_or_else(|| "admin".to_owned()));
    Some(credential)
}

/// A document that the server did not take.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) index: usize,
    pub(super) code: i32,
    pub(super) message: String,
}

/// An error of the driver as ours.
fn classify(site: &Site, user: &str, error: &mongodb::error::Error, what: &'static str, pointer: &'static str) -> Error {
    let by = |code: i32, message: &str| by_code(site, user, code, message, what, pointer);
    let lost = |reason: &str| Error::Lost { site: site.clone(), reason: reason.to_owned() };
    let refused = |message: &str| Error::Refused { site: site.clone(), what, reason: shown(message), pointer };
    match error.kind.as_ref() {
        ErrorKind::Command(error) => by(error.code, &error.message),
        ErrorKind::Write(WriteFailure::WriteError(error)) => by(error.code, &error.message),
        ErrorKind::InsertMany(failed) => match failed.write_errors.as_ref().and_then(|errors| errors.first()) {
            Some(error) => by(error.code, &error.message),
            None => lost("rows are not on enough disks"),
        },
        ErrorKind::Write(_) => lost("rows are not on enough disks"),
        ErrorKind::Authentication { .. } => Error::Login { site: site.clone(), user: user.escape_debug().to_string() },
        ErrorKind::ServerSelection { .. } => Error::Unreachable { site: site.clone(), reason: "no answer in time".to_owned() },
        ErrorKind::DnsResolve { .. } => Error::Unreachable { site: site.clone(), reason: "its name has no address".to_owned() },
        ErrorKind::Io(error) => Error::Lost { site: site.clone(), reason: dial::reason(error) },
        ErrorKind::InvalidArgument { message, .. } | ErrorKind::IncompatibleServer { message, .. } => refused(message),
        ErrorKind::InvalidResponse { .. } | ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_) => {
            refused("its answer is not what MongoDB answers")
        }
        _ => lost("the connection was closed"),
    }
}

fn by_code(site: &Site, user: &str, code: i32, message: &str, what: &'static str, pointer: &'static str) -> Error {
    let (site, reason) = (site.clone(), shown(message));
    match code {
        18 => Error::Login { site, user: user.escape_debug().to_string() },
        13 => Error::Forbidden { site, what, reason },
        26 => Error::Missing { site, what: "collection", name: reason, pointer: "/collection" },
        50 | 262 => Error::Refused { site, what, reason: format!("{reason} ('statementTimeoutMs' is the limit)"), pointer },
        66 | 121 | 11_000 | 11_001 | 12_582 => Error::Constraint { site, table: "the target".to_owned(), reason },
        // Shutting down, or no longer the one that takes writes.
        91 | 189 | 10_058 | 10_107 | 11_600 | 11_602 | 13_435 | 13_436 => Error::Lost { site, reason },
        _ => Error::Refused { site, what, reason, pointer },
    }
}
