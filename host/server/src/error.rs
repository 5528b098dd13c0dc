//! What can keep a server from starting.

use azora_spec::Failure;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What can keep a server from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {path}")]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{path} is not valid TOML: {reason}")]
    ConfigSyntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// Others could read the secrets.
    #[error("the secrets file {path} can be read by others; chmod 600 it")]
    SecretsOpen {
        /// The file.
        path: PathBuf,
    },
    /// The configuration file holds a name that means nothing.
    #[error("{path} sets '{key}', which is no setting{hint}")]
    ConfigUnknown {
        /// The file.
        path: PathBuf,
        /// The name.
        key: String,
        /// What may have been meant.
        hint: String,
    },
    /// A value that its setting cannot have.
    #[error("{origin} is '{value}': {expected} was expected")]
    ConfigValue {
        /// The flag, variable or file at fault, with the setting's name.
        origin: String,
        /// The value.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// Anybody on the network could run jobs.
    #[error("{address} can be reached from other machines, and there is no authentication; set --allow-remote if that is meant")]
    RemoteAddress {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file or directory of the server itself cannot be used.
    #[error("cannot use {path}")]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program that compiles uploads is not known.
    #[error("cannot find this program's own file, which compiles uploads")]
    Program {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A part of the server did not start.
    #[error("{part} did not start: {failure}")]
    Part {
        /// Which.
        part: &'static str,
        /// Why.
        failure: Failure,
    },
}

/// What starting answers.
pub type Result<T> = std::result::Result<T, Error>;
