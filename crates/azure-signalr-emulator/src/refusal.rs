//! Every "no" of the service: status, code, and one sentence for the person who has to mend something.
//!
//! A refusal rides on its response, and `log` is the one place that writes it down.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tracing::{debug, warn};

use crate::auth::Denied;
use crate::hub_name::InvalidHubName;

/// Carries the code of an error; on an answer to HEAD it is all a caller gets to see.
const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// Why a request was not served.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// The parameter at fault.
    target: Option<&'static str>,
    /// The methods that would do.
    allow: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), target: None, allow: None }
    }

    pub(crate) fn invalid(target: &'static str, message: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::BAD_REQUEST, "Error.Request.Invalid", message);
        Self { target: Some(target), ..refusal }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(crate) fn method_not_allowed(allow: impl Into<String>, message: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message);
        Self { allow: Some(allow.into()), ..refusal }
    }

    /// What the real service does and this one does not do; `what` begins the sentence.
    pub(crate) fn not_emulated(what: &str) -> Self {
        let message = format!("{what}: the real service does this, this emulator does not");
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotEmulated", message)
    }

    pub(crate) fn too_many_connections() -> Self {
        let message = "as many connections are open as this emulator was set to hold (`max_connections`)";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyConnections", message)
    }

    pub(crate) fn too_many_groups(who: &str) -> Self {
        let message = format!("{who} is in as many groups as this emulator keeps, or all users together are");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyGroups", message)
    }

    pub(crate) fn closing() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Closing", "the emulator is shutting down")
    }

    /// What is told to the caller.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// As the REST API since 2020 words its errors.
    pub(crate) fn into_json(self) -> Response {
        let mut body = json!({"code": self.code, "message": self.message});
        if let Some(target) = self.target {
            body["target"] = target.into();
        }
        self.respond(Json(body))
    }

    /// As endpoints for clients, and the first REST API, word theirs.
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
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let (status, code) = if denied.is_forbidden() {
            (StatusCode::FORBIDDEN, "Forbidden")
        } else {
            (StatusCode::UNAUTHORIZED, "Unauthorized")
        };
        Self::new(status, code, denied.to_string())
    }
}

impl From<InvalidHubName> for Refusal {
    fn from(invalid: InvalidHubName) -> Self {
        Self::invalid(invalid.parameter, invalid.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.into_text()
    }
}

/// Logs what was refused and why. The query is left out: it can carry an access token.
pub(crate) async fn log(request: Request, next: Next) -> Response {
    let (method, path): (Method, _) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    if let Some(Refusal { status, message, .. }) = response.extensions().get() {
        let status = status.as_u16();
        if status == 404 {
            debug!(%method, path, status, "{method} {path:?} answered {status}: {message}");
        } else {
            warn!(%method, path, status, "{method} {path:?} answered {status}: {message}");
        }
    }
    response
}
