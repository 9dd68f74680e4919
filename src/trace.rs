//! Log lines: one a request, on standard output, with the host's invocation id, since the host does not add it.
//!
//! Only the path of a request is logged, never its query, headers or body: those carry keys and tokens. Handlers do not log their
//! failures; a failure rides on its response to here and is logged once, with its causes.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument as _, debug, error, info, info_span, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use uuid::Uuid;

use crate::error::Error;

const INVOCATION_ID: &str = "x-azure-functions-invocationid";

/// Starts logging what passes `filter`, in the form of `RUST_LOG`. A filter that cannot be read is as good as `info`.
pub fn start(filter: &str) {
    let read = filter.parse::<Targets>();
    let targets =
        read.as_ref().cloned().unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false);
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(lines).with(targets).try_init();
    if let Err(error) = read {
        warn!("RUST_LOG cannot be read ({error}); logging `info` and above");
    }
}

/// The layer that logs requests.
pub(crate) async fn requests(request: Request, next: Next) -> Response {
    let span = info_span!(
        "request",
        method = %request.method(),
        path = request.uri().path(),
        invocation_id = invocation_id(request.headers())
    );
    let begun = Instant::now();
    let is_probe = request.uri().path() == "/";
    async move {
        let response = next.run(request).await;
        let status = response.status().as_u16();
        let duration_ms = begun.elapsed().as_micros() as f64 / 1_000.0;
        match response.extensions().get::<Arc<Error>>() {
            Some(failure) if response.status().is_server_error() => {
                error!(status, duration_ms, cause = causes(failure), "{failure}");
            }
            Some(failure) => warn!(status, duration_ms, cause = causes(failure), "{failure}"),
            None if is_probe => debug!(status, duration_ms, "probed"),
            None => info!(status, duration_ms, "done"),
        }
        response
    }
    .instrument(span)
    .await
}

/// The id of the invocation. The host adds its own to whatever the caller sent, so the last one is the host's.
fn invocation_id(headers: &HeaderMap) -> String {
    let last = headers.get_all(INVOCATION_ID).iter().next_back().and_then(|value| value.to_str().ok());
    let last = last.and_then(|values| values.rsplit(',').next()).unwrap_or_default().trim();
    let plain =
        (1..=64).contains(&last.len()) && last.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain { last.to_owned() } else { Uuid::new_v4().to_string() }
}

fn causes(failure: &Error) -> Option<String> {
    let mut told = Vec::new();
    let mut cause = failure.source();
    while let Some(error) = cause {
        told.push(error.to_string());
        cause = error.source();
    }
    (!told.is_empty()).then(|| told.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(values: &[&'static str]) -> String {
        invocation_id(
            &values.iter().map(|value| (INVOCATION_ID.parse().unwrap(), value.parse().unwrap())).collect(),
        )
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
}
