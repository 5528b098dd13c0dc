//! Failures on their way out: the status of every code, and the carrier that handlers return. How a problem looks as JSON
//! is in `render`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use azora_spec::{Code, Failure};

/// What handlers answer.
pub(crate) type Result<T = Response, E = Problem> = std::result::Result<T, E>;

/// A failure that ends a request. Its body is written by `render`, which knows the request.
#[derive(Debug, Clone)]
pub(crate) struct Problem(pub(crate) Failure);

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = status(&self.0).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The HTTP status of a failure. A plugin or dataset that a request's body names and that does not exist is a fault of the
/// body, not of the URL.
pub(crate) fn status(failure: &Failure) -> StatusCode {
    let status = status_of(failure.code);
    if status == StatusCode::NOT_FOUND && failure.pointer.is_some() { StatusCode::BAD_REQUEST } else { status }
}

const fn status_of(code: Code) -> StatusCode {
    match code {
        Code::RequestSyntax
        | Code::RequestField
        | Code::RequestTooDeep
        | Code::ContextMissing
        | Code::OperationUnknown
        | Code::OperationInvalid
        | Code::DataMixed
        | Code::LambdaSyntax
        | Code::LambdaType
        | Code::LambdaUnknownName
        | Code::LambdaUnsupported
        | Code::LambdaTooLarge
        | Code::SqlSyntax
        | Code::SqlUnsupported
        | Code::SqlTooDeep
        | Code::SqlInvalid
        | Code::SqlType
        | Code::SqlParameter
        | Code::ColumnUnknown
        | Code::ColumnAmbiguous
        | Code::FunctionUnknown
        | Code::PluginFunctionUnknown
        | Code::PluginRefused
        | Code::DatasetNone
        | Code::ConnectorUnknown
        | Code::ConnectorConfig
        | Code::SecretUnknown
        | Code::PathMissing
        | Code::PathUnusable => StatusCode::BAD_REQUEST,
        Code::PathOutside | Code::NetworkRefused | Code::RequestOrigin | Code::PluginNotGranted => StatusCode::FORBIDDEN,
        Code::RouteUnknown | Code::PluginUnknown | Code::DatasetUnknown | Code::JobUnknown => StatusCode::NOT_FOUND,
        Code::RouteMethod => StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestNotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::PluginExists
        | Code::PluginInUse
        | Code::DatasetExists
        | Code::SinkExists
        | Code::JobNotFinished
        | Code::JobNoResult
        | Code::JobCancelled
        | Code::ConnectorBusy => StatusCode::CONFLICT,
        Code::RequestTooLarge | Code::PluginTooLarge | Code::SqlTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::RequestMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::OperationEmpty
        | Code::DataInvalid
        | Code::ConnectorDenied
        | Code::ConnectorMissing
        | Code::ConnectorAnswer
        | Code::RecordBad
        | Code::DeadLettersLimit
        | Code::LambdaOverflow
        | Code::ArithmeticOverflow
        | Code::ArithmeticDivision
        | Code::LambdaThrew
        | Code::LambdaResultType
        | Code::LambdaLimit
        | Code::PluginNotComponent
        | Code::PluginImport
        | Code::PluginExport
        | Code::PluginManifest
        | Code::PluginCompileLimit
        | Code::PluginCompile
        | Code::PluginTrap
        | Code::PluginTimeout
        | Code::PluginMemory
        | Code::PluginStack
        | Code::PluginHostCalls
        | Code::PluginOutputLimit
        | Code::PluginOutput
        | Code::PluginFailed
        | Code::FileFormat
        | Code::JobTimeout
        | Code::IdempotencyMismatch
        | Code::ResultTooLarge
        | Code::MemoryLimit => StatusCode::UNPROCESSABLE_ENTITY,
        Code::JobQueueFull => StatusCode::TOO_MANY_REQUESTS,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::FeatureUnavailable => StatusCode::NOT_IMPLEMENTED,
        // A server that the caller chose: nothing of this one is broken, though another try may help.
        Code::ConnectorUnavailable => StatusCode::FAILED_DEPENDENCY,
        Code::ServerDraining | Code::ServerBusy => StatusCode::SERVICE_UNAVAILABLE,
        Code::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// The code for an error answer that some layer below made without a failure.
pub(crate) const fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::NOT_FOUND => Code::RouteUnknown,
        StatusCode::METHOD_NOT_ALLOWED => Code::RouteMethod,
        StatusCode::NOT_ACCEPTABLE => Code::RequestNotAcceptable,
        StatusCode::REQUEST_TIMEOUT => Code::RequestTimeout,
        StatusCode::PAYLOAD_TOO_LARGE => Code::RequestTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::RequestMediaType,
        _ if status.as_u16() < 500 => Code::RequestField,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::{status, status_of};
    use azora_spec::{Blame, Code, Failure};

    #[test]
    fn only_the_systems_own_faults_are_server_errors() {
        for code in Code::ALL.iter().filter(|code| **code != Code::FeatureUnavailable) {
            let is_fault = status_of(*code).is_server_error() || matches!(code, Code::JobQueueFull | Code::ConnectorUnavailable);
            assert_eq!(is_fault, code.blame() == Blame::System, "{code}");
        }
    }

    #[test]
    fn a_body_that_names_what_is_not_there_is_a_bad_request() {
        let failure = Failure::new(Code::PluginUnknown, "no plugin 'geo'");
        assert_eq!(status(&failure).as_u16(), 404);
        assert_eq!(status(&failure.at("/operations/0/plugin")).as_u16(), 400);
    }

    #[test]
    fn a_server_that_the_caller_named_and_that_is_down_is_no_fault_of_this_one() {
        assert_eq!(status_of(Code::ConnectorUnavailable).as_u16(), 424);
    }
}
