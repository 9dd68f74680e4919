//! What a call can fail with, seen by its caller: sign in, mend the request, try later, or nothing to be done.
//!
//! One `match` says status, code and sentence. The error itself rides along on the response, where `trace` finds it and logs it
//! once. No text of the service behind us ever reaches a caller.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use azure_communication::ErrorKind;
use entra_jwt::{Invalid, NoKeys};

use crate::identities::StoreError;

/// A failed call.
#[derive(Debug)]
pub enum Error {
    /// Nobody is signed in. What signing in is needed for.
    Unauthenticated(&'static str),
    /// Somebody brought an access token that is not good.
    InvalidToken(Invalid),
    /// Somebody brought one that is good, but not for this: the scope that it lacks.
    InsufficientScope(&'static str),
    /// Whether one is good cannot be told, and may be tried again after this.
    NoKeys(NoKeys, Duration),
    /// The message cannot be sent as it is: the field, and what it must be.
    InvalidMessage(&'static str, &'static str),
    /// The path is not a path.
    InvalidPath,
    /// The body is larger than any message.
    TooLarge,
    /// The body is not said to be JSON.
    UnsupportedMediaType,
    /// There is nothing at this path.
    NotFound,
    /// There is something at this path, but not for this method.
    MethodNotAllowed,
    /// Settings that are missing or wrong, by name.
    NotConfigured(Arc<[&'static str]>),
    /// The host sends envelopes instead of requests.
    NotForwarded,
    /// Something is off unless a setting is set: its name.
    Disabled(&'static str),
    /// The request cannot be done as it is: the field, and what it must be.
    InvalidRequest(&'static str, &'static str),
    /// The request asks for more than it may: the field, and what it may be.
    NotAllowed(&'static str, &'static str),
    /// Somebody asks too often, and may again after this.
    RateLimited(Duration),
    /// Others stood in line before, and for too long.
    Overloaded,
    /// The service behind us failed.
    Upstream(azure_signalr::Error),
    /// Azure Communication Services failed.
    Communication(azure_communication::Error),
    /// The store of identities failed.
    Store(StoreError),
    /// A bug: what the panic said.
    Panicked(String),
}

/// How long to wait where nobody told us: the service needs a moment, not a minute.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(2);

impl Error {
    /// Status, code and sentence.
    fn answer(&self) -> (StatusCode, &'static str, String) {
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
            Self::NoKeys(..) => (
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
            Self::RateLimited(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "throttled", "You ask too often; try again later.")
            }
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
            Self::Panicked(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong here; the log says what.",
            ),
        };
        (status, code, sentence.to_owned())
    }

    /// The stable code, for the caller and for the log.
    pub(crate) fn code(&self) -> &'static str {
        let (_, code, _) = self.answer();
        code
    }

    /// What was asked of the service before it came to this.
    pub(crate) fn tries(&self) -> &[azure_signalr::Try] {
        match self {
            Self::Upstream(cause) => cause.tries(),
            _ => &[],
        }
    }

    /// What is wrong with a token that was brought, for programs: RFC 6750, section 3.
    fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::InvalidToken(_) => Some(r#"Bearer error="invalid_token""#),
            Self::InsufficientScope(_) => Some(r#"Bearer error="insufficient_scope""#),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(wait) | Self::NoKeys(_, wait) => Some(*wait),
            Self::Upstream(cause) if cause.is_retryable() => {
                Some(cause.retry_after().unwrap_or(DEFAULT_RETRY_AFTER))
            }
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
        Some(429) => (
            StatusCode::TOO_MANY_REQUESTS,
            "throttled",
            "Too many messages for the service just now; try again later.",
        ),
        _ if cause.is_timeout() => (
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "The SignalR service did not answer in time; try again.",
        ),
        _ if cause.is_retryable() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "The SignalR service is away for the moment; try again later.",
        ),
        _ => (
            StatusCode::BAD_GATEWAY,
            "upstream_rejected",
            "The SignalR service refused the call; whoever runs this app finds why in its log.",
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
        // Whoever gives out the tokens of our identity is away.
        ErrorKind::NoToken if cause.is_retryable() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Azure Communication Services cannot be called for the moment; try again later.",
        ),
        // Our key is wrong or what we ask for, not what the caller did.
        _ => (
            StatusCode::BAD_GATEWAY,
            "upstream_rejected",
            "Azure Communication Services refused the call; whoever runs this app finds why in its log.",
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
            told => {
                let (_, code, sentence) = told.answer();
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
            Self::NoKeys(cause, _) => Some(cause),
            _ => None,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code, message) = self.answer();
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
