//! Bodies that say they are JSON.
//!
//! A foreign page cannot say that of what it sends without asking the browser first, so it cannot act in the name of whoever reads it.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;

use crate::error::Error;

/// Lets in only what says it is JSON.
pub(crate) struct JsonBody;

impl<S: Sync> FromRequestParts<S> for JsonBody {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        is_json(&parts.headers).then_some(Self).ok_or(Error::UnsupportedMediaType)
    }
}

/// Whether `headers` say that what follows is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
