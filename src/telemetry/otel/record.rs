//! Records a request as spans and metrics, by OpenTelemetry's semantic conventions for HTTP and FaaS.
//!
//! Spans are created when the request is over, so no trace context reaches the service. Unknown methods and paths share one name, so
//! that callers cannot create names.

use std::time::{Duration, Instant, SystemTime};

use axum::http::Method;
use azure_signalr::Attempt;
use opentelemetry::metrics::{Histogram, Meter, MeterProvider as _};
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::Parent;
use crate::operations::{Operation, UNMATCHED};
use crate::telemetry::request::{RequestInfo, RequestOutcome};

/// The instrumentation scope.
const SCOPE: &str = "serverless-chat";

/// The bucket boundaries of the semantic conventions for HTTP durations, in seconds.
const BOUNDARIES: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

pub(super) struct Instruments {
    tracer: SdkTracer,
    served: Histogram<f64>,
    called: Histogram<f64>,
}

impl Instruments {
    pub(super) fn new(spans: &SdkTracerProvider, metrics: &SdkMeterProvider) -> Self {
        let meter = metrics.meter(SCOPE);
        Self {
            tracer: spans.tracer(SCOPE),
            served: durations(&meter, "http.server.request.duration"),
            called: durations(&meter, "http.client.request.duration"),
        }
    }

    pub(super) fn record(
        &self,
        operation: Option<&Operation>,
        info: &RequestInfo,
        ended: &RequestOutcome<'_>,
        parent: &Parent,
        service: &[KeyValue],
    ) {
        let attributes = of_request(operation, info, ended);
        self.served.record(ended.duration.as_secs_f64(), &attributes);

        let clock = Clock::of(info.begun, ended.duration);
        let name = operation.map_or(UNMATCHED, |operation| operation.name);
        let builder = self.tracer.span_builder(name).with_kind(SpanKind::Server);
        let builder = builder.with_start_time(clock.begun).with_attributes(attributes);
        let mut span = self.tracer.build_with_context(builder, &parent.0);
        span.set_attribute(KeyValue::new("url.path", info.logged_path(operation).to_owned()));
        span.set_attribute(KeyValue::new("faas.invocation_id", info.invocation_id.clone()));
        span.set_attribute(KeyValue::new("faas.trigger", "http"));
        if ended.status.is_none_or(|status| status >= 500) {
            span.set_status(Status::error(ended.outcome()));
        }
        let inside = Context::new().with_remote_span_context(span.span_context().clone());
        for one in ended.tries {
            self.record_try(one, service, &clock, &inside);
        }
        span.end_with_timestamp(clock.ended());
    }

    fn record_try(&self, one: &Attempt, service: &[KeyValue], clock: &Clock, inside: &Context) {
        let attributes = of_try(one, service);
        self.called.record(one.duration().as_secs_f64(), &attributes);

        let builder = self.tracer.span_builder(format!("POST {}", one.route())).with_kind(SpanKind::Client);
        let begun = clock.at(one.started());
        let builder = builder.with_start_time(begun).with_attributes(attributes);
        let mut span = self.tracer.build_with_context(builder, inside);
        if one.resend_count() > 0 {
            span.set_attribute(KeyValue::new("http.request.resend_count", i64::from(one.resend_count())));
        }
        if let Some(failure) = failure(one) {
            span.set_status(Status::error(failure));
        }
        span.end_with_timestamp(begun + one.duration());
    }
}

fn durations(meter: &Meter, name: &'static str) -> Histogram<f64> {
    meter.f64_histogram(name).with_unit("s").with_boundaries(BOUNDARIES.to_vec()).build()
}

fn of_request(operation: Option<&Operation>, info: &RequestInfo, ended: &RequestOutcome<'_>) -> Vec<KeyValue> {
    let route = operation.map(|operation| KeyValue::new("http.route", operation.route.as_str().to_owned()));
    let status = ended.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status)));
    let failure = Some(ended.outcome()).filter(|outcome| *outcome != "ok");
    [KeyValue::new("http.request.method", known(&info.method)), KeyValue::new("url.scheme", "http")]
        .into_iter()
        .chain(route)
        .chain(status)
        .chain(failure.map(|failure| KeyValue::new("error.type", failure)))
        .collect()
}

fn of_try(one: &Attempt, service: &[KeyValue]) -> Vec<KeyValue> {
    let status = one.status().map(|status| KeyValue::new("http.response.status_code", i64::from(status)));
    [KeyValue::new("http.request.method", "POST"), KeyValue::new("url.template", one.route())]
        .into_iter()
        .chain(service.iter().cloned())
        .chain(status)
        .chain(failure(one).map(|failure| KeyValue::new("error.type", failure)))
        .collect()
}

/// The status if it is not a success, or the reason why there is none.
fn failure(one: &Attempt) -> Option<String> {
    match one.status() {
        Some(..300) => None,
        Some(status) => Some(status.to_string()),
        None => one.failure().map(str::to_owned),
    }
}

fn known(method: &Method) -> &'static str {
    let known = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"];
    known.into_iter().find(|known| method == known).unwrap_or("_OTHER")
}

/// Converts instants of a request to wall-clock times.
struct Clock {
    started: Instant,
    begun: SystemTime,
    duration: Duration,
}

impl Clock {
    fn of(started: Instant, duration: Duration) -> Self {
        Self { started, begun: SystemTime::now() - duration, duration }
    }

    fn at(&self, instant: Instant) -> SystemTime {
        self.begun + instant.saturating_duration_since(self.started)
    }

    fn ended(&self) -> SystemTime {
        self.begun + self.duration
    }
}
