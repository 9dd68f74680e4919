//! The errors of the API: `ApiError` becomes an error response, `AuthError` says why a caller was rejected.
//!
//! Where the service has a published sentence, the body carries that sentence and the log a more precise one.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request that failed: status, code and message of the response, and a message for the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// The invalid field, spelled as the service spells it.
    target: Option<&'static str>,
    /// More about the error. It can quote the request, so it is not logged.
    detail: Option<Box<str>>,
    /// Logged in place of `message`.
    log_message: Option<Box<str>>,
    /// The value of `Allow`.
    allow: Option<&'static str>,
    /// The value of `Retry-After`, in seconds.
    retry_after: Option<u32>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), ..Self::default() }
    }

    /// A field with an invalid value.
    pub(crate) fn invalid(target: &'static str, message: impl Into<String>) -> Self {
        Self { target: Some(target), ..Self::malformed(message) }
    }

    /// A body that cannot be parsed. The service's table of errors also has 422; only 400 was recorded from it.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationError", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let message = format!("This path allows only the method {allow}.");
        let error = Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message);
        Self { allow: Some(allow), ..error }
    }

    /// A feature of the service that this emulator does not have; `feature` begins the sentence.
    pub(crate) fn not_emulated(feature: &str) -> Self {
        let message = format!("{feature}: the real service does this, this emulator does not.");
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotEmulated", message)
    }

    pub(crate) fn too_large(max_bytes: usize) -> Self {
        let message = format!("The body is larger than {max_bytes} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message)
    }

    pub(crate) fn body_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", "The body did not arrive in time.")
    }

    pub(crate) fn with_detail(self, detail: impl Into<Box<str>>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    pub(crate) fn with_log_message(self, message: impl Into<Box<str>>) -> Self {
        Self { log_message: Some(message.into()), ..self }
    }

    pub(crate) fn with_retry_after(self, seconds: Option<u32>) -> Self {
        Self { retry_after: seconds, ..self }
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The message for the log. It contains no key, token or id.
    pub(crate) fn log_message(&self) -> &str {
        self.log_message.as_deref().unwrap_or(&self.message)
    }

    fn body(&self) -> serde_json::Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(target) = self.target {
            error["target"] = target.into();
        }
        if let Some(detail) = &self.detail {
            error["details"] = json!([{"code": self.code, "message": detail}]);
        }
        json!({"error": error})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("HMAC-SHA256"));
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A rejected credential: the rule it breaks, what the rule expects, and what the request has. It contains no key, token or
/// signature.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("request rejected, rule `{rule}`: expected {expected}; got {actual}")]
pub(crate) struct AuthError {
    pub(crate) rule: &'static str,
    pub(crate) expected: String,
    pub(crate) actual: String,
    /// The credential is valid, but its bearer has no permission: 403.
    pub(crate) forbidden: bool,
    /// The sentence of the service for this error, where it is published.
    pub(crate) published_message: Option<&'static str>,
    /// The string that has to be signed. It quotes the request.
    pub(crate) string_to_sign: Option<String>,
}

impl AuthError {
    pub(crate) fn new(rule: &'static str, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        let (expected, actual) = (expected.into(), actual.into());
        Self { rule, expected, actual, forbidden: false, published_message: None, string_to_sign: None }
    }
}

/// The code is always `Denied`, as the service has it; only one of its messages is published.
impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let description = error.to_string();
        let status = if error.forbidden { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        match (error.published_message, error.string_to_sign) {
            (Some(published), _) => {
                Self::new(status, "Denied", published).with_log_message(description.as_str()).with_detail(description)
            }
            (None, Some(string_to_sign)) => {
                let detail = format!("The string to sign for this request: {string_to_sign:?}");
                Self::new(status, "Denied", description).with_detail(detail)
            }
            (None, None) => Self::new(status, "Denied", description),
        }
    }
}
