//! HTTP servers of the suite: `LocalServer` receives requests, `NegotiateServer` redirects published clients to the service.
//!
//! Built on hyper, since a case has to close a connection without a response, which web frameworks do not offer.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::service::Service;

/// The maximum size of a request body, in bytes; larger than any webhook.
const MAX_BODY_BYTES: usize = 2 << 20;

/// A request that a server received.
#[derive(Clone)]
pub(crate) struct ReceivedRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl ReceivedRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What a server does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    Status(u16),
    Body { content_type: Option<&'static str>, bytes: Vec<u8> },
    CloseConnection,
}

pub(crate) type Handler = Arc<dyn Fn(&ReceivedRequest) -> Reply + Send + Sync>;

/// An HTTP/1.1 server that runs until it is dropped.
pub(crate) struct LocalServer {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl LocalServer {
    pub(crate) async fn start(address: SocketAddr, handler: Handler) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, handler));
        Ok(Self { address, task })
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, handler: Handler) {
    loop {
        // A failed accept means that the peer has closed the connection.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let handler = handler.clone();
        let service = service_fn(move |request| respond(request, handler.clone()));
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn respond(request: Request<Incoming>, handler: Handler) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(io::Error::other)?.to_bytes();
    let path = parts.uri.path().to_owned();
    let mut response = Response::new(Full::default());
    match handler(&ReceivedRequest { method: parts.method, path, headers: parts.headers, body }) {
        Reply::Status(status) => {
            *response.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
        }
        Reply::Body { content_type, bytes } => {
            *response.body_mut() = Full::from(bytes);
            if let Some(content_type) = content_type {
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
        }
        Reply::CloseConnection => return Err(io::ErrorKind::ConnectionAborted.into()),
    }
    Ok(response)
}

/// The negotiate endpoints of a run, each at its own path, as an app server has one.
///
/// A client that negotiates receives the URL of the service and an access token.
pub(crate) struct NegotiateServer {
    endpoints: Arc<Mutex<HashMap<String, NegotiateEndpoint>>>,
    server: LocalServer,
}

struct NegotiateEndpoint {
    hub: String,
    claims: Value,
    calls: usize,
}

impl NegotiateServer {
    pub(crate) async fn start(service: Arc<Service>) -> io::Result<Self> {
        let endpoints: Arc<Mutex<HashMap<String, NegotiateEndpoint>>> = Arc::default();
        let shared = endpoints.clone();
        let handler = move |request: &ReceivedRequest| negotiate(&service, &shared, request);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = LocalServer::start(address, Arc::new(handler)).await?;
        Ok(Self { endpoints, server })
    }

    /// Adds an endpoint for a hub whose tokens have these claims; returns the URL for clients.
    pub(crate) fn add(&self, name: &str, hub: &str, claims: &Value) -> String {
        let endpoint = NegotiateEndpoint { hub: hub.to_owned(), claims: claims.clone(), calls: 0 };
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), endpoint);
        let mut url = Url::parse("http://127.0.0.1").expect("a valid URL");
        url.set_port(Some(self.server.address.port())).expect("http URLs have ports");
        url.set_path(name);
        url.into()
    }

    /// The number of negotiate requests for an endpoint.
    pub(crate) fn calls(&self, name: &str) -> usize {
        let endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        endpoints.get(name).map_or(0, |endpoint| endpoint.calls)
    }
}

fn negotiate(
    service: &Service,
    endpoints: &Mutex<HashMap<String, NegotiateEndpoint>>,
    request: &ReceivedRequest,
) -> Reply {
    let mut endpoints = endpoints.lock().unwrap_or_else(PoisonError::into_inner);
    let name = request.path.trim_start_matches('/').strip_suffix("/negotiate").unwrap_or_default();
    let Some(endpoint) = endpoints.get_mut(name) else { return Reply::Status(404) };
    if request.method != Method::POST {
        return Reply::Status(405);
    }
    endpoint.calls += 1;
    let response = json!({
        "url": service.client_url(&[], &[("hub", &endpoint.hub)]).as_str(),
        "accessToken": service.token(&service.client_audience(&endpoint.hub), &endpoint.claims).0,
    });
    Reply::Body { content_type: Some("application/json"), bytes: response.to_string().into_bytes() }
}
