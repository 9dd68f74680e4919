//! Every "no" of the service: status, code, and one sentence for the person who has to mend something.
//!
//! `http` writes it down in one place. Where the service words a sentence itself, the
//! body has its words and the log has ours.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was not served.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// The field at fault.
    target: Option<&'static str>,
    /// What a caller may need besides; it can quote the request, so it is not logged.
    detail: Option<Box<str>>,
    /// What the log says instead of the message.
    logged: Option<Box<str>>,
    /// The methods that would do.
    allow: Option<&'static str>,
    /// Seconds.
    retry_after: Option<u32>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            code,
            message,
            target: None,
            detail: None,
            logged: None,
            allow: None,
            retry_after: None,
        }
    }

    /// A field that cannot be what it is. The target is spelled as the service spells it, which is not as callers do.
    pub(crate) fn invalid(target: &'static str, message: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::BAD_REQUEST, "ValidationError", message);
        Self { target: Some(target), ..refusal }
    }

    /// A body that cannot be read as what it should be. The service's general table has 422 for this as well; all that was
    /// ever recorded of its validation is 400.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationError", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let message = format!("This path knows {allow} and no other method.");
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message);
        Self { allow: Some(allow), ..refusal }
    }

    /// What the real service does and this one does not do; `what` begins the sentence.
    pub(crate) fn not_emulated(what: &str) -> Self {
        let message = format!("{what}: the real service does this, this emulator does not.");
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotEmulated", message)
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("The body is larger than {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message)
    }

    pub(crate) fn detail(self, detail: impl Into<Box<str>>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    pub(crate) fn logged(self, logged: impl Into<Box<str>>) -> Self {
        Self { logged: Some(logged.into()), ..self }
    }

    pub(crate) fn retry_after(self, seconds: Option<u32>) -> Self {
        Self { retry_after: seconds, ..self }
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// For the log: neither key nor token nor id.
    pub(crate) fn why(&self) -> &str {
        self.logged.as_deref().unwrap_or(&self.message)
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

impl IntoResponse for Refusal {
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
