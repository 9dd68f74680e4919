//! Error responses: [`ApiError`] with its status, code and message, and [`AuthError`] for tokens.

use std::error::Error;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_server::BodyTimeout;
use serde_json::json;
use tracing::{debug, warn};

use crate::hub::InvalidHubName;

/// Carries the error code; a response to HEAD has nothing else.
const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// When a client that found no room for its connection should try again, in seconds.
const CONNECTION_RETRY_AFTER_SECONDS: u32 = 5;

/// Why a request failed: the status, code and message of its response.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// The invalid parameter.
    target: Option<&'static str>,
    /// The value of the `Allow` header.
    allow: Option<String>,
    /// The value of the `Retry-After` header, in seconds.
    retry_after: Option<u32>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), target: None, allow: None, retry_after: None }
    }

    pub(crate) fn invalid(target: &'static str, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "Error.Request.Invalid", message);
        Self { target: Some(target), ..error }
    }

    /// A 404 whose code tells callers that the resource is missing and the address right.
    pub(crate) fn absent(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(crate) fn method_not_allowed(allow: impl Into<String>, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message);
        Self { allow: Some(allow.into()), ..error }
    }

    /// 501 for a feature of Azure that the emulator does not have; `what` begins the sentence.
    pub(crate) fn not_emulated(what: &str) -> Self {
        let message = format!("{what}: the real service does this, this emulator does not");
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotEmulated", message)
    }

    pub(crate) fn too_many_connections() -> Self {
        let message = "the emulator holds as many connections as it may (`max_connections`)";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyConnections", message);
        Self { retry_after: Some(CONNECTION_RETRY_AFTER_SECONDS), ..error }
    }

    pub(crate) fn too_many_groups(who: &str) -> Self {
        let message = format!("{who} is in as many groups as the emulator allows, or all users together are");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyGroups", message)
    }

    /// 408, if `error` is that a body did not arrive in time.
    pub(crate) fn body_timeout(error: &(dyn Error + 'static)) -> Option<Self> {
        let message = "the body did not arrive in time";
        BodyTimeout::is_cause_of(error).then(|| Self::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", message))
    }

    pub(crate) fn closing() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Closing", "the emulator is shutting down")
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// A JSON body, as the REST API has it since 2020-10-01.
    pub(crate) fn into_json(self) -> Response {
        let mut body = json!({"code": self.code, "message": self.message});
        if let Some(target) = self.target {
            body["target"] = target.into();
        }
        self.respond(Json(body))
    }

    /// A plain text body, as client endpoints and REST v1 have it.
    pub(crate) fn into_text(self) -> Response {
        let message = self.message.clone();
        self.respond(message)
    }

    fn respond(self, body: impl IntoResponse) -> Response {
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(ERROR_CODE, HeaderValue::from_static(self.code));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(Ok(allow)) = self.allow.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::ALLOW, allow);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let (status, code) = match error.rule {
            ROLE => (StatusCode::FORBIDDEN, "Forbidden"),
            _ => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<InvalidHubName> for ApiError {
    fn from(invalid: InvalidHubName) -> Self {
        Self::invalid(invalid.parameter, invalid.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.into_text()
    }
}

/// Middleware: logs every error response. Leaves out the query, which may hold an access token.
pub(crate) async fn log_errors(request: Request, next: Next) -> Response {
    let (method, path): (Method, _) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    if let Some(ApiError { status, message, .. }) = response.extensions().get() {
        let status = status.as_u16();
        if status == 404 {
            debug!(%method, path, status, "{method} {path:?} answered {status}: {message}");
        } else {
            warn!(%method, path, status, "{method} {path:?} answered {status}: {message}");
        }
    }
    response
}

/// The rule that a signature must match.
pub(crate) const SIGNATURE: &str = "signature";
/// The rule that an identity needs a role.
const ROLE: &str = "role";

/// An access token was rejected: by which rule, what it expected, and what it found. Holds neither token nor key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("access token refused, rule `{rule}`: expected {expected}; found {found}")]
pub(crate) struct AuthError {
    pub(crate) rule: &'static str,
    expected: String,
    found: String,
}

impl AuthError {
    pub(crate) fn new(rule: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { rule, expected: expected.into(), found: found.into() }
    }

    /// The token is valid, but its identity has no role on the service.
    pub(crate) fn forbidden(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(ROLE, expected, found)
    }
}
