//! The HTTP servers of the benchmark: a minimal server on hyper, and on it the fake SignalR service that receives the messages.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::common::Result;

/// A response body in memory.
pub(crate) type Body = Full<Bytes>;

/// Serves every request on `socket` with `handler`, until the process ends.
pub(crate) async fn serve<A, F>(socket: TcpListener, handler: A) -> Result<Infallible>
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send,
{
    loop {
        let (stream, _) = socket.accept().await?;
        stream.set_nodelay(true)?;
        let handler = handler.clone();
        let service = service_fn(move |request| {
            let handler = handler.clone();
            async move { Ok::<_, Infallible>(handler(request).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// A response with `status` and `body`.
pub(crate) fn response(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}

/// The access key of the service.
pub(crate) const KEY: &str = "the-access-key-of-this-benchmark-service";

/// A service that accepts every message without checking its token. It runs on its own thread until the process ends.
pub(crate) struct SignalRService {
    port: u16,
    received: Arc<Mutex<Received>>,
}

/// The number of received messages, and the last request.
#[derive(Clone, Default)]
pub(crate) struct Received {
    pub(crate) messages: u64,
    pub(crate) last: Option<(Parts, Bytes)>,
}

impl SignalRService {
    /// Starts the service on a free port.
    pub(crate) fn start() -> Result<Self> {
        let received = Arc::<Mutex<Received>>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let port = socket.local_addr()?.port();
        let recorded = received.clone();
        thread::spawn(move || {
            let serving = serve(socket, move |request| {
                let recorded = recorded.clone();
                async move { accept(request, &recorded).await }
            });
            // If it fails, the targets cannot publish, and the run ends with an error.
            drop(runtime.block_on(serving));
        });
        Ok(Self { port, received })
    }

    /// The base address, with a slash at the end.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// The connection string.
    pub(crate) fn connection_string(&self) -> String {
        format!("Endpoint={};AccessKey={};Version=1.0;", self.endpoint(), KEY)
    }

    /// What the service has received so far.
    pub(crate) fn received(&self) -> Received {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(request: Request<Incoming>, received: &Mutex<Received>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return response(StatusCode::BAD_REQUEST, "") };
    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
    received.messages += 1;
    received.last = Some((parts, body.to_bytes()));
    response(StatusCode::ACCEPTED, "")
}
