//! The log line of a request: a sentence with fields, or a JSON object with the same names.
//!
//! It is one event outside of any span, so that its fields are flat in both forms.

use std::error::Error as _;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::request::{RequestInfo, RequestOutcome};
use crate::error::{Error, with_causes};
use crate::operations::{Operation, PROBE, UNMATCHED};

pub(super) fn write(operation: Option<&Operation>, info: &RequestInfo, ended: &RequestOutcome<'_>) {
    let path = info.logged_path(operation);
    let operation = operation.map_or(UNMATCHED, |operation| operation.name);
    let upstream_tries = ended.tries.iter().any(|one| one.resend_count() > 0).then_some(ended.tries.len());
    // A macro, because `tracing` needs the level at compile time.
    macro_rules! line {
        ($level:ident, $cause:expr, $($words:tt)+) => {
            $level!(
                operation,
                invocation_id = info.invocation_id.as_str(),
                method = info.logged_method(),
                path,
                status = ended.status,
                outcome = ended.outcome(),
                duration_ms = milliseconds(ended.duration),
                upstream_ms = ended.upstream().map(milliseconds),
                upstream_tries,
                cause = $cause,
                $($words)+
            )
        };
    }
    match (ended.failure, ended.status) {
        (None, Some(_)) if let Some(not_live) = ended.not_live => {
            line!(warn, Some(with_causes(not_live)), "not_live: a message is in the history, and was not published");
        }
        (Some(failure), Some(500..)) => line!(error, causes(failure), "{failure}"),
        (Some(failure), _) => line!(warn, causes(failure), "{failure}"),
        (None, None) => line!(warn, None::<String>, "canceled before there was a response"),
        (None, _) if operation == PROBE => line!(debug, None::<String>, "probed"),
        (None, _) => line!(info, None::<String>, "done"),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}

fn causes(failure: &Error) -> Option<String> {
    failure.source().map(with_causes)
}
