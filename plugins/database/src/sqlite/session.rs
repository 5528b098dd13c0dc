//! One connection with a database file: opened so that the file can do no harm and a reader can only read, and what its
//! errors mean.

use super::place::{Absent, Found, Roots};
use crate::config::file::Place;
use crate::error::{Error, Site, shown};
use azora_spec::{Code, Failure};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Longest text, blob or row.
const VALUE_BYTES_MAX: i32 = 256 << 20;
/// Longest statement, ours around the caller's.
const SQL_BYTES_MAX: i32 = 1 << 20;
/// Steps of the database's machine between two looks at the clock.
const STEPS: i32 = 10_000;
/// Memory for pages of one connection, in KiB.
const CACHE_KIB: i32 = 8192;

/// A database file as the request describes it.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) site: Site,
    pub(crate) place: Arc<Place>,
    pub(crate) roots: Roots,
}

/// A connection. It may move between threads; it works on one at a time.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) site: Site,
    /// Set by whoever no longer waits for the answer.
    pub(super) is_stopped: Arc<AtomicBool>,
}

impl Server {
    /// The file, which must be there.
    fn found(&self) -> Result<Found, Failure> {
        self.roots.find(&self.place.path).map_err(|absent| self.absent(absent))
    }

    fn absent(&self, absent: Absent) -> Failure {
        let failure = match absent {
            Absent::Missing => Failure::new(Code::PathMissing, format!("'{}' does not exist", self.place.path.escape_debug()))
                .hint("a sink makes the file where 'create' is true and its folder is there"),
            Absent::Refused(failure) => failure,
        };
        failure.at(self.place.pointer)
    }

    /// Opens the file for reading, with everything but reading forbidden.
    pub(super) fn reader(&self) -> Result<Session, Failure> {
        let mut session = match self.open(&self.found()?, OpenFlags::SQLITE_OPEN_READ_ONLY) {
            // A writer died; whoever opens the file for writing next undoes what it left, and no statement is needed.
            Err(Unopened::Unfinished) => {
                drop(self.writer(false)?);
                self.open(&self.found()?, OpenFlags::SQLITE_OPEN_READ_ONLY)
            }
            other => other,
        }
        .map_err(|unopened| self.unopened(unopened))?;
        session.run("PRAGMA query_only = ON")?;
        session.connection.authorizer(Some(only_reads)).map_err(|_| Error::Broken("the authorizer"))?;
        Ok(session)
    }

    /// Opens the file for writing, and makes it first where that is wanted.
    pub(super) fn writer(&self, can_make: bool) -> Result<Session, Failure> {
        let found = if can_make { self.roots.make(&self.place.path).map_err(|absent| self.absent(absent))? } else { self.found()? };
        let session = self.open(&found, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|unopened| self.unopened(unopened))?;
        if session.connection.is_readonly("main").unwrap_or(true) {
            let message = format!("the server may not write '{}'", self.place.path.escape_debug());
            return Err(Failure::new(Code::PathUnusable, message).at(self.place.pointer));
        }
        session.run("PRAGMA synchronous = FULL")?;
        Ok(session)
    }

    fn open(&self, found: &Found, mode: OpenFlags) -> Result<Session, Unopened> {
        // The path is absolute, so it is no URI; no link in it is followed.
        let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let unusable = Unopened::Unusable;
        let connection = Connection::open_with_flags(&found.path, flags).map_err(|_| unusable("cannot be opened"))?;
        if !found.is_same() {
            return Err(unusable("was exchanged while it was opened"));
        }
        let is_stopped = Arc::new(AtomicBool::new(false));
        let mut session = Session { connection, site: self.site.clone(), is_stopped };
        // The settings and the first look into the file.
        let looked = session.harden(self).and_then(|()| session.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())));
        match looked {
            Ok(()) => Ok(session),
            Err(error) => Err(match code(&error) {
                Some(ErrorCode::NotADatabase) => unusable("is not a SQLite database"),
                Some(ErrorCode::DatabaseCorrupt) => unusable("is damaged"),
                Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => Unopened::Unfinished,
                _ => Unopened::Failed(classify(&self.site, &error, "schema", self.place.pointer)),
            }),
        }
    }

    fn unopened(&self, unopened: Unopened) -> Failure {
        let reason = match unopened {
            Unopened::Failed(error) => return error.into(),
            Unopened::Unusable(reason) => reason,
            Unopened::Unfinished => "holds an unfinished write of another program, which this server may not undo",
        };
        Failure::new(Code::PathUnusable, format!("'{}' {reason}", self.place.path.escape_debug())).at(self.place.pointer)
    }
}

