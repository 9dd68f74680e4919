//! The check that a request declares its body as JSON, and the error for a body that cannot be read.
//!
//! A page of another origin cannot send `application/json` without a CORS preflight, so it cannot act in the name of its reader.

use axum::extract::FromRequestParts;
use axum::extract::rejection::BytesRejection;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use http_server::BodyTimeout;

use crate::error::Error;

/// An extractor that rejects requests whose content type is not JSON.
pub(crate) struct JsonBody;

impl<S: Sync> FromRequestParts<S> for JsonBody {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        is_json(&parts.headers).then_some(Self).ok_or(Error::UnsupportedMediaType)
    }
}

/// Whether the content type in `headers` is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// The error for a body that is too large, late or incomplete; `invalid` takes the field and its rule.
pub(crate) fn body_error(rejection: &BytesRejection, invalid: fn(&'static str, &'static str) -> Error) -> Error {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge,
        _ if BodyTimeout::is_cause_of(rejection) => Error::BodyTimeout,
        _ => invalid("body", "broke off; send it again"),
    }
}
