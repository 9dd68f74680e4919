//! A listener that tells what it heard.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

/// Listens on a free port until it is dropped.
pub(super) struct Webhook {
    address: String,
    heard: Mutex<mpsc::UnboundedReceiver<Heard>>,
    listening: JoinHandle<()>,
}

/// One post.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Heard {
    /// The header as UTF-8; empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| std::str::from_utf8(value.as_bytes()).unwrap())
    }
}

impl Webhook {
    /// Answers each post as told.
    pub(super) async fn answering<R, F>(answer: impl Fn(Heard) -> F + Send + Sync + 'static) -> Self
    where
        R: IntoResponse,
        F: Future<Output = R> + Send + 'static,
    {
        let (tell, heard) = mpsc::unbounded_channel();
        let answer = Arc::new(answer);
        let router = Router::new().fallback(async move |request: Request| -> Response {
            let heard = hear(request).await;
            // A test that is over does not listen.
            let _ = tell.send(heard.clone());
            answer(heard).await.into_response()
        });
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", socket.local_addr().unwrap());
        let listening = tokio::spawn(async move { axum::serve(socket, router).await.unwrap() });
        Self { address, heard: Mutex::new(heard), listening }
    }

    /// Answers everything alike.
    pub(super) async fn saying<R: IntoResponse + Clone + Send + Sync + 'static>(answer: R) -> Self {
        Self::answering(move |_| std::future::ready(answer.clone())).await
    }

    pub(super) fn url(&self, target: &str) -> String {
        [&self.address, target].concat()
    }

    /// The next post.
    pub(super) async fn heard(&self) -> Heard {
        self.heard.lock().await.recv().await.expect("the listener lives as long as its handle")
    }

    /// Whether nothing was posted that `heard` has not returned yet.
    pub(super) async fn is_quiet(&self) -> bool {
        self.heard.lock().await.is_empty()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn hear(request: Request) -> Heard {
    let (parts, body) = request.into_parts();
    Heard {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: to_bytes(body, usize::MAX).await.unwrap(),
    }
}