/// Why a file was not opened.
#[derive(Debug)]
enum Unopened {
    Unusable(&'static str),
    /// It cannot be read before what a dead writer left is undone.
    Unfinished,
    Failed(Error),
}

impl Session {
    /// What SQLite advises for files of strangers, and bounds for what a query may use.
    fn harden(&mut self, server: &Server) -> rusqlite::Result<()> {
        let connection = &mut self.connection;
        connection.busy_timeout(server.place.busy_time)?;
        for (setting, value) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
            // A misspelt column is an error and not a text.
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        ] {
            connection.set_db_config(setting, value)?;
        }
        for (limit, value) in [
            (Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, value)?;
        }
        connection.execute_batch(&format!("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA cache_size = -{CACHE_KIB}"))?;
        let (deadline, is_stopped) = (Instant::now() + server.place.statement_time, Arc::clone(&self.is_stopped));
        connection.progress_handler(STEPS, Some(move || is_stopped.load(Ordering::Relaxed) || Instant::now() > deadline))
    }

    /// Runs statements of ours.
    pub(super) fn run(&self, sql: &str) -> Result<(), Error> {
        self.connection.execute_batch(sql).map_err(|error| classify(&self.site, &error, "statement", ""))
    }
}

/// What a statement may do in a source: read, and ask for the columns of a table.
fn only_reads(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => Authorization::Allow,
        // Begin and end of a snapshot; a caller's text is never a statement by itself.
        AuthAction::Transaction { .. } => Authorization::Allow,
        AuthAction::Function { function_name } if !matches!(function_name, "load_extension" | "fts3_tokenizer" | "sqlite_log") => {
            Authorization::Allow
        }
        AuthAction::Pragma { pragma_name: "table_list" | "table_info" | "table_xinfo" | "index_list" | "index_info", .. } => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

/// Runs what blocks on a thread that may. A panic inside, for which a damaged file would have to be the reason, is an error.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Error::Broken("a thread that works on a file").into()))
}

fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    match error {
        rusqlite::Error::SqliteFailure(code, _) => Some(code.code),
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        _ => None,
    }
}

/// An error of the library as ours.
pub(super) fn classify(site: &Site, error: &rusqlite::Error, what: &'static str, pointer: &'static str) -> Error {
    let site = site.clone();
    let reason = match error {
        rusqlite::Error::SqliteFailure(code, message) => shown(message.as_deref().unwrap_or(&code.to_string())),
        rusqlite::Error::SqlInputError { msg, .. } => shown(msg),
        rusqlite::Error::MultipleStatement => "it has several statements".to_owned(),
        rusqlite::Error::Empty => "it is empty".to_owned(),
        _ => return Error::Broken("a call of SQLite"),
    };
    let refused = |reason: String| Error::Refused { site: site.clone(), what, reason, pointer };
    match code(error) {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            Error::Busy { site, reason: format!("{reason} ('busyTimeoutMs' is how long to wait)") }
        }
        Some(ErrorCode::DiskFull) => Error::Busy { site, reason: "the disk is full".to_owned() },
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Error::Lost { site, reason },
        Some(ErrorCode::OperationInterrupted) => refused("it took too long ('statementTimeoutMs' is the limit)".to_owned()),
        Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => refused(format!("a source only reads: {reason}")),
        Some(ErrorCode::ConstraintViolation) => Error::Constraint { site, table: "the target".to_owned(), reason },
        Some(ErrorCode::TooBig) => Error::Value { place: site.to_string(), reason },
        Some(ErrorCode::TypeMismatch) => Error::Value { place: site.to_string(), reason },
        _ => match reason.strip_prefix("no such table: ") {
            Some(name) => Error::Missing { site, what: "table", name: name.to_owned(), pointer },
            None => refused(reason),
        },
    }
}
