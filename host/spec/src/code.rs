//! Stable error codes, and whom each one blames. HTTP statuses do not live here: only `azora-api` knows HTTP.

use std::fmt;

/// Who has to act for the work to succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The request, its data or its lambda is wrong; the same request fails again.
    Caller,
    /// An uploaded component broke its contract or a limit.
    Plugin,
    /// The server or something it depends on failed; a retry may succeed.
    System,
}

impl Blame {
    /// The word used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Plugin => "plugin",
            Self::System => "system",
        }
    }
}

macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $name:ident = $text:literal, $blame:ident; )*) => {
        /// A stable name for one kind of failure. Names are never changed or reused; new ones may be added.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $( $(#[doc = $doc])+ $name, )* }

        impl Code {
            /// Every code, in the order of the source.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )* ];

            /// The text used in JSON, logs and documentation.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )* }
            }

            /// What it means, in a sentence or two.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $( Self::$name => concat!($($doc),+).trim_ascii(), )* }
            }

            /// Who has to act.
            #[must_use]
            pub const fn blame(self) -> Blame {
                match self { $( Self::$name => Blame::$blame, )* }
            }

            /// The code of that text, if there is one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $( $text => Some(Self::$name), )* _ => None }
            }
        }
    };
}

codes! {
    /// The body is not the JSON that it should be.
    RequestSyntax = "request.syntax", Caller;
    /// A field is missing, unknown, or of the wrong type or range.
    RequestField = "request.field", Caller;
    /// The body is over its limit.
    RequestTooLarge = "request.too_large", Caller;
    /// The body nests deeper than the limit.
    RequestTooDeep = "request.too_deep", Caller;
    /// The body's media type is not one that the route takes.
    RequestMediaType = "request.media_type", Caller;
    /// No representation of the result matches `Accept`.
    RequestNotAcceptable = "request.not_acceptable", Caller;
    /// A web page of another site sent the request, or one that reached this server under a foreign name.
    RequestOrigin = "request.origin", Caller;
    /// The request did not arrive in time.
    RequestTimeout = "request.timeout", Caller;
    /// No such route.
    RouteUnknown = "route.unknown", Caller;
    /// The route exists, the method does not.
    RouteMethod = "route.method", Caller;
    /// A part of the contract that this version does not have.
    FeatureUnavailable = "feature.unavailable", Caller;
    /// `/spark/init` was not called.
    ContextMissing = "context.missing", Caller;
    /// An operation's name is not known.
    OperationUnknown = "operation.unknown", Caller;
    /// An operation cannot stand here, or not on these elements.
    OperationInvalid = "operation.invalid", Caller;
    /// The answer of an operation does not exist for an empty input (`reduce`, `first`, …).
    OperationEmpty = "operation.empty", Caller;
    /// Inline rows do not have one type.
    DataMixed = "data.mixed_types", Caller;
    /// A value cannot be read as what the schema says.
    DataInvalid = "data.invalid", Caller;
    /// A lambda is not valid JavaScript.
    LambdaSyntax = "lambda.syntax", Caller;
    /// A lambda is valid, but the types at hand do not fit it.
    LambdaType = "lambda.type", Caller;
    /// A lambda names a column or property that the input lacks.
    LambdaUnknownName = "lambda.unknown_name", Caller;
    /// Valid JavaScript that the compiler cannot take yet.
    LambdaUnsupported = "lambda.unsupported", Caller;
    /// A lambda is over a limit of size or depth.
    LambdaTooLarge = "lambda.too_large", Caller;
    /// Exact integer arithmetic left the range of Int64.
    LambdaOverflow = "lambda.overflow", Caller;
    /// A lambda threw.
    LambdaThrew = "lambda.threw", Caller;
    /// A lambda answered a value of another type than all values of the sample that its columns were made for.
    LambdaResultType = "lambda.result_type", Caller;
    /// A lambda ran into its time or memory limit.
    LambdaLimit = "lambda.limit", Caller;
    /// The SQL cannot be parsed.
    SqlSyntax = "sql.syntax", Caller;
    /// A statement or a part of SQL that is not available here.
    SqlUnsupported = "sql.unsupported", Caller;
    /// SQL that is over a limit of length.
    SqlTooLarge = "sql.too_large", Caller;
    /// SQL that nests deeper, or chains more operators, than the limits allow.
    SqlTooDeep = "sql.too_deep", Caller;
    /// SQL that can be parsed and makes no sense, such as a column that is neither grouped nor aggregated.
    SqlInvalid = "sql.invalid", Caller;
    /// An expression, a comparison or an argument has the wrong type.
    SqlType = "sql.type", Caller;
    /// A parameter of a query is missing, too much, or of no usable type.
    SqlParameter = "sql.parameter", Caller;
    /// No column of this name.
    ColumnUnknown = "column.unknown", Caller;
    /// More than one column has this name.
    ColumnAmbiguous = "column.ambiguous", Caller;
    /// No function of this name.
    FunctionUnknown = "function.unknown", Caller;
    /// Exact arithmetic left the range of its type.
    ArithmeticOverflow = "arithmetic.overflow", Caller;
    /// An integer or decimal was divided by zero.
    ArithmeticDivision = "arithmetic.division_by_zero", Caller;
    /// No plugin of this name, version or digest.
    PluginUnknown = "plugin.unknown", Caller;
    /// The plugin has no such function, or not of this kind.
    PluginFunctionUnknown = "plugin.function_unknown", Caller;
    /// The same name and version with other bytes is there already.
    PluginExists = "plugin.exists", Caller;
    /// A job that has not ended still uses the plugin.
    PluginInUse = "plugin.in_use", Caller;
    /// The upload is not a component.
    PluginNotComponent = "plugin.not_component", Caller;
    /// The component imports something that plugins may not have.
    PluginImport = "plugin.import", Caller;
    /// The component lacks an export, or one has the wrong type.
    PluginExport = "plugin.export", Caller;
    /// What `describe` answered is wrong.
    PluginManifest = "plugin.manifest", Caller;
    /// The upload is over a limit of size or shape.
    PluginTooLarge = "plugin.too_large", Caller;
    /// Compiling took more time or memory than allowed.
    PluginCompileLimit = "plugin.compile_limit", Caller;
    /// The engine refused to compile the component.
    PluginCompile = "plugin.compile", Caller;
    /// The function refuses these columns or this configuration.
    PluginRefused = "plugin.refused", Caller;
    /// The plugin, or the job for it, asks for a capability that the operator did not grant.
    PluginNotGranted = "plugin.not_granted", Caller;
    /// The guest trapped.
    PluginTrap = "plugin.trap", Plugin;
    /// A call ran longer than allowed.
    PluginTimeout = "plugin.timeout", Plugin;
    /// The guest asked for more memory than allowed.
    PluginMemory = "plugin.memory_limit", Plugin;
    /// The guest used up its stack.
    PluginStack = "plugin.stack_limit", Plugin;
    /// The guest called the host more often than allowed.
    PluginHostCalls = "plugin.host_call_limit", Plugin;
    /// The guest returned more rows or bytes than allowed.
    PluginOutputLimit = "plugin.output_limit", Plugin;
    /// What the guest returned contradicts its plan or is not valid Arrow data.
    PluginOutput = "plugin.output_invalid", Plugin;
    /// The function answered a failure of its own.
    PluginFailed = "plugin.failed", Plugin;
    /// No dataset of this name.
    DatasetUnknown = "dataset.unknown", Caller;
    /// Operations came without data and there is no last dataset.
    DatasetNone = "dataset.none", Caller;
    /// A dataset of this name is there already.
    DatasetExists = "dataset.exists", Caller;
    /// No connector of this type.
    ConnectorUnknown = "connector.unknown", Caller;
    /// A connector's configuration is wrong.
    ConnectorConfig = "connector.config", Caller;
    /// The server that a connector was told to use cannot be reached, or does not work for now.
    ConnectorUnavailable = "connector.unavailable", System;
    /// The server that a connector reached did not accept its user, password or key.
    ConnectorDenied = "connector.denied", Caller;
    /// The topic, table, bucket, key or address does not exist on the server that a connector reached.
    ConnectorMissing = "connector.missing", Caller;
    /// The server that a connector reached answered something that the connector cannot use.
    ConnectorAnswer = "connector.answer", Caller;
    /// What a connector needs for itself is in use: another job, or a consumer outside, reads for the same group.
    ConnectorBusy = "connector.busy", Caller;
    /// The operator does not allow connections to this address.
    NetworkRefused = "network.refused", Caller;
    /// No secret of this name.
    SecretUnknown = "secret.unknown", Caller;
    /// A record of a source cannot be read as a row.
    RecordBad = "record.bad", Caller;
    /// A job has more dead letters than are kept.
    DeadLettersLimit = "dead_letters.limit", Caller;
    /// A path is outside the configured roots.
    PathOutside = "path.outside_roots", Caller;
    /// A path does not exist.
    PathMissing = "path.missing", Caller;
    /// A path cannot be read or written.
    PathUnusable = "path.unusable", Caller;
    /// The sink's target is there already and the write mode is `error`.
    SinkExists = "sink.exists", Caller;
    /// A file is not of the format that it should be.
    FileFormat = "file.format", Caller;
    /// No job of this id.
    JobUnknown = "job.unknown", Caller;
    /// The job has not ended yet.
    JobNotFinished = "job.not_finished", Caller;
    /// The job ended without a result.
    JobNoResult = "job.no_result", Caller;
    /// The job was cancelled.
    JobCancelled = "job.cancelled", Caller;
    /// The job ran longer than its limit.
    JobTimeout = "job.timeout", Caller;
    /// The queue is full.
    JobQueueFull = "job.queue_full", System;
    /// The same idempotency key came with another request.
    IdempotencyMismatch = "idempotency.mismatch", Caller;
    /// The result is larger than an inline answer may be.
    ResultTooLarge = "result.too_large", Caller;
    /// The job needs more memory than it has, and cannot spill.
    MemoryLimit = "memory.limit", Caller;
    /// The disk is full.
    StorageFull = "storage.full", System;
    /// The server is shutting down.
    ServerDraining = "server.draining", System;
    /// Too many requests are in flight.
    ServerBusy = "server.busy", System;
    /// A defect of this software. The log has the details under the request's id.
    Internal = "internal", System;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn codes_are_unique_and_parse_back() {
        for (at, code) in Code::ALL.iter().enumerate() {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert!(Code::ALL[..at].iter().all(|other| other.as_str() != code.as_str()));
        }
    }
}
