//! Everything that can go wrong with a guest, and its stable code. Engine text stays in the sources and in the log.

use azora_spec::{Code, Digest, Failure};
use std::time::Duration;
use thiserror::Error;

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Who wrote the guest: it decides which code a fault has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Made from a lambda by the expression compiler.
    Lambda,
    /// Uploaded.
    Plugin,
}

/// What a failure of the guest's own says it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestCode {
    /// The data or the configuration is wrong.
    InvalidInput,
    /// The guest cannot do this by design.
    Unsupported,
    /// A number left its type's range.
    Overflow,
    /// Raised by the guest's own logic.
    User,
    /// A defect of the guest.
    Internal,
    /// Worth another try later.
    Retryable,
}

/// How a running guest failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// It trapped.
    #[error("{kind}{}", quoted(.said))]
    Trap {
        /// What kind of trap, in a few words.
        kind: &'static str,
        /// The last error that it logged, sanitised.
        said: Option<String>,
    },
    /// A call ran too long.
    #[error("a call ran longer than {} ms", .limit.as_millis())]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// It asked for more memory or table space than it may have.
    #[error("it needs more than the allowed {limit} {unit}")]
    Memory {
        /// The limit.
        limit: usize,
        /// Of what: `bytes of memory` or `table elements`.
        unit: &'static str,
    },
    /// It used up its stack.
    #[error("it used up its stack of {limit} bytes")]
    Stack {
        /// The limit.
        limit: usize,
    },
    /// It called the host too often in one call.
    #[error("it called the host more than {limit} times in one call")]
    HostCalls {
        /// The limit.
        limit: u64,
    },
    /// It returned too much.
    #[error("it returned more than {limit} {unit}")]
    OutputLimit {
        /// The limit.
        limit: usize,
        /// Of what: `bytes` or `rows`.
        unit: &'static str,
    },
    /// It had nothing for too long, though a job reads it to its end.
    #[error("it answered 'idle' for longer than {} s", .limit.as_secs())]
    Idle {
        /// The limit.
        limit: Duration,
    },
    /// What it returned is not what it promised, or is not valid.
    #[error("it returned {reason}")]
    Output {
        /// What is wrong, in our words.
        reason: String,
    },
    /// `open` said no.
    #[error("{message}")]
    Refused {
        /// About what.
        code: GuestCode,
        /// The guest's words, sanitised.
        message: String,
    },
    /// A call answered a failure.
    #[error("{message}")]
    Failed {
        /// About what.
        code: GuestCode,
        /// The guest's words, sanitised.
        message: String,
        /// The row of the batch in hand.
        row: Option<u64>,
    },
}

fn quoted(said: &Option<String>) -> String {
    said.as_ref().map(|text| format!("; the last error it logged: {text}")).unwrap_or_default()
}

