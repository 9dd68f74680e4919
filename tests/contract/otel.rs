//! What a collector gets, over real sockets and decoded by OpenTelemetry's own definitions, and what a bad day of it does to us: nothing.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, HistogramDataPoint};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

use crate::scripted_service::Service;
use crate::test_app::{House, KEY, PATIENCE, Process, until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A collector that keeps what it gets.
struct Collector {
    endpoint: String,
    got: Got,
}

#[derive(Clone)]
struct Got {
    posts: Arc<Mutex<Vec<Post>>>,
    status: StatusCode,
}

struct Post {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Collector {
    async fn start() -> Self {
        Self::answering(StatusCode::OK).await
    }

    async fn answering(status: StatusCode) -> Self {
        async fn keep(State(got): State<Got>, request: Request) -> StatusCode {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
            let path = head.uri.to_string();
            got.posts.lock().unwrap().push(Post { path, headers: head.headers, body });
            got.status
        }
        let got = Got { posts: Arc::default(), status };
        let socket = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}/otlp", socket.local_addr().unwrap());
        let app = Router::new().fallback(keep).with_state(got.clone());
        tokio::spawn(async move { axum::serve(socket, app).await });
        Self { endpoint, got }
    }

    /// What came to this path, decoded.
    fn at<M: prost::Message + Default>(&self, path: &str) -> Vec<M> {
        let posts = self.got.posts.lock().unwrap();
        let posts = posts.iter().filter(|post| post.path == path);
        posts.map(|post| M::decode(post.body.as_slice()).unwrap()).collect()
    }

    fn resources(&self) -> Vec<ResourceSpans> {
        let posts = self.at::<ExportTraceServiceRequest>("/otlp/v1/traces");
        posts.into_iter().flat_map(|post| post.resource_spans).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let scopes = self.resources().into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The last known points of a histogram.
    fn points(&self, name: &str) -> Vec<HistogramDataPoint> {
        let posts = self.at::<ExportMetricsServiceRequest>("/otlp/v1/metrics");
        let last = posts.into_iter().next_back().unwrap_or_default();
        let scopes = last.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        let metric = scopes.flat_map(|scope| scope.metrics).find(|metric| metric.name == name);
        match metric.map(|metric| (metric.unit, metric.data)) {
            Some((unit, Some(Data::Histogram(histogram)))) => {
                assert_eq!(unit, "s");
                assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
                histogram.data_points
            }
            None => Vec::new(),
            Some(other) => panic!("{name} is no histogram: {other:?}"),
        }
    }
}

/// A signed-in house that exports to `endpoint`. Its library is told not to wait for more.
fn house(service: u16, endpoint: &str) -> House {
    let variables = [
        ("WEBSITE_AUTH_ENABLED", "true"),
        ("WEBSITE_SITE_NAME", "chat-of-this-house"),
        ("ChatAllowAnonymous", "true"),
        ("RUST_LOG", "trace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=SECRET%20COLLECTOR"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    House::before(service, &variables)
}

/// What an attribute says, in words.
fn said(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value?;
    Some(match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{key} is {other:?}"),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Stops a house and says how long that took.
fn stop(house: &mut House) -> Duration {
    let begun = Instant::now();
    house.handler.signal("TERM");
    assert_eq!(house.handler.end().code(), Some(0));
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_continues_the_callers_trace_and_what_it_asks_of_the_service_is_below_it() {
    let collector = Collector::start().await;
    let service = Service::start(&[(503, None), (202, None)]).await;
    let mut house = house(service.port, &collector.endpoint);
    let request = house.message(&json!({"text": "SECRET TEXT", "recipient": "SECRET RECIPIENT"}));
    let request = request
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .header("tracestate", "vendor=SECRET-STATE")
        .header("x-ms-client-principal-name", "SECRET USER")
        .header("x-azure-functions-invocationid", "call-1")
        .header("authorization", "Bearer SECRET-BEARER");
    assert_eq!(request.send().await.unwrap().status(), 202);

    let spans = until("three spans", || Some(collector.spans()).filter(|spans| spans.len() == 3));
    let server = spans.iter().find(|span| span.kind() == SpanKind::Server).unwrap();
    assert_eq!((hex(&server.trace_id), hex(&server.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(server.name, "SendMessage");
    let expected = [
        ("http.request.method", "POST"),
        ("http.route", "/api/messages"),
        ("http.response.status_code", "202"),
        ("url.path", "/api/messages"),
        ("faas.invocation_id", "call-1"),
        ("faas.trigger", "http"),
    ];
    for (key, value) in expected {
        assert_eq!(said(&server.attributes, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(said(&server.attributes, "error.type"), None);

    let mut tries: Vec<_> = spans.iter().filter(|span| span.kind() == SpanKind::Client).collect();
    tries.sort_by_key(|span| span.start_time_unix_nano);
    assert!(tries.iter().all(|span| span.trace_id == server.trace_id));
    assert!(tries.iter().all(|span| span.parent_span_id == server.span_id));
    let within = |span: &&&Span| {
        server.start_time_unix_nano <= span.start_time_unix_nano
            && span.end_time_unix_nano <= server.end_time_unix_nano
    };
    assert_eq!(tries.iter().filter(within).count(), 2);
    let port = service.port.to_string();
    for span in &tries {
        assert_eq!(span.name, "POST /api/hubs/{hub}/users/{user}/:send");
        assert_eq!(said(&span.attributes, "server.address").as_deref(), Some("127.0.0.1"));
        assert_eq!(said(&span.attributes, "server.port").as_deref(), Some(port.as_str()));
    }
    let told = |key| tries.iter().map(|span| said(&span.attributes, key)).collect::<Vec<_>>();
    assert_eq!(told("http.response.status_code"), [Some("503".to_owned()), Some("202".to_owned())]);
    assert_eq!(told("error.type"), [Some("503".to_owned()), None]);
    assert_eq!(told("http.request.resend_count"), [None, Some("1".to_owned())]);
    assert_eq!(tries[0].status.as_ref().unwrap().code(), SpanStatus::Error);

    for call in service.calls.lock().unwrap().iter() {
        assert!(!call.headers.contains_key("traceparent") && !call.headers.contains_key("tracestate"));
    }
    let resource = collector.resources().remove(0).resource.unwrap().attributes;
    assert_eq!(said(&resource, "service.name").as_deref(), Some("chat-of-this-house"));
    assert!(said(&resource, "service.instance.id").is_some());

    stop(&mut house);
    let posts = collector.got.posts.lock().unwrap();
    assert!(
        posts.iter().any(|post| post.path == "/otlp/v1/metrics"),
        "metrics are sent at the end at the latest"
    );
    for post in posts.iter() {
        assert_eq!(post.headers["api-key"], "SECRET COLLECTOR");
        assert_eq!(post.headers["content-type"], "application/x-protobuf");
        let body = String::from_utf8_lossy(&post.body);
        for secret in ["SECRET", KEY, "eyJ", "Bearer"] {
            assert!(!body.contains(secret), "{secret} in {body}");
        }
    }
    let out = house.handler.out.text();
    assert!(!out.contains("SECRET"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn durations_are_counted_by_what_they_were_and_not_by_what_callers_make_up() {
    let collector = Collector::start().await;
    let service = Service::start(&[(400, None)]).await;
    let mut house = house(service.port, &collector.endpoint);
    for _ in 0..3 {
        assert_eq!(house.post("/API/negotiate/?code=SECRET").send().await.unwrap().status(), 200);
    }
    assert_eq!(house.message(&json!({"text": "hi"})).send().await.unwrap().status(), 502);
    for path in ["/made-up-1", "/made-up-2"] {
        let method = Method::from_bytes(b"MADE-UP").unwrap();
        assert_eq!(house.request(method, path).send().await.unwrap().status(), 404);
    }
    assert_eq!(house.get("/").send().await.unwrap().status(), 200);
    stop(&mut house);

    let served = collector.points("http.server.request.duration");
    let mut counts: Vec<_> = served
        .iter()
        .map(|point| {
            let said = |key| said(&point.attributes, key).unwrap_or_default();
            let words = ["http.request.method", "http.route", "http.response.status_code", "error.type"];
            (words.map(said).join(" "), point.count)
        })
        .collect();
    counts.sort();
    let expected = [
        ("POST /api/messages 502 upstream_rejected".to_owned(), 1),
        ("POST /api/negotiate 200 ".to_owned(), 3),
        ("_OTHER  404 not_found".to_owned(), 2),
    ];
    assert_eq!(counts, expected);
    let boundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    assert!(served.iter().all(|point| point.explicit_bounds == boundaries));

    let called = collector.points("http.client.request.duration");
    assert_eq!(called.len(), 1);
    assert_eq!(said(&called[0].attributes, "error.type").as_deref(), Some("400"));
    assert_eq!(said(&called[0].attributes, "url.template").as_deref(), Some("/api/hubs/{hub}/:send"));

    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names.iter().filter(|name| *name == "unmatched").count(), 2);
    assert!(!names.contains(&"probe".to_owned()));
    let failed = collector.spans().into_iter().find(|span| span.name == "SendMessage").unwrap();
    assert_eq!(failed.status.unwrap().code(), SpanStatus::Error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_a_trace_begins_one_and_one_that_does_not_want_to_be_traced_is_not() {
    let collector = Collector::start().await;
    let mut house = house(1, &collector.endpoint);
    let unwanted = house.post("/api/negotiate").header("traceparent", format!("00-{TRACE}-{PARENT}-00"));
    unwanted.send().await.unwrap();
    house.post("/api/negotiate").header("traceparent", "nonsense").send().await.unwrap();
    stop(&mut house);
    let spans = collector.spans();
    assert_eq!(spans.len(), 1);
    assert!(spans[0].parent_span_id.is_empty());
    assert_ne!(hex(&spans[0].trace_id), TRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_refuses_costs_no_request_and_one_line() {
    let refusing = Collector::answering(StatusCode::UNAUTHORIZED).await;
    for (endpoint, words) in
        [("http://127.0.0.1:1", "cannot be reached"), (refusing.endpoint.as_str(), "answered 401")]
    {
        let mut house = house(1, endpoint);
        for _ in 0..20 {
            assert_eq!(house.post("/api/negotiate").send().await.unwrap().status(), 200);
        }
        house.handler.out.line(words);
        assert_eq!(house.post("/api/negotiate").send().await.unwrap().status(), 200);
        stop(&mut house);
        let out = house.handler.out.text();
        assert_eq!(out.matches("were not exported").count(), 1, "{out}");
        assert!(!out.contains("SECRET"), "{out}");
        assert_eq!(house.handler.err.text(), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_holds_up_neither_requests_nor_the_end() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut house = house(1, &format!("http://{}", silent.local_addr().unwrap()));
    for _ in 0..20 {
        assert_eq!(house.post("/api/negotiate").send().await.unwrap().status(), 200);
    }
    // The exporter is in the middle of it.
    silent.set_nonblocking(true).unwrap();
    let _connection = until("the exporter to connect", || silent.accept().ok());
    assert_eq!(house.post("/api/negotiate").send().await.unwrap().status(), 200);
    // It gives up after ten seconds by itself, the SDK waits for five; a host does neither.
    let took = stop(&mut house);
    assert!(took < Duration::from_secs(4) && took < PATIENCE, "{took:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_a_collector_there_is_not_even_a_thread() {
    fn exporters(handler: &Process) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", handler.child.id())).unwrap();
        let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
        names.filter(|name| name.starts_with("OpenTelemetry")).count()
    }
    let house = House::start();
    assert_eq!(house.post("/api/negotiate").send().await.unwrap().status(), 200);
    assert_eq!(exporters(&house.handler), 0);
    let collector = Collector::start().await;
    assert_eq!(exporters(&self::house(1, &collector.endpoint).handler), 2);
}
