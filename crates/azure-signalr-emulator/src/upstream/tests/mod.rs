//! The upstream against real listeners: each test has webhooks of its own on a free port.

mod requests;
mod responses;
mod settings;

use std::fmt::{self, Write as _};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Metadata, Subscriber};

use super::webhook_client::{MAX_RESPONSE_BYTES, WebhookError, WebhookOutcome, WebhookRecord};
use super::{ClientDetails, Completion, Invocation, Upstream, UpstreamReply};
use crate::access_key::random_id;
use crate::access_keys::AccessKeys;
use crate::hub::{ConnectionId, HubName, UserId};
use crate::protocol::{Frame, Protocol};
use crate::{AccessKey, TemplateSource, Templates, UpstreamOptions};

const COMPLETION: &str = "{\"type\":3,\"invocationId\":\"1\",\"result\":42}\u{1e}";

/// A temporary folder, removed on drop.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(random_id());
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that cannot be removed is left behind.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Options that send every event to one URL.
fn options_for(url: &str) -> UpstreamOptions {
    let settings = json!({"UpstreamSettings": {"Templates": [{"UrlTemplate": url}]}}).to_string();
    let templates: Templates = settings.parse().unwrap();
    UpstreamOptions::new(TemplateSource::Fixed(templates))
}

fn upstream(options: UpstreamOptions) -> Upstream {
    Upstream::new(options, AccessKeys::new(&[AccessKey::official_emulator()], None).into())
}

fn alice() -> ClientDetails {
    let claims = json!({"asrs.s.uid": "alice", "color": "blue"});
    client("conn-1", "alice", &claims, "hub=chat&room=7&access_token=hush&id=hush")
}

fn client(connection_id: &str, user: &str, claims: &serde_json::Value, query: &str) -> ClientDetails {
    let (connection_id, hub) = (ConnectionId::new(connection_id), HubName::of_client("chat").unwrap());
    ClientDetails::new(connection_id, hub, UserId::new(user), &URL_SAFE_NO_PAD.encode(claims.to_string()), query)
}

/// An invocation of `Foo` by a JSON client.
fn foo(invocation_id: Option<&str>) -> Invocation<'_> {
    let forwarded = Bytes::from_static(br#"{"type":1,"target":"Foo","arguments":[1]}"#);
    Invocation { target: "Foo", invocation_id, protocol: Protocol::Json, forwarded }
}

async fn invoke(upstream: &Upstream) -> UpstreamReply {
    upstream.invoke(&alice(), &foo(Some("1"))).await
}

/// What a client that invokes `Foo` gets from the webhook.
async fn completion_from(webhook: &Webhook) -> Completion {
    invoke(&upstream(options_for(&webhook.url("/")))).await.completion
}

fn error(error: &str) -> Completion {
    Completion::Error(error.to_owned())
}

/// A webhook that listens on a free port until it is dropped.
pub(super) struct Webhook {
    address: String,
    received: tokio::sync::Mutex<mpsc::UnboundedReceiver<ReceivedRequest>>,
    listening: JoinHandle<()>,
}

/// A request, read as raw headers and bytes.
#[derive(Debug, Clone)]
pub(super) struct ReceivedRequest {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl ReceivedRequest {
    /// The header as UTF-8; empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| std::str::from_utf8(value.as_bytes()).unwrap())
    }
}

impl Webhook {
    /// Answers each request with `answer`.
    pub(super) async fn start<R, F>(answer: impl Fn(ReceivedRequest) -> F + Send + Sync + 'static) -> Self
    where
        R: IntoResponse,
        F: Future<Output = R> + Send + 'static,
    {
        let (sender, received) = mpsc::unbounded_channel();
        let answer = Arc::new(answer);
        let router = Router::new().fallback(async move |request: Request| -> Response {
            let received = receive(request).await;
            // The test may be over.
            let _ = sender.send(received.clone());
            answer(received).await.into_response()
        });
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", socket.local_addr().unwrap());
        let listening = tokio::spawn(async move { axum::serve(socket, router).await.unwrap() });
        Self { address, received: tokio::sync::Mutex::new(received), listening }
    }

    /// Answers every request with the same response.
    pub(super) async fn returning<R: IntoResponse + Clone + Send + Sync + 'static>(answer: R) -> Self {
        Self::start(move |_| std::future::ready(answer.clone())).await
    }

    pub(super) fn url(&self, target: &str) -> String {
        [&self.address, target].concat()
    }

    /// The next request.
    pub(super) async fn received(&self) -> ReceivedRequest {
        self.received.lock().await.recv().await.expect("the listener lives as long as its handle")
    }

    /// Whether there is no request that `received` has not returned.
    pub(super) async fn is_quiet(&self) -> bool {
        self.received.lock().await.is_empty()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn receive(request: Request) -> ReceivedRequest {
    let (parts, body) = request.into_parts();
    let (method, target) = (parts.method.to_string(), parts.uri.to_string());
    let body = to_bytes(body, usize::MAX).await.unwrap();
    ReceivedRequest { method, target, headers: parts.headers, body }
}

/// Records every line that this thread logs, until it is dropped.
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

impl Log {
    pub(crate) fn new() -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let guard = tracing::subscriber::set_default(LineRecorder(lines.clone()));
        Self { lines, _guard: guard }
    }

    /// Level, message and fields of each line.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

struct LineRecorder(Arc<Mutex<Vec<String>>>);

impl Subscriber for LineRecorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}
