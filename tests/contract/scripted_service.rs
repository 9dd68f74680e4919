//! A scripted SignalR service: it records all requests and answers them with given statuses, immediately or once released.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
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

/// A status and the value of `Retry-After`.
type Reply = (u16, Option<&'static str>);

pub(crate) struct ScriptedService {
    pub(crate) port: u16,
    pub(crate) calls: Arc<Mutex<Vec<Call>>>,
    arrivals: mpsc::UnboundedReceiver<Instant>,
    released: Arc<Semaphore>,
}

#[derive(Clone)]
struct Script {
    replies: Arc<[Reply]>,
    calls: Arc<Mutex<Vec<Call>>>,
    arrived: mpsc::UnboundedSender<Instant>,
    released: Arc<Semaphore>,
}

impl ScriptedService {
    /// Starts a service that sends the replies in order and repeats the last one.
    pub(crate) async fn start(replies: &[Reply]) -> Self {
        let service = Self::start_held(replies).await;
        service.release();
        service
    }

    /// Starts a service that answers 202, but only after [`release`](Self::release).
    pub(crate) async fn held() -> Self {
        Self::start_held(&[(202, None)]).await
    }

    async fn start_held(replies: &[Reply]) -> Self {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let (calls, released) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let script = Script { replies: replies.into(), calls: Arc::clone(&calls), arrived, released: released.clone() };
        let port = serve(Router::new().fallback(respond).with_state(script)).await;
        Self { port, calls, arrivals, released }
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

async fn respond(State(script): State<Script>, request: Request) -> impl IntoResponse {
    let arrived = Instant::now();
    let (head, body) = request.into_parts();
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
    (StatusCode::from_u16(status).unwrap(), headers, "SECRET-UPSTREAM-TEXT")
}
