//! What all REST calls have in common: addresses made of segments, and what an answer means.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use url::Url;

use crate::error::Kind;

/// `base` with further path segments, each encoded as one. An empty last segment makes a trailing slash.
pub(crate) fn under(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut()
        .expect("connection strings hold only addresses that have a host")
        .pop_if_empty()
        .extend(segments);
    url
}

/// What is asked for beyond that is a mistake, and might not fit into a clock.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The answer, if it is a yes.
pub(crate) fn accepted(response: reqwest::Response) -> Result<reqwest::Response, Kind> {
    match response.status().as_u16() {
        200..=299 => Ok(response),
        status => Err(Kind::Rejected {
            status,
            code: error_code(response.headers()),
            retry_after: retry_after(response.headers()),
        }),
    }
}

/// `x-ms-error-code`, if it looks like one; it goes into logs.
fn error_code(headers: &HeaderMap) -> Option<String> {
    let code = headers.get("x-ms-error-code")?.to_str().ok()?;
    let plain = code.len() <= 100 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    plain.then(|| code.to_owned())
}

/// `Retry-After` in seconds, a day at most; the form with a date is not used by the service.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs);
    asked.map(|asked| asked.min(LONGEST_RETRY_AFTER))
}
