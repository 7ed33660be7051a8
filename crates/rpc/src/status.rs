//! Errors to statuses and back (spec/surface.md §7).

use base::{Category, Coded, ErrorCode};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Names one request in errors and logs: a submission id or a trace id.
#[derive(Debug, Clone, Default)]
pub struct CorrelationId(pub Option<String>);

/// A whole status must fit into 4 KiB, so texts and context values are cut.
const MAX_TEXT_BYTES: usize = 2000;
const MAX_CONTEXT_BYTES: usize = 256;

/// Clients recognise hidden errors by the beginning of this sentence.
const SECURITY_SENSITIVE: &str = "An error occurred. Please contact the operator and inquire about the request";

/// What a client gets to see of `error`.
pub fn status(error: &dyn Coded, correlation: &CorrelationId) -> Status {
    let code = error.code();
    let id = correlation.0.as_deref();
    if code.category.is_security_sensitive() {
        tracing::warn!(code = code.id, correlation = id, "{}", with_causes(error));
        let text = format!("{SECURITY_SENSITIVE} {} with tid <no-tid>", id.unwrap_or("<no-correlation-id>"));
        return match id {
            Some(id) => Status::with_error_details(grpc_code(code), text, ErrorDetails::with_request_info(id, "")),
            None => Status::new(grpc_code(code), text),
        };
    }
    let short: String = id.map_or_else(|| "0".into(), |id| id.chars().take(8).collect());
    let text = cut(&with_causes(error), MAX_TEXT_BYTES);
    let mut metadata: std::collections::HashMap<String, String> =
        error.context().into_iter().map(|(k, v)| (k.to_owned(), cut(&v, MAX_CONTEXT_BYTES))).collect();
    metadata.insert("category".into(), code.category.number().to_string());
    metadata.insert("definite_answer".into(), error.definite_answer().to_string());
    let mut details = ErrorDetails::with_error_info(code.id, "", metadata);
    if let Some(id) = id {
        details.set_request_info(id, "");
    }
    if let Some(delay) = code.category.retry_after() {
        details.set_retry_info(Some(delay));
    }
    let message = format!("{}({},{short}): {text}", code.id, code.category.number());
    Status::with_error_details(grpc_code(code), message, details)
}

/// For a method that is not built: says which.
pub fn unimplemented(method: &str) -> Status {
    Status::unimplemented(format!("{method} is not implemented"))
}

fn with_causes(error: &dyn Coded) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text = format!("{text}: {inner}");
        }
        cause = error.source();
    }
    text
}

fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    format!("{}…", &text[..end])
}

fn grpc_code(code: ErrorCode) -> Code {
    match code.category {
        Category::TransientServerFailure => Code::Unavailable,
        Category::ContentionOnSharedResources => Code::Aborted,
        Category::DeadlineExceededRequestStateUnknown => Code::DeadlineExceeded,
        Category::SystemInternalAssumptionViolated | Category::BackgroundProcessDegradationWarning => Code::Internal,
        Category::SecurityAlert | Category::InvalidIndependentOfSystemState => Code::InvalidArgument,
        Category::InvalidAuthenticationCredentials => Code::Unauthenticated,
        Category::InsufficientPermission => Code::PermissionDenied,
        Category::InvalidGivenCurrentSystemState => Code::FailedPrecondition,
        Category::ResourceExists => Code::AlreadyExists,
        Category::ResourceMissing => Code::NotFound,
        Category::SeekAfterEnd => Code::OutOfRange,
        Category::InternalUnsupportedOperation => Code::Unimplemented,
    }
}

/// What a peer answered instead of a result.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The gRPC status code; a deadline that passed on our side counts as `DeadlineExceeded`.
    pub code: Code,
    /// The id of the catalogue, if the peer gave one.
    pub id: Option<String>,
    /// For people.
    pub message: String,
    /// When the peer says that trying again may help.
    pub retry_after: Option<Duration>,
    /// Whether the peer promises that the call has had no effect and will have none.
    pub is_definite_answer: bool,
}

impl RpcError {
    /// Whether the peer certainly did not carry out the call, so that its effect need not be feared.
    #[must_use]
    pub fn is_definite_refusal(&self) -> bool {
        self.id.is_some()
            && !matches!(
                self.code,
                Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal
            )
    }
}

impl From<Status> for RpcError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        // tonic reports a deadline that it enforces itself as cancelled.
        let code = match status.code() {
            Code::Cancelled if status.message().contains("Timeout expired") => Code::DeadlineExceeded,
            code => code,
        };
        let message = if status.message().is_empty() { format!("{code:?}") } else { status.message().to_owned() };
        Self {
            code,
            id: details.error_info().map(|i| i.reason.clone()),
            is_definite_answer: details
                .error_info()
                .is_some_and(|i| i.metadata.get("definite_answer").is_some_and(|answer| answer == "true")),
            retry_after: details.retry_info().and_then(|r| r.retry_delay),
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::codes;

    #[derive(Debug, thiserror::Error)]
    #[error("node is passive; ask the active replica")]
    struct Passive;
    impl Coded for Passive {
        fn code(&self) -> ErrorCode {
            codes::NODE_IS_PASSIVE_REPLICA
        }
        fn context(&self) -> Vec<(&'static str, String)> {
            vec![("node", "x".repeat(10_000))]
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the secret is hunter2")]
    struct Secret;
    impl Coded for Secret {
        fn code(&self) -> ErrorCode {
            codes::UNAUTHENTICATED
        }
    }

    #[test]
    fn carries_code_retry_and_context_within_4_kib() {
        let status = status(&Passive, &CorrelationId(Some("0123456789".into())));
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "NODE_IS_PASSIVE_REPLICA(1,01234567): node is passive; ask the active replica");
        assert!(status.details().len() + status.message().len() < 4096);
        let error = RpcError::from(status);
        assert_eq!(error.id.as_deref(), Some("NODE_IS_PASSIVE_REPLICA"));
        assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
        assert!(!error.is_definite_refusal());
    }

    #[test]
    fn hides_what_is_security_sensitive() {
        let status = status(&Secret, &CorrelationId(Some("corr".into())));
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(status.message().starts_with(SECURITY_SENSITIVE));
        assert!(!format!("{status:?}").contains("hunter2"));
        assert!(!format!("{status:?}").contains("UNAUTHENTICATED("));
    }
}
