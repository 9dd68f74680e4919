//! Everything a request can fail with, as status, code and sentence.
//!
//! The error is stored in the extensions of the response, from where the access log takes it. No text of an upstream service reaches a
//! caller.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use azure_communication::ErrorKind;
use entra_jwt::{InvalidToken, KeysUnavailable};

use crate::identities::StoreError;

/// A failed call.
#[derive(Debug)]
pub enum Error {
    /// The caller has to sign in first: for what.
    Unauthenticated(&'static str),
    /// The bearer token is not valid.
    InvalidToken(InvalidToken),
    /// The bearer token is valid and lacks this scope.
    InsufficientScope(&'static str),
    /// The bearer token cannot be validated at the moment; when to try again.
    KeysUnavailable(KeysUnavailable, Duration),
    /// A field of the message is invalid: the field, and its rule.
    InvalidMessage(&'static str, &'static str),
    /// The path has an invalid percent-encoding.
    InvalidPath,
    /// The body is too large.
    TooLarge,
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
    /// The caller has sent too many requests; when to try again.
    RateLimited(Duration),
    /// The request waited too long for others.
    Overloaded,
    /// The SignalR service failed.
    Upstream(azure_signalr::Error),
    /// Azure Communication Services failed.
    Communication(azure_communication::Error),
    /// The store of identities failed.
    Store(StoreError),
    /// A bug: the message of the panic.
    Panicked(String),
}

/// The `Retry-After` of failures for which the upstream service names none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(2);

impl Error {
    /// Status, code and sentence.
    fn parts(&self) -> (StatusCode, &'static str, String) {
        let (status, code, sentence) = match self {
            Self::Unauthenticated(what) => {
                let sentence = format!("Sign in to {what}.");
                return (StatusCode::UNAUTHORIZED, "unauthenticated", sentence);
            }
            Self::InvalidToken(why) => {
                let sentence = format!("The access token cannot be used: {why}.");
                return (StatusCode::UNAUTHORIZED, "unauthenticated", sentence);
            }
            Self::InsufficientScope(scope) => {
                let sentence = format!("Get an access token with the scope {scope}.");
                return (StatusCode::FORBIDDEN, "insufficient_scope", sentence);
            }
            Self::InvalidMessage(field, rule) => {
                return (StatusCode::BAD_REQUEST, "invalid_message", format!("The {field} {rule}."));
            }
            Self::InvalidRequest(field, rule) => {
                return (StatusCode::BAD_REQUEST, "invalid_request", format!("The {field} {rule}."));
            }
            Self::NotAllowed(field, rule) => {
                return (StatusCode::BAD_REQUEST, "not_allowed", format!("The {field} {rule}."));
            }
            Self::Disabled(name) => {
                let sentence = format!("This is off here; set {name} in the app's settings to turn it on.");
                return (StatusCode::NOT_FOUND, "not_found", sentence);
            }
            Self::NotConfigured(names) => {
                let sentence = format!("Set {} in the app's settings; the log says how.", names.join(", "));
                return (StatusCode::SERVICE_UNAVAILABLE, "not_configured", sentence);
            }
            Self::KeysUnavailable(..) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The access token cannot be checked just now; try again later.",
            ),
            Self::InvalidPath => {
                (StatusCode::BAD_REQUEST, "invalid_path", "Follow each `%` in the path with two hex digits.")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Send at most 64 KiB."),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send the body with `Content-Type: application/json`.",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is nothing at this path; try /api/negotiate or /api/messages.",
            ),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Use a method of the `Allow` header.")
            }
            Self::NotForwarded => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "not_forwarded",
                "Set `customHandler.enableForwardingHttpRequest` to true in host.json.",
            ),
            Self::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "throttled", "You ask too often; try again later."),
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Too many people are waiting just now; try again later.",
            ),
            Self::Upstream(cause) => upstream(cause),
            Self::Communication(cause) => communication(cause),
            Self::Store(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Who has which identity cannot be looked up just now; try again later.",
            ),
            Self::Panicked(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here; the log says what.")
            }
        };
        (status, code, sentence.to_owned())
    }

    /// The stable code, for the caller and for the log.
    pub(crate) fn code(&self) -> &'static str {
        let (_, code, _) = self.parts();
        code
    }

    /// The requests to the SignalR service that were made before the failure.
    pub(crate) fn tries(&self) -> &[azure_signalr::Attempt] {
        match self {
            Self::Upstream(cause) => cause.attempts(),
            _ => &[],
        }
    }

    /// The value of `WWW-Authenticate`: RFC 6750, section 3.
    fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::InvalidToken(_) => Some(r#"Bearer error="invalid_token""#),
            Self::InsufficientScope(_) => Some(r#"Bearer error="insufficient_scope""#),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(wait) | Self::KeysUnavailable(_, wait) => Some(*wait),
            Self::Upstream(cause) if cause.is_retryable() => Some(cause.retry_after().unwrap_or(DEFAULT_RETRY_AFTER)),
            Self::Communication(cause) if cause.is_retryable() => {
                Some(cause.retry_after().unwrap_or(DEFAULT_RETRY_AFTER))
            }
            Self::Store(cause) if cause.is_retryable() => Some(DEFAULT_RETRY_AFTER),
            Self::Overloaded => Some(DEFAULT_RETRY_AFTER),
            _ => None,
        }
    }
}

