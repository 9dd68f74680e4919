//! A service that answers as it was told, or when it is told to, and keeps what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use crate::test_app::{KEY, PATIENCE};

/// One call, as it came.
pub(crate) struct Call {
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A status, and what it says in `Retry-After`.
type Answer = (u16, Option<&'static str>);

pub(crate) struct Service {
    pub(crate) port: u16,
    pub(crate) calls: Arc<Mutex<Vec<Call>>>,
    arrivals: mpsc::UnboundedReceiver<Instant>,
    released: Arc<Semaphore>,
}

#[derive(Clone)]
struct Script {
    answers: Arc<[Answer]>,
    calls: Arc<Mutex<Vec<Call>>>,
    arrived: mpsc::UnboundedSender<Instant>,
    released: Arc<Semaphore>,
}

impl Service {
    /// Gives the answers one after the other, the last one for ever.
    pub(crate) async fn start(answers: &[Answer]) -> Self {
        let service = Self::scripted(answers).await;
        service.release();
        service
    }

    /// Takes every call and answers none until it is released.
    pub(crate) async fn held() -> Self {
        Self::scripted(&[(202, None)]).await
    }

    async fn scripted(answers: &[Answer]) -> Self {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let (calls, released) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let script = Script {
            answers: answers.into(),
            calls: Arc::clone(&calls),
            arrived,
            released: released.clone(),
        };
        let socket = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let app = Router::new().fallback(answer).with_state(script);
        tokio::spawn(async move { axum::serve(socket, app).await });
        Self { port, calls, arrivals, released }
    }

    /// The connection string to it.
    pub(crate) fn connection(&self) -> String {
        format!("Endpoint=http://127.0.0.1:{};AccessKey={KEY};Version=1.0;", self.port)
    }

    /// When the next call arrived, as soon as it has.
    pub(crate) async fn next_call(&mut self) -> Instant {
        tokio::time::timeout(PATIENCE, self.arrivals.recv()).await.unwrap().unwrap()
    }

    /// Answers what was held, and all that comes after it.
    pub(crate) fn release(&self) {
        self.released.close();
    }
}

async fn answer(State(script): State<Script>, request: Request) -> impl IntoResponse {
    let arrived = Instant::now();
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap();
    let number = {
        let mut calls = script.calls.lock().unwrap();
        calls.push(Call { target: head.uri.to_string(), headers: head.headers, body });
        calls.len() - 1
    };
    // A test that does not ask for arrivals lets them lie.
    let _ = script.arrived.send(arrived);
    // Closed is released.
    let _ = script.released.acquire().await;
    let (status, retry_after) = script.answers[number.min(script.answers.len() - 1)];
    let headers = AppendHeaders(retry_after.map(|seconds| ("retry-after", seconds)));
    (StatusCode::from_u16(status).unwrap(), headers, "SECRET-UPSTREAM-WORDS")
}
