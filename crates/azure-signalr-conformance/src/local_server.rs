//! A small HTTP server of our own, for what the service or a client has to reach.
//!
//! It can do what no framework offers: take a request and hang up without an answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// More than any webhook needs.
const LONGEST_BODY: usize = 2 << 20;

/// What arrived.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What is answered.
#[derive(Clone)]
pub(crate) enum Reply {
    Status(u16),
    Body { content_type: Option<&'static str>, bytes: Vec<u8> },
    HangUp,
}

/// Listens until it is dropped.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    pub(crate) async fn start<F>(address: SocketAddr, answer: F) -> io::Result<Self>
    where
        F: Fn(Received) -> Reply + Send + Sync + 'static,
    {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        let task = tokio::spawn(accept(socket, Arc::new(answer)));
        Ok(Self { address, task })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<F: Fn(Received) -> Reply + Send + Sync + 'static>(socket: TcpListener, answer: Arc<F>) {
    // What fails to be accepted was given up by the other side.
    loop {
        let Ok((stream, _)) = socket.accept().await else { continue };
        let answer = answer.clone();
        let service = service_fn(move |request| respond(request, answer.clone()));
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn respond<F: Fn(Received) -> Reply>(
    request: Request<Incoming>,
    answer: Arc<F>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LONGEST_BODY).collect().await.map_err(io::Error::other)?.to_bytes();
    let path = parts.uri.path().to_owned();
    let mut response = Response::new(Full::default());
    match answer(Received { method: parts.method, path, headers: parts.headers, body }) {
        Reply::Status(status) => {
            *response.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
        }
        Reply::Body { content_type, bytes } => {
            *response.body_mut() = Full::from(bytes);
            if let Some(content_type) = content_type {
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
            }
        }
        Reply::HangUp => return Err(io::ErrorKind::ConnectionAborted.into()),
    }
    Ok(response)
}
