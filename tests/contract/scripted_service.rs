//! A scripted SignalR service: it records all sends and answers them with given statuses, immediately or once released. It has an answer
//! of its own to the question whether a user is connected.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use serde_json::Value;
use test_support::http::serve;
use tokio::sync::{Semaphore, mpsc};

use crate::test_app::{KEY, TEST_TIMEOUT};

/// A received request.
pub(crate) struct Call {
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A status and the value of `Retry-After`. The status 0 stands for no answer at all.
type Reply = (u16, Option<&'static str>);
/// A status and the value of `x-ms-error-code`, if not empty. The status 0 stands for no answer at all.
type CheckReply = (u16, &'static str);

pub(crate) struct ScriptedService {
    pub(crate) port: u16,
    pub(crate) calls: Arc<Mutex<Vec<Call>>>,
    /// The targets of the requests that ask whether a user is connected.
    pub(crate) checks: Arc<Mutex<Vec<String>>>,
    arrivals: mpsc::UnboundedReceiver<Instant>,
    released: Arc<Semaphore>,
}

#[derive(Clone)]
struct Script {
    replies: Arc<[Reply]>,
    check_reply: CheckReply,
    calls: Arc<Mutex<Vec<Call>>>,
    checks: Arc<Mutex<Vec<String>>>,
    arrived: mpsc::UnboundedSender<Instant>,
    released: Arc<Semaphore>,
}

impl ScriptedService {
    /// Starts a service that sends the replies in order and repeats the last one.
    pub(crate) async fn start(replies: &[Reply]) -> Self {
        Self::start_with_check(replies, (200, "")).await
    }

    /// Does the same, and answers with `check_reply` whether a user is connected.
    pub(crate) async fn start_with_check(replies: &[Reply], check_reply: CheckReply) -> Self {
        let service = Self::start_held(replies, check_reply).await;
        service.release();
        service
    }

    /// Starts a service that answers 202, but only after [`release`](Self::release).
    pub(crate) async fn held() -> Self {
        Self::start_held(&[(202, None)], (200, "")).await
    }

    async fn start_held(replies: &[Reply], check_reply: CheckReply) -> Self {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let released = Arc::new(Semaphore::new(0));
        let (calls, checks) = (Arc::default(), Arc::default());
        let script = Script {
            replies: replies.into(),
            check_reply,
            calls: Arc::clone(&calls),
            checks: Arc::clone(&checks),
            arrived,
            released: released.clone(),
        };
        let port = serve(Router::new().fallback(respond).with_state(script)).await;
        Self { port, calls, checks, arrivals, released }
    }

    /// The connection string.
    pub(crate) fn connection(&self) -> String {
        format!("Endpoint=http://127.0.0.1:{};AccessKey={KEY};Version=1.0;", self.port)
    }

    /// Waits for the next request and returns when it arrived.
    pub(crate) async fn next_call(&mut self) -> Instant {
        tokio::time::timeout(TEST_TIMEOUT, self.arrivals.recv()).await.unwrap().unwrap()
    }

    /// Answers all requests, waiting and future ones.
    pub(crate) fn release(&self) {
        self.released.close();
    }
}

async fn respond(State(script): State<Script>, request: Request) -> Response {
    let arrived = Instant::now();
    let (head, body) = request.into_parts();
    if head.method == Method::HEAD {
        script.checks.lock().unwrap().push(head.uri.to_string());
        let (status, code) = script.check_reply;
        let headers = AppendHeaders((!code.is_empty()).then_some(("x-ms-error-code", code)));
        return (status_or_never(status).await, headers).into_response();
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap();
    let number = {
        let mut calls = script.calls.lock().unwrap();
        calls.push(Call { target: head.uri.to_string(), headers: head.headers, body });
        calls.len() - 1
    };
    // Fails after the test has dropped the service.
    let _ = script.arrived.send(arrived);
    // The semaphore is closed on release.
    let _ = script.released.acquire().await;
    let (status, retry_after) = script.replies[number.min(script.replies.len() - 1)];
    let headers = AppendHeaders(retry_after.map(|seconds| ("retry-after", seconds)));
    (status_or_never(status).await, headers, "SECRET-UPSTREAM-TEXT").into_response()
}

async fn status_or_never(status: u16) -> StatusCode {
    if status == 0 {
        std::future::pending::<()>().await;
    }
    StatusCode::from_u16(status).unwrap()
}
