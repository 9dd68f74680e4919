//! One log line for each request on standard output, and with the feature `otel` traces and metrics.
//!
//! Of a request only the path is logged, without connection ids, and never its query, headers or body: those carry keys and tokens. Handlers
//! do not log their failures: the error and the upstream time are in the extensions of the response, and are logged here once.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use log_writer::FlushOnDrop;
use tracing::{Instrument as _, Level, debug_span, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;
use crate::operations::Operations;

mod access_log;
#[cfg_attr(not(feature = "otel"), path = "otel_disabled.rs")]
mod otel;
mod request;

pub use otel::Export;
use request::{RequestInfo, RequestOutcome};

/// Libraries that log every request and every failed attempt at `info`.
const NOISY_TARGETS: [&str; 3] = ["typespec_client_core", "azure_core", "azure_storage_blob"];

/// Starts logging to standard output, and panics to standard error. `filter` has the form of `RUST_LOG`; an invalid one counts as `info`.
///
/// Neither waits for the output. Drop the returned value when the process ends: it writes the last lines.
pub fn start(filter: &str, format: LogFormat) -> FlushOnDrop {
    log_writer::write_panics_to_stderr();
    let read = parse_filter(filter);
    let invalid = read.as_ref().err().cloned();
    let targets = quiet_noisy_targets(read.unwrap_or_else(|_| Targets::new().with_default(Level::INFO)));
    let lines = layer().with_ansi(false).with_target(false).with_writer(log_writer::stdout);
    // A second start in one process, as in tests, has no effect.
    let _ = match format {
        LogFormat::Plain => registry().with(lines).with(targets).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_span_list(false);
            registry().with(lines).with(targets).try_init()
        }
    };
    if let Some(error) = invalid {
        warn!("RUST_LOG cannot be read ({error}); logging `info` and above");
    }
    FlushOnDrop
}

/// Parses a filter of levels and of pairs `target=level`. A target alone is rejected: it is a mistyped level or another mistake, and would
/// turn all other lines off, that of the mistake included.
fn parse_filter(filter: &str) -> Result<Targets, String> {
    let is_target = |part: &str| !part.is_empty() && !part.contains('=') && part.parse::<LevelFilter>().is_err();
    if filter.split(',').map(str::trim).any(is_target) {
        return Err("a part of it is neither a level nor `target=level`".to_owned());
    }
    filter.parse::<Targets>().map_err(|error| error.to_string())
}

/// Limits [`NOISY_TARGETS`] to warnings where the filter is `info` and does not name them.
fn quiet_noisy_targets(targets: Targets) -> Targets {
    if targets.default_level() != Some(LevelFilter::INFO) {
        return targets;
    }
    let named = |noisy: &str| targets.iter().any(|(target, _)| target.starts_with(noisy));
    let unnamed: Vec<_> = NOISY_TARGETS.into_iter().filter(|noisy| !named(noisy)).collect();
    targets.with_targets(unnamed.into_iter().map(|noisy| (noisy, Level::WARN)))
}

/// Writes the access log and the telemetry of requests. Clones share everything.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Inner>);

#[derive(Default)]
struct Inner {
    operations: Operations,
    export: Export,
}

impl Recorder {
    /// Names requests by `operations`, and exports telemetry to `export`.
    pub(crate) fn new(operations: Operations, export: Export) -> Self {
        Self(Arc::new(Inner { operations, export }))
    }

    /// The operations by which requests are named.
    pub(crate) fn operations(&self) -> &Operations {
        &self.0.operations
    }

    fn record(&self, info: &RequestInfo, response: Option<&Response>, parent: &otel::Parent) {
        let ended = RequestOutcome::with(response, info.begun.elapsed());
        let operation = self.0.operations.at(info.path());
        access_log::write(operation, info, &ended);
        self.0.export.record(operation, info, &ended, parent);
    }
}

/// The middleware that records every request and its response.
pub(crate) async fn requests(State(recorder): State<Recorder>, request: Request, next: Next) -> Response {
    let info = RequestInfo {
        method: request.method().clone(),
        uri: request.uri().clone(),
        invocation_id: request::invocation_id(request.headers()),
        begun: Instant::now(),
    };
    let parent = recorder.0.export.parent(request.headers());
    // For log lines of libraries; the access log needs no span.
    let span = debug_span!("request", invocation_id = info.invocation_id.as_str());
    let mut guard = RequestGuard { recorder, info, parent, is_answered: false };
    let response = next.run(request).instrument(span).await;
    guard.is_answered = true;
    guard.recorder.record(&guard.info, Some(&response), &guard.parent);
    response
}

/// A request in progress. Dropped without a response, it is recorded as canceled.
struct RequestGuard {
    recorder: Recorder,
    info: RequestInfo,
    parent: otel::Parent,
    is_answered: bool,
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        if !self.is_answered {
            self.recorder.record(&self.info, None, &self.parent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noisy_libraries_are_quiet_at_info_unless_the_filter_names_them() {
        let logs = |filter: &str| {
            let targets = quiet_noisy_targets(filter.parse().unwrap());
            targets.would_enable("typespec_client_core::http::policies", &Level::INFO)
        };
        assert!(!logs("info"));
        assert!(!logs("info,hyper=debug"));
        assert!(!logs("warn"));
        let storage = quiet_noisy_targets("info,typespec_client_core=info".parse().unwrap());
        assert!(!storage.would_enable("azure_storage_blob::clients", &Level::INFO));
        for filter in ["debug", "info,typespec_client_core=info", "info,typespec_client_core::http=info"] {
            assert!(logs(filter), "{filter}");
        }
        assert!(quiet_noisy_targets("info".parse().unwrap()).would_enable("typespec_client_core", &Level::WARN));
        assert!(!quiet_noisy_targets("error".parse().unwrap()).would_enable("typespec_client_core", &Level::WARN));
    }
}