/// What can go wrong in the sandbox.
#[derive(Debug, Error)]
pub enum Error {
    /// The bytes are not a component.
    #[error("the upload is not a WebAssembly component: {reason}")]
    NotComponent {
        /// Why.
        reason: String,
    },
    /// A component is over a limit of size or shape.
    #[error("the component has more {what} than the allowed {limit}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A component imports what no plugin may have.
    #[error("the component imports '{name}', which plugins may not have")]
    Import {
        /// The import.
        name: String,
    },
    /// A component imports something of ours with another type.
    #[error("the component imports '{name}' with another type than the host's")]
    ImportType {
        /// The import.
        name: String,
    },
    /// A component lacks an export, or has it with another type.
    #[error("the component's export '{name}' {reason}")]
    Export {
        /// The export.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `describe` answered something wrong.
    #[error("the plugin's manifest is wrong: {field} {reason}")]
    Manifest {
        /// Which part.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Compiling met a limit.
    #[error("compiling the component took more {what} than allowed")]
    CompileLimit {
        /// Which limit.
        what: &'static str,
    },
    /// The compiler said no.
    #[error("the component cannot be compiled: {reason}")]
    Compile {
        /// Why.
        reason: String,
    },
    /// No function of this name, or not one for rows.
    #[error("the plugin has no function '{function}'{}", list(.offered))]
    FunctionUnknown {
        /// The name asked for.
        function: String,
        /// The names there are.
        offered: Vec<String>,
    },
    /// A column of this type cannot cross into a guest.
    #[error("column '{column}' of type {data_type} cannot be handed to a function")]
    ColumnType {
        /// The column.
        column: String,
        /// Its type.
        data_type: String,
    },
    /// The guest needs something that was not granted.
    #[error("the plugin needs the capability '{capability}'{}, which was not granted", for_what(.what))]
    Capability {
        /// Its name.
        capability: &'static str,
        /// Which part of it: a host, a secret. Empty for all of it.
        what: String,
    },
    /// A function of a plugin needs a capability; only connectors can have any.
    #[error("the plugin imports '{capability}', so its functions cannot run")]
    Impure {
        /// Its name.
        capability: &'static str,
    },
    /// No connector of this name, or not one of this kind.
    #[error("the plugin has no {kind} '{connector}'{}", list(.offered))]
    ConnectorUnknown {
        /// `source` or `sink`.
        kind: &'static str,
        /// The name asked for.
        connector: String,
        /// The names there are.
        offered: Vec<String>,
    },
    /// The guest failed.
    #[error("the {} failed{}: {fault}", guest(.origin), in_call(.call))]
    Guest {
        /// Who wrote it.
        origin: Origin,
        /// The exported function it failed in.
        call: &'static str,
        /// How.
        fault: Fault,
    },
    /// The caller cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// No bytes of this digest.
    #[error("no component {digest}")]
    Unknown {
        /// The digest.
        digest: Digest,
    },
    /// All instances are in use.
    #[error("all instances of the sandbox are in use; run less at the same time or raise their number")]
    Busy,
    /// A batch does not fit the plan it was given to: a defect of the caller.
    #[error("a batch does not fit its plan: {reason}")]
    Input {
        /// How.
        reason: String,
    },
    /// A file of the cache, or the compiler's process, failed.
    #[error("{action} failed")]
    Io {
        /// What was being done.
        action: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The engine refused something it should not.
    #[error("{action} failed in the engine")]
    Engine {
        /// What was being done.
        action: &'static str,
        /// Why; for the log only.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) }
}

fn for_what(what: &str) -> String {
    if what.is_empty() { String::new() } else { format!(" for '{what}'") }
}

const fn guest(origin: &Origin) -> &'static str {
    match origin {
        Origin::Lambda => "lambda",
        Origin::Plugin => "plugin",
    }
}

fn in_call(call: &str) -> String {
    if call.is_empty() { String::new() } else { format!(" in {call}") }
}

impl Error {
    /// An engine's error, kept for the log.
    pub(crate) fn engine(action: &'static str, error: wasmtime::Error) -> Self {
        Self::Engine { action, source: error.into() }
    }

    /// Whether the guest says that another try may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Guest { fault: Fault::Refused { code: GuestCode::Retryable, .. } | Fault::Failed { code: GuestCode::Retryable, .. }, .. }
        )
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotComponent { .. } => Code::PluginNotComponent,
            Self::TooLarge { .. } => Code::PluginTooLarge,
            Self::Import { .. } | Self::ImportType { .. } => Code::PluginImport,
            Self::Export { .. } => Code::PluginExport,
            Self::Manifest { .. } => Code::PluginManifest,
            Self::CompileLimit { .. } => Code::PluginCompileLimit,
            Self::Compile { .. } => Code::PluginCompile,
            Self::FunctionUnknown { .. } => Code::PluginFunctionUnknown,
            Self::ColumnType { .. } => Code::PluginRefused,
            Self::Capability { .. } | Self::Impure { .. } => Code::PluginNotGranted,
            Self::ConnectorUnknown { .. } => Code::ConnectorUnknown,
            Self::Guest { origin: Origin::Lambda, fault, .. } => lambda_code(fault),
            Self::Guest { origin: Origin::Plugin, fault, .. } => plugin_code(fault),
            Self::Cancelled => Code::JobCancelled,
            Self::Unknown { .. } => Code::PluginUnknown,
            Self::Busy => Code::MemoryLimit,
            Self::Input { .. } | Self::Io { .. } | Self::Engine { .. } => Code::Internal,
        }
    }
}

const fn lambda_code(fault: &Fault) -> Code {
    match fault {
        Fault::Timeout { .. }
        | Fault::Memory { .. }
        | Fault::Stack { .. }
        | Fault::HostCalls { .. }
        | Fault::OutputLimit { .. }
        | Fault::Idle { .. } => Code::LambdaLimit,
        Fault::Failed { code, .. } | Fault::Refused { code, .. } => match code {
            GuestCode::Overflow => Code::LambdaOverflow,
            GuestCode::User | GuestCode::InvalidInput => Code::LambdaThrew,
            GuestCode::Unsupported => Code::LambdaUnsupported,
            GuestCode::Internal | GuestCode::Retryable => Code::Internal,
        },
        // The compiler is ours, so is the fault.
        Fault::Trap { .. } | Fault::Output { .. } => Code::Internal,
    }
}

const fn plugin_code(fault: &Fault) -> Code {
    match fault {
        Fault::Trap { .. } => Code::PluginTrap,
        Fault::Timeout { .. } | Fault::Idle { .. } => Code::PluginTimeout,
        Fault::Memory { .. } => Code::PluginMemory,
        Fault::Stack { .. } => Code::PluginStack,
        Fault::HostCalls { .. } => Code::PluginHostCalls,
        Fault::OutputLimit { .. } => Code::PluginOutputLimit,
        Fault::Output { .. } => Code::PluginOutput,
        Fault::Refused { code: GuestCode::Retryable, .. } | Fault::Failed { code: GuestCode::Retryable, .. } => Code::ConnectorUnavailable,
        Fault::Refused { .. } => Code::PluginRefused,
        Fault::Failed { .. } => Code::PluginFailed,
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let code = error.code();
        let failure = if code == Code::Internal {
            tracing::error!(error = error as &dyn std::error::Error, "sandbox failure");
            Self::new(code, "the sandbox failed; the server's log says why")
        } else {
            Self::new(code, error.to_string())
        };
        match error {
            Error::Guest { fault: Fault::Failed { row: Some(row), .. }, .. } => failure.row(*row),
            Error::Import { .. } => failure.hint("build without WASI; the imports that plugins may have are those of azora:plugin"),
            Error::Capability { .. } => failure.hint("the operator grants it by PUT /api/v1/plugins/{name}/{version}/grants"),
            Error::Impure { .. } => failure.hint("only connectors can be granted capabilities; put functions into a plugin of their own"),
            Error::NotComponent { .. } => failure.hint("wrap a core module with 'wasm-tools component new', or build with the guest SDK"),
            _ => failure,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}
