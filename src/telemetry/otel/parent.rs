//! The parent span of a request: the W3C `traceparent`, which the Functions host passes on.
//!
//! `tracestate` is ignored: callers can put anything into it.

use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const TRACEPARENT: &str = "traceparent";

/// The parent span; without one, the request starts a trace.
#[derive(Default)]
pub(in crate::telemetry) struct Parent(pub(super) Context);

impl Parent {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(TraceContextPropagator::new().extract_with_context(&Context::new(), &TraceParent(headers)))
    }
}

/// Reads `traceparent` and no other header.
struct TraceParent<'a>(&'a HeaderMap);

impl Extractor for TraceParent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then(|| self.0.get(key)?.to_str().ok())?
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceContextExt as _;

    use super::*;

    fn parent(traceparent: &'static str) -> Context {
        let headers = [("traceparent", traceparent), ("tracestate", "vendor=hush")];
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Parent::of(&headers.into_iter().collect()).0
    }

    #[test]
    fn a_trace_goes_on_and_brings_nothing_else_along() {
        let context = parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let span = context.span().span_context().clone();
        assert_eq!(span.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.span_id().to_string(), "b7ad6b7169203331");
        assert!(span.is_sampled() && span.trace_state().header().is_empty());
    }

    #[test]
    fn what_is_no_trace_begins_one() {
        for wrong in ["", "00-0-0-01", "nonsense", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
            assert!(!parent(wrong).span().span_context().is_valid(), "{wrong}");
        }
    }
}
