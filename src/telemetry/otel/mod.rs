//! Traces and metrics by OpenTelemetry, to a collector that speaks OTLP over HTTP.
//!
//! A request is recorded when it is over: its spans go into a queue of at most 2,048 and are dropped when that is full. Threads of the SDK
//! send them; what cannot be sent is lost.
//!
//! The SDK itself reads `OTEL_TRACES_SAMPLER`, `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_METRIC_EXPORT_INTERVAL` and the like; settings that are
//! used elsewhere too come from `config`.

mod client;
mod parent;
mod record;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use axum::http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, Protocol, SpanExporter};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::{info, warn};
use url::Url;
use uuid::Uuid;

use self::client::Client;
pub(super) use self::parent::Parent;
use self::record::Instruments;
use super::request::{RequestInfo, RequestOutcome};
use crate::config::Otlp;
use crate::operations::{Operation, PROBE};

/// The exporters of traces and metrics; none by default. Clones share them.
#[derive(Clone, Default)]
pub struct Export {
    running: Option<Arc<Running>>,
    /// The attributes of the SignalR service.
    service: Arc<[KeyValue]>,
}

struct Running {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
    instruments: Instruments,
}

impl Export {
    /// Starts the exporters, if `otlp` names a collector; `runtime` must outlive [`end`](Self::end). An unavailable collector is logged.
    pub fn start(otlp: Option<&Otlp>, runtime: &Handle) -> Self {
        let running = otlp.and_then(|otlp| match Running::start(otlp, runtime) {
            Ok(running) => {
                info!("exporting traces and metrics");
                Some(Arc::new(running))
            }
            // The message may contain a setting.
            Err(_) => {
                warn!("traces and metrics cannot be exported: the exporter does not start with these settings");
                None
            }
        });
        Self { running, service: Arc::default() }
    }

    /// Sends what is queued, and returns after `timeout` at the latest.
    pub fn end(&self, timeout: Duration) {
        let Some(running) = &self.running else { return };
        let (spans, metrics) = (running.spans.clone(), running.metrics.clone());
        let (done, both_done) = mpsc::channel();
        // At the same time: the SDK would do one after the other, and wait for seconds.
        thread::spawn(move || {
            let metrics = thread::spawn(move || drop(metrics.shutdown_with_timeout(timeout)));
            let _ = spans.shutdown_with_timeout(timeout);
            let _ = metrics.join();
            let _ = done.send(());
        });
        let _ = both_done.recv_timeout(timeout);
    }

    /// The same, for an app that calls the SignalR service at this host and port.
    pub(crate) fn of_calls_to(self, (host, port): (&str, u16)) -> Self {
        let address = KeyValue::new("server.address", Arc::<str>::from(host));
        Self { service: [address, KeyValue::new("server.port", i64::from(port))].into(), ..self }
    }

    /// The parent span of a request; without exporters it is not read.
    pub(super) fn parent(&self, headers: &HeaderMap) -> Parent {
        if self.running.is_some() { Parent::of(headers) } else { Parent::default() }
    }

    pub(super) fn record(
        &self,
        operation: Option<&Operation>,
        info: &RequestInfo,
        ended: &RequestOutcome<'_>,
        parent: &Parent,
    ) {
        let is_probe = operation.is_some_and(|operation| operation.name == PROBE);
        if let Some(running) = self.running.as_ref().filter(|_| !is_probe) {
            running.instruments.record(operation, info, ended, parent, &self.service);
        }
    }
}

impl Running {
    fn start(otlp: &Otlp, runtime: &Handle) -> Result<Self, Box<dyn std::error::Error>> {
        let client = Client::new(runtime)?;
        let resource = Resource::builder_empty()
            .with_service_name(otlp.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            // Without an id, the metrics of several instances would overwrite each other.
            .with_attribute(KeyValue::new("service.instance.id", Uuid::new_v4().to_string()))
            .build();
        let spans = SdkTracerProvider::builder()
            .with_batch_exporter(spans(otlp, client.clone())?)
            .with_resource(resource.clone())
            .build();
        let metrics =
            SdkMeterProvider::builder().with_periodic_exporter(metrics(otlp, client)?).with_resource(resource).build();
        let instruments = Instruments::new(&spans, &metrics);
        Ok(Self { spans, metrics, instruments })
    }
}

fn spans(otlp: &Otlp, client: Client) -> Result<SpanExporter, ExporterBuildError> {
    SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(below(&otlp.endpoint, "traces"))
        .with_headers(otlp.headers.iter().cloned().collect())
        .build()
}

fn metrics(otlp: &Otlp, client: Client) -> Result<MetricExporter, ExporterBuildError> {
    MetricExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(below(&otlp.endpoint, "metrics"))
        .with_headers(otlp.headers.iter().cloned().collect())
        .build()
}

/// The path of a signal, by the OTLP specification.
fn below(endpoint: &Url, kind: &str) -> String {
    let mut url = endpoint.clone();
    url.path_segments_mut().expect("settings hold only addresses that have a host").pop_if_empty().extend(["v1", kind]);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_goes_below_the_address_of_the_collector() {
        for (endpoint, expected) in [
            ("http://h:4318", "http://h:4318/v1/traces"),
            ("https://h/otlp/", "https://h/otlp/v1/traces"),
            ("https://h/otlp", "https://h/otlp/v1/traces"),
        ] {
            assert_eq!(below(&endpoint.parse().unwrap(), "traces"), expected);
        }
    }
}
