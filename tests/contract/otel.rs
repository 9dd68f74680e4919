//! Tests of the export to an OpenTelemetry collector, decoded with OpenTelemetry's own definitions, and of failing collectors.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt as _;
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
use test_support::http::listen;

use crate::room_service::RoomService;
use crate::scripted_service::ScriptedService;
use crate::test_app::{KEY, Process, TEST_TIMEOUT, TestApp, wait_until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A collector that records all requests.
#[derive(Clone)]
struct Collector {
    endpoint: String,
    posts: Arc<Mutex<Vec<Post>>>,
    /// The status of all responses.
    status: StatusCode,
}

struct Post {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Collector {
    async fn start() -> Self {
        Self::with_status(StatusCode::OK).await
    }

    async fn with_status(status: StatusCode) -> Self {
        async fn record(State(collector): State<Collector>, request: Request) -> StatusCode {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
            let path = head.uri.to_string();
            collector.posts.lock().unwrap().push(Post { path, headers: head.headers, body });
            collector.status
        }
        let (listener, port) = listen().await;
        let endpoint = format!("http://127.0.0.1:{port}/otlp");
        let collector = Self { endpoint, posts: Arc::default(), status };
        let router = Router::new().fallback(record).with_state(collector.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        collector
    }

    /// The decoded requests to a path.
    fn requests<M: prost::Message + Default>(&self, path: &str) -> Vec<M> {
        let posts = self.posts.lock().unwrap();
        let posts = posts.iter().filter(|post| post.path == path);
        posts.map(|post| M::decode(post.body.as_slice()).unwrap()).collect()
    }

    fn resources(&self) -> Vec<ResourceSpans> {
        let posts = self.requests::<ExportTraceServiceRequest>("/otlp/v1/traces");
        posts.into_iter().flat_map(|post| post.resource_spans).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let scopes = self.resources().into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The data points of a histogram in the last request.
    fn points(&self, name: &str) -> Vec<HistogramDataPoint> {
        let posts = self.requests::<ExportMetricsServiceRequest>("/otlp/v1/metrics");
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
            Some(other) => panic!("{name} is not a histogram: {other:?}"),
        }
    }
}

/// Starts a handler behind Easy Auth that exports to `endpoint` without a batch delay.
fn start_app(service: u16, endpoint: &str) -> TestApp {
    let variables = [
        ("WEBSITE_AUTH_ENABLED", "true"),
        ("WEBSITE_SITE_NAME", "chat-of-this-app"),
        ("ChatAllowAnonymous", "true"),
        ("RUST_LOG", "trace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=SECRET%20COLLECTOR"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    TestApp::with_signalr(service, &variables)
}

/// The value of an attribute as text.
fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
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

/// Stops the handler and returns how long that took.
fn stop(app: &mut TestApp) -> Duration {
    let start = Instant::now();
    app.process.signal("TERM");
    assert_eq!(app.process.end().code(), Some(0));
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_whose_response_does_not_end_delays_no_export() {
    let posts = Arc::new(Mutex::new(0));
    let count = posts.clone();
    // More than is read, and then nothing, on a connection that stays open.
    let respond = async move || {
        *count.lock().unwrap() += 1;
        let endless = futures_util::stream::once(async { Ok::<_, std::io::Error>(vec![b' '; 100 * 1024]) });
        axum::body::Body::from_stream(endless.chain(futures_util::stream::pending()))
    };
    let port = test_support::http::serve(Router::new().fallback(respond)).await;
    let service = ScriptedService::start(&[(202, None)]).await;
    let app = start_app(service.port, &format!("http://127.0.0.1:{port}/otlp"));
    for expected in 1..=3 {
        assert_eq!(app.message(&json!({"text": "hi"})).send().await.unwrap().status(), 202);
        wait_until("the next export", || (*posts.lock().unwrap() >= expected).then_some(()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_continues_the_callers_trace_with_service_calls_as_children() {
    let collector = Collector::start().await;
    let service = ScriptedService::start(&[(503, None), (202, None)]).await;
    let mut app = start_app(service.port, &collector.endpoint);
    let request = app.message(&json!({"text": "SECRET TEXT", "recipient": "SECRET RECIPIENT"}));
    let request = request
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .header("tracestate", "vendor=SECRET-STATE")
        .header("x-ms-client-principal-name", "SECRET USER")
        .header("x-azure-functions-invocationid", "call-1")
        .header("authorization", "Bearer SECRET-BEARER");
    assert_eq!(request.send().await.unwrap().status(), 202);

    let spans = wait_until("four spans", || Some(collector.spans()).filter(|spans| spans.len() == 4));
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
        assert_eq!(attribute(&server.attributes, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(attribute(&server.attributes, "error.type"), None);

    let mut attempts: Vec<_> = spans.iter().filter(|span| span.kind() == SpanKind::Client).collect();
    attempts.sort_by_key(|span| span.start_time_unix_nano);
    assert!(attempts.iter().all(|span| span.trace_id == server.trace_id));
    assert!(attempts.iter().all(|span| span.parent_span_id == server.span_id));
    let within = |span: &&&Span| {
        server.start_time_unix_nano <= span.start_time_unix_nano && span.end_time_unix_nano <= server.end_time_unix_nano
    };
    assert_eq!(attempts.iter().filter(within).count(), 3);
    let port = service.port.to_string();
    for span in &attempts {
        assert_eq!(span.name, "POST /api/hubs/{hub}/users/{user}/:send");
        assert_eq!(attribute(&span.attributes, "server.address").as_deref(), Some("127.0.0.1"));
        assert_eq!(attribute(&span.attributes, "server.port").as_deref(), Some(port.as_str()));
    }
    let values = |key| attempts.iter().map(|span| attribute(&span.attributes, key)).collect::<Vec<_>>();
    // Two attempts for the recipient, and one for the sender's own connections.
    let some = |value: &str| Some(value.to_owned());
    assert_eq!(values("http.response.status_code"), [some("503"), some("202"), some("202")]);
    assert_eq!(values("error.type"), [some("503"), None, None]);
    assert_eq!(values("http.request.resend_count"), [None, some("1"), None]);
    assert_eq!(attempts[0].status.as_ref().unwrap().code(), SpanStatus::Error);

    for call in service.calls.lock().unwrap().iter() {
        assert!(!call.headers.contains_key("traceparent") && !call.headers.contains_key("tracestate"));
    }
    let resource = collector.resources().remove(0).resource.unwrap().attributes;
    assert_eq!(attribute(&resource, "service.name").as_deref(), Some("chat-of-this-app"));
    assert!(attribute(&resource, "service.instance.id").is_some());

    stop(&mut app);
    let posts = collector.posts.lock().unwrap();
    assert!(posts.iter().any(|post| post.path == "/otlp/v1/metrics"), "metrics are exported at exit at the latest");
    for post in posts.iter() {
        assert_eq!(post.headers["api-key"], "SECRET COLLECTOR");
        assert_eq!(post.headers["content-type"], "application/x-protobuf");
        let body = String::from_utf8_lossy(&post.body);
        for secret in ["SECRET", KEY, "eyJ", "Bearer"] {
            assert!(!body.contains(secret), "{secret} in {body}");
        }
    }
    let out = app.process.out.text();
    assert!(!out.contains("SECRET"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_rooms_have_the_route_and_no_connection_id() {
    let collector = Collector::start().await;
    let service = RoomService::start(Vec::new()).await;
    let mut app = start_app(service.port, &collector.endpoint);
    for path in ["/API/Rooms/everyone/Members/SECRET-1", "/api/rooms/everyone/members/SECRET-2/x"] {
        assert_eq!(app.request(Method::PUT, path).send().await.unwrap().status(), 404);
    }
    let spans = wait_until("two spans", || Some(collector.spans()).filter(|spans| spans.len() == 2));
    let values: Vec<_> = spans
        .iter()
        .map(|span| {
            let value = |key| attribute(&span.attributes, key).unwrap_or_default();
            [span.name.clone(), value("http.route"), value("url.path")]
        })
        .collect();
    let route = "/api/rooms/{room}/members/{connectionId}";
    assert_eq!(
        values,
        [["RoomMember", route, route], ["unmatched", "", "/api/room"]].map(|names| names.map(str::to_owned))
    );
    stop(&mut app);
    for post in collector.posts.lock().unwrap().iter() {
        let body = String::from_utf8_lossy(&post.body);
        assert!(!body.contains("SECRET-1") && !body.contains("SECRET-2"), "{body}");
    }
    // The filter is `trace`: no library logs them, either.
    let out = app.process.out.text();
    assert!(!out.contains("SECRET"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn histograms_have_known_attributes_only() {
    let collector = Collector::start().await;
    let service = ScriptedService::start(&[(400, None)]).await;
    let mut app = start_app(service.port, &collector.endpoint);
    for _ in 0..3 {
        assert_eq!(app.post("/API/negotiate/?code=SECRET").send().await.unwrap().status(), 200);
    }
    assert_eq!(app.message(&json!({"text": "hi"})).send().await.unwrap().status(), 502);
    for path in ["/unknown-1", "/unknown-2"] {
        let method = Method::from_bytes(b"UNKNOWN").unwrap();
        assert_eq!(app.request(method, path).send().await.unwrap().status(), 404);
    }
    assert_eq!(app.get("/").send().await.unwrap().status(), 200);
    stop(&mut app);

    let served = collector.points("http.server.request.duration");
    let mut counts: Vec<_> = served
        .iter()
        .map(|point| {
            let value = |key| attribute(&point.attributes, key).unwrap_or_default();
            let keys = ["http.request.method", "http.route", "http.response.status_code", "error.type"];
            (keys.map(value).join(" "), point.count)
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
    assert_eq!(attribute(&called[0].attributes, "error.type").as_deref(), Some("400"));
    assert_eq!(attribute(&called[0].attributes, "url.template").as_deref(), Some("/api/hubs/{hub}/:send"));

    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names.iter().filter(|name| *name == "unmatched").count(), 2);
    assert!(!names.contains(&"probe".to_owned()));
    let failed = collector.spans().into_iter().find(|span| span.name == "SendMessage").unwrap();
    assert_eq!(failed.status.unwrap().code(), SpanStatus::Error);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_trace_start_one_and_unsampled_requests_are_not_exported() {
    let collector = Collector::start().await;
    let mut app = start_app(1, &collector.endpoint);
    let unsampled = app.post("/api/negotiate").header("traceparent", format!("00-{TRACE}-{PARENT}-00"));
    unsampled.send().await.unwrap();
    app.post("/api/negotiate").header("traceparent", "nonsense").send().await.unwrap();
    stop(&mut app);
    let spans = collector.spans();
    assert_eq!(spans.len(), 1);
    assert!(spans[0].parent_span_id.is_empty());
    assert_ne!(hex(&spans[0].trace_id), TRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_collector_affects_no_request_and_logs_one_line() {
    let rejecting = Collector::with_status(StatusCode::UNAUTHORIZED).await;
    for (endpoint, part) in [("http://127.0.0.1:1", "cannot be reached"), (rejecting.endpoint.as_str(), "answered 401")]
    {
        let mut app = start_app(1, endpoint);
        for _ in 0..20 {
            assert_eq!(app.post("/api/negotiate").send().await.unwrap().status(), 200);
        }
        app.process.out.line(part);
        assert_eq!(app.post("/api/negotiate").send().await.unwrap().status(), 200);
        stop(&mut app);
        let out = app.process.out.text();
        assert_eq!(out.matches("were not exported").count(), 1, "{out}");
        assert!(!out.contains("SECRET"), "{out}");
        assert_eq!(app.process.err.text(), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_collector_delays_neither_requests_nor_the_exit() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut app = start_app(1, &format!("http://{}", silent.local_addr().unwrap()));
    for _ in 0..20 {
        assert_eq!(app.post("/api/negotiate").send().await.unwrap().status(), 200);
    }
    // The exporter waits for a response.
    silent.set_nonblocking(true).unwrap();
    let _connection = wait_until("the exporter to connect", || silent.accept().ok());
    assert_eq!(app.post("/api/negotiate").send().await.unwrap().status(), 200);
    // The exporter would give up after 10 s and the SDK after 5 s, but a host does not wait that long.
    let took = stop(&mut app);
    assert!(took < Duration::from_secs(4) && took < TEST_TIMEOUT, "{took:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_a_collector_no_export_thread_runs() {
    fn export_threads(handler: &Process) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", handler.child.id())).unwrap();
        let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
        names.filter(|name| name.starts_with("OpenTelemetry")).count()
    }
    let app = TestApp::start();
    assert_eq!(app.post("/api/negotiate").send().await.unwrap().status(), 200);
    assert_eq!(export_threads(&app.process), 0);
    let collector = Collector::start().await;
    let app = self::start_app(1, &collector.endpoint);
    // A thread takes its name when it first runs.
    wait_until("two export threads", || (export_threads(&app.process) == 2).then_some(()));
}