fn upstream(cause: &azure_signalr::Error) -> (StatusCode, &'static str, &'static str) {
    match cause.status() {
        Some(429) => {
            (StatusCode::TOO_MANY_REQUESTS, "throttled", "Too many messages for the service just now; try again later.")
        }
        _ if cause.is_timeout() => {
            (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "The SignalR service did not answer in time; try again.")
        }
        _ if cause.is_retryable() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "The SignalR service is away for the moment; try again later.",
        ),
        _ => (
            StatusCode::BAD_GATEWAY,
            "upstream_rejected",
            "The SignalR service refused the call; the reason is in the log of this app.",
        ),
    }
}

fn communication(cause: &azure_communication::Error) -> (StatusCode, &'static str, &'static str) {
    match cause.kind() {
        ErrorKind::Throttled => (
            StatusCode::TOO_MANY_REQUESTS,
            "throttled",
            "Too many tokens for Azure Communication Services just now; try again later.",
        ),
        ErrorKind::TimedOut => (
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "Azure Communication Services did not answer in time; try again.",
        ),
        ErrorKind::Unavailable | ErrorKind::Unreachable | ErrorKind::Interrupted => (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Azure Communication Services is away for the moment; try again later.",
        ),
        // The source of the identity's tokens is unavailable.
        ErrorKind::NoToken if cause.is_retryable() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Azure Communication Services cannot be called for the moment; try again later.",
        ),
        // The app's key or settings are wrong, not the request.
        _ => (
            StatusCode::BAD_GATEWAY,
            "upstream_rejected",
            "Azure Communication Services refused the call; the reason is in the log of this app.",
        ),
    }
}

impl From<azure_communication::Error> for Error {
    fn from(cause: azure_communication::Error) -> Self {
        Self::Communication(cause)
    }
}

impl From<StoreError> for Error {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

impl From<azure_signalr::Error> for Error {
    fn from(cause: azure_signalr::Error) -> Self {
        Self::Upstream(cause)
    }
}

/// For the log: what happened, not what to do about it. Causes are in `source()`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Upstream(cause) => cause.fmt(f),
            Self::Communication(cause) => cause.fmt(f),
            Self::Store(cause) => cause.fmt(f),
            other => {
                let (_, code, sentence) = other.parts();
                write!(f, "{code}: {sentence}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Upstream(cause) => cause.source(),
            Self::Communication(cause) => cause.source(),
            Self::KeysUnavailable(cause, _) => Some(cause),
            _ => None,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code, message) = self.parts();
        let body = Json(serde_json::json!({ "error": { "code": code, "message": message } }));
        let mut response = (status, body).into_response();
        if let Some(challenge) = self.challenge() {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(wait) = self.retry_after() {
            let seconds = HeaderValue::from(wait.as_secs().max(1));
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
