//! How long a request may be, before anybody reads what it says.
//!
//! Bodies have a limit of their own, where they are read.

use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use crate::refusal::Refusal;

/// Longest path with query, in bytes.
const LONGEST_URI: usize = 12 << 10;

/// Longest headers, in bytes: names, values, and four for each line.
const LONGEST_HEADERS: usize = 16 << 10;

/// Longest access token, in bytes.
const LONGEST_TOKEN: usize = 4 << 10;

/// Checks address and headers.
pub(super) fn check(parts: &Parts) -> Result<(), Refusal> {
    let uri = parts.uri.path_and_query().map_or(0, |uri| uri.as_str().len());
    if uri > LONGEST_URI {
        let message =
            format!("path and query are {uri} bytes, more than the {LONGEST_URI} the service reads");
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, "UriTooLong", message));
    }
    let headers = length(&parts.headers);
    if headers > LONGEST_HEADERS {
        let message =
            format!("the headers are {headers} bytes, more than the {LONGEST_HEADERS} the service reads");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Refusal::new(status, "HeadersTooLong", message));
    }
    Ok(())
}

fn length(headers: &HeaderMap) -> usize {
    let lines = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    lines.sum()
}

/// Checks an access token.
pub(super) fn check_token(token: &str) -> Result<(), Refusal> {
    if token.len() <= LONGEST_TOKEN {
        return Ok(());
    }
    let message = format!(
        "the access token is {} bytes; it must not be longer than {LONGEST_TOKEN}, so claim less in it",
        token.len()
    );
    Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "AccessTokenTooLong", message))
}
