//! A request and its outcome, as the access log and OpenTelemetry record them.
//!
//! A request can end without a response: the host may cancel it when its caller disconnects.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use azure_signalr::{Attempt, SendReceipt};
use uuid::Uuid;

use crate::error::Error;
use crate::messages::NotLive;
use crate::operations::{Operation, loggable_path};
use crate::upstream_time::UpstreamTimer;

const INVOCATION_ID: &str = "x-azure-functions-invocationid";

/// The most bytes of a method and of a path that are recorded; both can be as long as all headers.
const MAX_METHOD_BYTES: usize = 32;
const MAX_PATH_BYTES: usize = 1_024;

/// The parts of a request that are recorded.
pub(super) struct RequestInfo {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) invocation_id: String,
    pub(super) begun: Instant,
}

/// The outcome of a request.
pub(super) struct RequestOutcome<'a> {
    /// `None` without a response.
    pub(super) status: Option<u16>,
    pub(super) failure: Option<&'a Error>,
    /// The message is in the history, and was not published.
    pub(super) not_live: Option<&'a NotLive>,
    /// The requests to the SignalR service that send a message.
    pub(super) tries: &'a [Attempt],
    /// The time waited for calls that are not in `tries`.
    timer: Option<Duration>,
    pub(super) duration: Duration,
}

impl RequestInfo {
    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }

    /// The part of the path that may be logged, cut where it is long.
    pub(super) fn logged_path<'a>(&'a self, operation: Option<&'a Operation>) -> &'a str {
        cut(loggable_path(operation, self.path()), MAX_PATH_BYTES)
    }

    /// The method, cut where it is long.
    pub(super) fn logged_method(&self) -> &str {
        cut(self.method.as_str(), MAX_METHOD_BYTES)
    }
}

fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

impl<'a> RequestOutcome<'a> {
    pub(super) fn with(response: Option<&'a Response>, duration: Duration) -> Self {
        let failure = response.and_then(|response| response.extensions().get::<Arc<Error>>());
        let sent = response.and_then(|response| response.extensions().get::<SendReceipt>());
        let not_live = response.and_then(|response| response.extensions().get::<NotLive>());
        let tries = failure.map(|error| error.tries()).or_else(|| not_live.map(NotLive::attempts));
        let tries = tries.or_else(|| sent.map(SendReceipt::attempts)).unwrap_or_default();
        let timer = response.and_then(|response| response.extensions().get::<UpstreamTimer>()?.sum());
        let status = response.map(|response| response.status().as_u16());
        Self { status, failure: failure.map(AsRef::as_ref), not_live, tries, timer, duration }
    }

    /// `ok`, `canceled`, `not_live`, or the code of the failure.
    pub(super) fn outcome(&self) -> &'static str {
        match (self.status, self.failure) {
            (None, _) => "canceled",
            (Some(_), Some(failure)) => failure.code(),
            (Some(..400), None) if self.not_live.is_some() => "not_live",
            (Some(..400), None) => "ok",
            (Some(_), None) => "failed",
        }
    }

    /// The time waited for an upstream service, without the waits between attempts; `None` if none was called.
    pub(super) fn upstream(&self) -> Option<Duration> {
        let tries = (!self.tries.is_empty()).then(|| self.tries.iter().map(Attempt::duration).sum());
        tries.or(self.timer)
    }
}

/// The invocation id. The host appends its own to a value that the caller sent.
pub(super) fn invocation_id(headers: &HeaderMap) -> String {
    let last = headers.get_all(INVOCATION_ID).iter().next_back().and_then(|value| value.to_str().ok());
    let last = last.and_then(|values| values.rsplit(',').next()).unwrap_or_default().trim();
    let plain = (1..=64).contains(&last.len()) && last.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain { last.to_owned() } else { Uuid::new_v4().to_string() }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    fn id(values: &[&'static str]) -> String {
        invocation_id(&values.iter().map(|value| (INVOCATION_ID.parse().unwrap(), value.parse().unwrap())).collect())
    }

    #[test]
    fn case_33_the_last_invocation_id_is_the_hosts() {
        assert_eq!(id(&["spoof", "real-1"]), "real-1");
        assert_eq!(id(&["spoof, real-1"]), "real-1");
    }

    #[test]
    fn case_33_without_a_usable_invocation_id_one_is_made() {
        for values in [&[][..], &[""], &["a b"], &["real, evil=1"]] {
            assert_eq!(id(values).len(), 36, "{values:?}");
        }
    }

    #[test]
    fn an_outcome_is_ok_or_the_code_that_the_caller_got() {
        let outcome = |response: Option<Response>| RequestOutcome::with(response.as_ref(), Duration::ZERO).outcome();
        assert_eq!(outcome(Some(().into_response())), "ok");
        let refused = Error::InvalidMessage("text", "is wrong").into_response();
        assert_eq!(outcome(Some(refused)), "invalid_message");
        assert_eq!(outcome(None), "canceled");
        assert_eq!(outcome(Some(axum::Extension(NotLive::TimedOut).into_response())), "not_live");
    }

    #[test]
    fn who_did_not_ask_the_service_did_not_wait_for_it() {
        let answer = ().into_response();
        assert_eq!(RequestOutcome::with(Some(&answer), Duration::ZERO).upstream(), None);
    }
}
