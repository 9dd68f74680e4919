//! `Emulator::serve`: the HTTP server, its check of the `Host` header, and the handler of the identity API.
//!
//! The log names operations, not paths: those contain ids of users.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http_server::{Grace, Limits, RequestBody, has_allowed_host};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::access_keys::random_bytes;
use crate::control_api;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::identity_api::{Route, SUPPORTED_VERSIONS};
use crate::request_body;
use crate::resource::{ApiRequest, ApiResponse};

/// The time that requests in progress get to finish after the shutdown signal.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// The client's name for a request, repeated in the response.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const API_SUPPORTED_VERSIONS: HeaderName = HeaderName::from_static("api-supported-versions");
const CORRELATION_VECTOR: HeaderName = HeaderName::from_static("ms-cv");

impl Emulator {
    /// Serves the identity API over HTTP/1.1 on all listeners until `shutdown` completes.
    ///
    /// Then no connection is accepted any more, and requests in progress have one second to finish. Dropping the future stops
    /// accepting, too. Requests must carry a loopback name or one of [`Options::allowed_hosts`](crate::Options::allowed_hosts)
    /// in `Host`; others fail with 421. With [`Options::control_api`](crate::Options::control_api) the control API is served
    /// below `/_emulator/`, for requests from this machine to a loopback name and without an `Origin`; others fail with 403.
    ///
    /// # Errors
    ///
    /// When a server fails.
    pub async fn serve(
        &self,
        listeners: Vec<TcpListener>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let router = router(self.clone());
        let with_peer = move |peer| {
            router.clone().map_request(move |mut request: axum::http::Request<RequestBody>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                request
            })
        };
        let shutdown = async {
            shutdown.await;
            Grace(sleep(SHUTDOWN_TIMEOUT))
        };
        http_server::serve(listeners, with_peer, Limits::default(), shutdown).await
    }
}

fn router(emulator: Emulator) -> Router {
    // A fallback receives every path unchanged, as it was signed.
    let mut router = Router::new().fallback(respond).with_state(emulator.clone());
    if emulator.has_control_api {
        let control = control_api::router(emulator.clone());
        router = router.merge(control.route_layer(middleware::from_fn(require_local_program)));
    }
    router.layer(middleware::from_fn_with_state(emulator, check_host))
}

async fn respond(State(emulator): State<Emulator>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let route = Route::parse(&parts.method, &parts.uri);
    let operation = route.as_ref().map_or("unknown operation", |route| route.operation.as_str());
    let request_id = parts.headers.get(CLIENT_REQUEST_ID).cloned();
    let body = request_body::read(body).await;
    let result = emulator.respond(ApiRequest { route, parts, body });
    log(operation, &result);
    let mut response = result.into_response();
    add_common_headers(response.headers_mut(), request_id);
    response
}

fn add_common_headers(headers: &mut HeaderMap, request_id: Option<HeaderValue>) {
    headers.insert(API_SUPPORTED_VERSIONS, HeaderValue::from_static(SUPPORTED_VERSIONS));
    // A correlation vector is 22 characters of base64, a dot and a number.
    if let Ok(vector) = HeaderValue::try_from(STANDARD_NO_PAD.encode(random_bytes::<16>()) + ".0") {
        headers.insert(CORRELATION_VECTOR, vector);
    }
    if let Some(id) = request_id {
        headers.insert(CLIENT_REQUEST_ID, id);
    }
}

impl IntoResponse for ApiResponse {
    fn into_response(self) -> Response {
        let Some(body) = self.body else { return self.status.into_response() };
        let content_type = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
        (self.status, content_type, Json(body)).into_response()
    }
}

fn log(operation: &str, result: &Result<ApiResponse, ApiError>) {
    match result {
        Ok(ApiResponse { status, .. }) => {
            let status = status.as_u16();
            debug!(operation, status, "{operation} succeeded with {status}");
        }
        Err(error) => {
            let (status, message) = (error.status().as_u16(), error.log_message());
            warn!(operation, status, "{operation} failed with {status}: {message}");
        }
    }
}

/// Rejects requests for a host that is neither a loopback name nor allowed.
async fn check_host(State(emulator): State<Emulator>, request: Request, next: Next) -> Response {
    if has_allowed_host(request.uri(), request.headers(), &emulator.allowed_hosts) {
        return next.run(request).await;
    }
    warn!("a request failed with 421: its Host is neither a loopback name nor allowed");
    let message =
        "The Host of this request is neither a loopback name nor one of `allowed_hosts`: use http://localhost.";
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, "HostNotAllowed", message).into_response()
}

/// Rejects requests of the control API from other machines, to other names, and from web pages, which send an `Origin`.
async fn require_local_program(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    let peer: IpAddr = peer.ip().to_canonical();
    if peer.is_loopback()
        && has_allowed_host(request.uri(), request.headers(), &[])
        && !request.headers().contains_key(header::ORIGIN)
    {
        return next.run(request).await;
    }
    let message = "The control API serves programs on this machine only: a loopback Host, no Origin.";
    ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message).into_response()
}
