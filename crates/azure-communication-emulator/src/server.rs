//! `Emulator::serve`: the HTTP server, its check of the `Host` header, and the handler of the identity API.
//!
//! A loopback address alone does not keep web pages out: a site can point a name of its own at 127.0.0.1 (DNS rebinding) and
//! read the responses as its own. Such requests carry that name in `Host`, so other names are rejected.
//!
//! The log names operations, not paths: those contain ids of users.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
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
        let service = router(self.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let (shutdown_sender, _) = watch::channel(());
        let mut servers = JoinSet::new();
        for listener in listeners {
            let mut receiver = shutdown_sender.subscribe();
            // The channel closes at shutdown, or when this future is dropped.
            let closed = async move { while receiver.changed().await.is_ok() {} };
            let listener = listener.tap_io(|stream| {
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%error, "TCP_NODELAY could not be set");
                }
            });
            let server = axum::serve(listener, service.clone()).with_graceful_shutdown(closed);
            servers.spawn(server.into_future());
        }
        shutdown.await;
        drop(shutdown_sender);
        let finished = async {
            while let Some(result) = servers.join_next().await {
                result.map_err(io::Error::other)??;
            }
            Ok(())
        };
        tokio::time::timeout(SHUTDOWN_TIMEOUT, finished).await.unwrap_or(Ok(()))
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
    if has_allowed_host(&request, &emulator.allowed_hosts) {
        return next.run(request).await;
    }
    warn!("a request failed with 421: its Host is neither a loopback name nor allowed");
    let message =
        "The Host of this request is neither a loopback name nor one of `allowed_hosts`: use http://localhost.";
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, "HostNotAllowed", message).into_response()
}

/// The request target may name a host as well, and takes precedence (RFC 9112, section 3.2.2); both must be allowed.
fn has_allowed_host(request: &Request, allowed: &[String]) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    host.to_str().is_ok_and(|host| is_allowed(host, allowed))
        && request.uri().authority().is_none_or(|target| is_allowed(target.as_str(), allowed))
}

/// Whether `authority` (`host` or `host:port`) names this machine's loopback (`localhost`, a name below it, 127.0.0.0/8,
/// `[::1]`) or one of the `allowed` hosts.
fn is_allowed(authority: &str, allowed: &[String]) -> bool {
    let Ok(parsed) = authority.parse::<Authority>() else { return false };
    let has_valid_port = parsed.port().is_some() || parsed.host() == authority;
    let is_well_formed = !authority.contains('@') && has_valid_port;
    let host = parsed.host().to_ascii_lowercase();
    is_well_formed && (is_loopback(&host) || allowed.iter().any(|name| name.eq_ignore_ascii_case(&host)))
}

fn is_loopback(host: &str) -> bool {
    let below_localhost = host.strip_suffix(".localhost").is_some_and(|name| !name.is_empty());
    let v4 = host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    host == "localhost" || host == "[::1]" || below_localhost || v4
}

/// Rejects requests of the control API from other machines, to other names, and from web pages, which send an `Origin`.
async fn require_local_program(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    let peer: IpAddr = peer.ip().to_canonical();
    if peer.is_loopback() && has_allowed_host(&request, &[]) && !request.headers().contains_key(header::ORIGIN) {
        return next.run(request).await;
    }
    let message = "The control API serves programs on this machine only: a loopback Host, no Origin.";
    ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_recognized() {
        let names = "localhost localhost:7071 LOCALHOST:1 chat.localhost:80 127.0.0.1 127.0.0.1:5500 127.9.8.7:1 \
                     [::1] [::1]:8888";
        for name in names.split(' ') {
            assert!(is_allowed(name, &[]), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_loopback() {
        let names = ":80 example.com localhost.example.com evil-localhost .localhost 127.0.0.1.example.com \
                     127.0.0.1.nip.io:7071 128.0.0.1 10.0.0.1 0.0.0.0 [::] [::]:1 [::2] ::1 127.1 0x7f.0.0.1 \
                     localhost@example.com localhost:7071@example.com user@localhost localhost:99999 localhost:x \
                     localhost/ lоcalhost";
        for name in names.split(' ').chain(["", "localhost, example.com", "localhost example.com"]) {
            assert!(!is_allowed(name, &[]), "{name}");
        }
    }

    #[test]
    fn allowed_hosts_extend_the_loopback_names() {
        let allowed = ["emulator.example".to_owned()];
        assert!(is_allowed("Emulator.Example:80", &allowed) && is_allowed("localhost", &allowed));
        assert!(!is_allowed("other.example", &allowed) && !is_allowed("x@emulator.example", &allowed));
    }
}
