//! Everything a request can fail with, as status, code and sentence.
//!
//! The error is stored in the extensions of the response, from where the access log takes it. No text of an upstream service reaches a
//! caller.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use azure_communication::ErrorKind;
use entra_jwt::{InvalidToken, KeysUnavailable};

use crate::history::{self, HistoryError};
use crate::identities::StoreError;

/// A failed call. For the log, `Display` says what happened, not what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.log_text())]
pub enum Error {
    /// The caller has to sign in first: for what.
    Unauthenticated(&'static str),
    /// The request has principal headers of Easy Auth from which no user can be read: what cannot be read, without its value.
    UnreadablePrincipal(&'static str),
    /// Easy Auth has found a session without the name of its user.
    SessionWithoutName,
    /// The bearer token is not valid.
    InvalidToken(InvalidToken),
    /// The bearer token is valid and lacks this scope.
    InsufficientScope(&'static str),
    /// The bearer token cannot be validated at the moment; when to try again.
    KeysUnavailable(#[source] KeysUnavailable, Duration),
    /// A field of the message is invalid: the field, and its rule.
    InvalidMessage(&'static str, &'static str),
    /// The path has an invalid percent-encoding.
    InvalidPath,
    /// The body is too large.
    TooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The content type is not JSON.
    UnsupportedMediaType,
    /// No route has this path.
    NotFound,
    /// The route has no such method.
    MethodNotAllowed,
    /// Settings that are missing or wrong, by name.
    NotConfigured(Arc<[&'static str]>),
    /// The host does not forward requests: a setting in `host.json` is missing.
    NotForwarded,
    /// The feature is off until this setting is set.
    Disabled(&'static str),
    /// A field of the request is invalid: the field, and its rule.
    InvalidRequest(&'static str, &'static str),
    /// A field of the request asks for more than is allowed: the field, and its rule.
    NotAllowed(&'static str, &'static str),
    /// Nothing is kept until this setting is set.
    HistoryDisabled(&'static str),
    /// The position is none of the history that was asked for.
    InvalidCursor,
    /// The message to remove is another person's, or a guest's.
    NotSender,
    /// The history store failed or did not answer in time. What was to be stored may have been.
    HistoryUnavailable(#[source] history::StoreError),
    /// There is no such room, or none that this caller may enter.
    UnknownRoom,
    /// The connection to enter a room with does not exist.
    UnknownConnection,
    /// The caller has sent too many requests; when to try again.
    RateLimited(Duration),
    /// Too many calls are running, or the request waited too long for others.
    Overloaded,
    /// The SignalR service failed.
    #[error(transparent)]
    Upstream(#[from] azure_signalr::Error),
    /// Azure Communication Services failed.
    #[error(transparent)]
    Communication(#[from] azure_communication::Error),
    /// The store of identities failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bug: the message of the panic.
    #[error("panicked: {0}")]
    Panicked(String),
}

/// The `Retry-After` of failures for which the upstream service names none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(2);

impl Error {
    /// Status, code and sentence.
    fn parts(&self) -> (u16, &'static str, String) {
        let (status, code, sentence) = match self {
            Self::Unauthenticated(what) => return (401, "unauthenticated", format!("Sign in to {what}.")),
            Self::UnreadablePrincipal(_) => {
                (401, "unauthenticated", "Sign in again, or with another account: this sign-in names no user.")
            }
            Self::SessionWithoutName => {
                (401, "session_without_name", "Sign in again: your session no longer says who you are.")
            }
            Self::InvalidToken(why) => {
                return (401, "unauthenticated", format!("The access token cannot be used: {why}."));
            }
            Self::InsufficientScope(scope) => {
                return (403, "insufficient_scope", format!("Get an access token with the scope {scope}."));
            }
            Self::InvalidMessage(field, rule) => return (400, "invalid_message", format!("The {field} {rule}.")),
            Self::InvalidRequest(field, rule) => return (400, "invalid_request", format!("The {field} {rule}.")),
            Self::NotAllowed(field, rule) => return (400, "not_allowed", format!("The {field} {rule}.")),
            Self::Disabled(name) => {
                let sentence = format!("This is off here; set {name} in the app's settings to turn it on.");
                return (404, "not_found", sentence);
            }
            Self::NotConfigured(names) => {
                let sentence = format!("Set {} in the app's settings; the log says how.", names.join(", "));
                return (503, "not_configured", sentence);
            }
            Self::KeysUnavailable(..) => {
                (503, "unavailable", "The access token cannot be checked just now; try again later.")
            }
            Self::InvalidPath => (400, "invalid_path", "Follow each `%` in the path with two hex digits."),
            Self::TooLarge => (413, "too_large", "Send at most 64 KiB."),
            Self::BodyTimeout => (408, "request_timeout", "The body did not arrive in time; send it again."),
            Self::UnsupportedMediaType => {
                (415, "unsupported_media_type", "Send the body with `Content-Type: application/json`.")
            }
            Self::HistoryDisabled(name) => {
                let sentence = format!("This is not kept here; set {name} in the app's settings to keep it.");
                return (404, "history_disabled", sentence);
            }
            Self::InvalidCursor => {
                (400, "invalid_cursor", "There is no such position in this history; read its newest page.")
            }
            Self::NotSender => (403, "not_sender", "Only the person who sent a message can remove it."),
            Self::HistoryUnavailable(_) => (
                503,
                "history_unavailable",
                "The history cannot be used just now; try again later, and send a message again with the same id.",
            ),
            Self::UnknownRoom => (404, "unknown_room", "There is no such room here; /api/rooms lists those there are."),
            Self::UnknownConnection => (
                404,
                "unknown_connection",
                "This connection has ended; connect again, and enter the room with the new one.",
            ),
            Self::NotFound => (404, "not_found", "There is nothing at this path; try /api/negotiate or /api/messages."),
            Self::MethodNotAllowed => (405, "method_not_allowed", "Use a method of the `Allow` header."),
            Self::NotForwarded => {
                (500, "not_forwarded", "Set `customHandler.enableForwardingHttpRequest` to true in host.json.")
            }
            Self::RateLimited(wait) => {
                let sentence = format!("There were too many requests; try again in {} s.", whole_seconds(*wait));
                return (429, "rate_limited", sentence);
            }
            Self::Overloaded => (503, "unavailable", "Too many people are waiting just now; try again later."),
            Self::Upstream(cause) => upstream(cause),
            Self::Communication(cause) => communication(cause),
            Self::Store(cause) if cause.is_retryable() => {
                (503, "unavailable", "Who has which identity cannot be looked up just now; try again later.")
            }
            Self::Store(_) => {
                let sentence =
                    "Who has which identity cannot be looked up until this app is corrected; the log says how.";
                (500, "identity_store_failed", sentence)
            }
            Self::Panicked(_) => (500, "internal", "Something went wrong here; the log says what."),
        };
        (status, code, sentence.to_owned())
    }

    /// The stable code, for the caller and for the log.
    pub(crate) fn code(&self) -> &'static str {
        self.parts().1
    }

    fn log_text(&self) -> String {
        let (_, code, sentence) = self.parts();
        match self {
            Self::UnreadablePrincipal(what) => {
                format!("{code}: there are principal headers, and {what} cannot be read from them")
            }
            Self::SessionWithoutName => format!(
                "{code}: the token store of Easy Auth has no name for this session; it must be on, and the same for all instances"
            ),
            _ => format!("{code}: {sentence}"),
        }
    }

    /// The requests to the SignalR service that were made before the failure.
    pub(crate) fn tries(&self) -> &[azure_signalr::Attempt] {
        match self {
            Self::Upstream(cause) => cause.attempts(),
            _ => &[],
        }
    }

    /// The value of `WWW-Authenticate`, in the form of RFC 6750, section 3: at least one parameter, and an error only for a token that
    /// was sent.
    ///
    /// Every 401 needs one (RFC 9110, section 15.5.2). It is `Bearer` with and without `AzureAd__…` settings, because App Service
    /// authentication takes the same tokens and challenges in the same way. Browsers show no dialog for it.
    fn challenge(&self, status: StatusCode) -> Option<&'static str> {
        match self {
            Self::InvalidToken(_) => Some(r#"Bearer error="invalid_token""#),
            Self::InsufficientScope(_) => Some(r#"Bearer error="insufficient_scope""#),
            _ => (status == StatusCode::UNAUTHORIZED).then_some(r#"Bearer realm="chat""#),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(wait) | Self::KeysUnavailable(_, wait) => Some(*wait),
            Self::Upstream(cause) if cause.is_retryable() => cause.retry_after().or(Some(DEFAULT_RETRY_AFTER)),
            Self::Communication(cause) if cause.is_retryable() => cause.retry_after().or(Some(DEFAULT_RETRY_AFTER)),
            Self::Store(cause) if cause.is_retryable() => Some(DEFAULT_RETRY_AFTER),
            Self::HistoryUnavailable(history::StoreError::Throttled(Some(wait))) => Some(*wait),
            Self::Overloaded | Self::HistoryUnavailable(_) => Some(DEFAULT_RETRY_AFTER),
            _ => None,
        }
    }
}

impl From<HistoryError> for Error {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::InvalidCursor => Self::InvalidCursor,
            HistoryError::NotSender => Self::NotSender,
            HistoryError::Unavailable(error) => Self::HistoryUnavailable(error),
        }
    }
}

/// Rounded up, so that a caller who waits as long has waited long enough; at least 1.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn upstream(cause: &azure_signalr::Error) -> (u16, &'static str, &'static str) {
    match cause.status() {
        Some(429) => (429, "throttled", "Too many messages for the service just now; try again later."),
        _ if cause.is_timeout() => (504, "upstream_timeout", "The SignalR service did not answer in time; try again."),
        _ if cause.is_retryable() => {
            (503, "unavailable", "The SignalR service is away for the moment; try again later.")
        }
        _ => (502, "upstream_rejected", "The SignalR service refused the call; the reason is in the log of this app."),
    }
}

fn communication(cause: &azure_communication::Error) -> (u16, &'static str, &'static str) {
    use ErrorKind::{Interrupted, NoToken, Throttled, TimedOut, Unavailable, Unreachable};
    match cause.kind() {
        Throttled => (429, "throttled", "Too many tokens for Azure Communication Services just now; try again later."),
        TimedOut => (504, "upstream_timeout", "Azure Communication Services did not answer in time; try again."),
        Unavailable | Unreachable | Interrupted => {
            (503, "unavailable", "Azure Communication Services is away for the moment; try again later.")
        }
        // The source of the identity's tokens is unavailable.
        NoToken if cause.is_retryable() => {
            (503, "unavailable", "Azure Communication Services cannot be called for the moment; try again later.")
        }
        // The app's key or settings are wrong, not the request.
        _ => {
            let sentence = "Azure Communication Services refused the call; the reason is in the log of this app.";
            (502, "upstream_rejected", sentence)
        }
    }
}

/// The messages of an error and its causes.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let (mut message, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code, message) = self.parts();
        let status = StatusCode::from_u16(status).expect("a status of HTTP");
        let body = Json(serde_json::json!({ "error": { "code": code, "message": message } }));
        let mut response = (status, body).into_response();
        if let Some(challenge) = self.challenge(status) {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(wait) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, whole_seconds(wait).into());
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_in_whole_seconds_and_never_too_short() {
        for (milliseconds, expected) in
            [(0, "1"), (1, "1"), (999, "1"), (1_000, "1"), (1_001, "2"), (1_999, "2"), (2_000, "2"), (59_500, "60")]
        {
            let response = Error::RateLimited(Duration::from_millis(milliseconds)).into_response();
            assert_eq!(response.headers()[RETRY_AFTER], expected, "{milliseconds}");
        }
    }
}
