//! Serves a router on loopback, and rejects requests whose `Host` header is another name: see [`http_server::has_allowed_host`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http_server::{Grace, Limits, RequestBody, has_allowed_host};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tower::ServiceExt as _;

use crate::responses::error_response;

/// The time that running requests have after the shutdown begins.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves `router` at every listener until `shutdown`, then waits up to one second for running requests. Only requests to a loopback name
/// or to one of `allowed_hosts` reach it.
pub(crate) async fn serve(
    router: Router,
    listeners: Vec<TcpListener>,
    allowed_hosts: Vec<String>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let router = only_known_hosts(router, allowed_hosts.into());
    let with_peer = move |peer| {
        router.clone().map_request(move |mut request: axum::http::Request<RequestBody>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        })
    };
    let shutdown = async {
        shutdown.await;
        Grace(sleep(DRAIN_TIMEOUT))
    };
    http_server::serve(listeners, with_peer, Limits::default(), shutdown).await
}

/// Answers 421 to requests whose host is neither a loopback name nor one of `hosts`.
fn only_known_hosts(router: Router, hosts: Arc<[String]>) -> Router {
    Router::new().fallback_service(router).layer(from_fn_with_state(hosts, check))
}

async fn check(State(hosts): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    if has_allowed_host(request.uri(), request.headers(), &hosts) {
        return next.run(request).await;
    }
    tracing::warn!("rejected a request whose Host is not a loopback name");
    error_response(
        StatusCode::MISDIRECTED_REQUEST,
        "host_not_allowed",
        "This server answers only to localhost: open it as http://localhost with its port, or name the host with --host.",
    )
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn only_requests_to_a_loopback_name_or_an_allowed_host_reach_the_router() {
        for (path, host, status) in [
            ("/", "localhost:1", 200),
            ("/", "Chat.Example:5500", 200),
            ("/", "evil.example", 421),
            ("/nowhere", "evil.example", 421),
            ("/nowhere", "localhost", 404),
        ] {
            let router =
                only_known_hosts(Router::new().route("/", get(|| async { "in" })), ["chat.example".into()].into());
            let request = Request::get(path).header("host", host).body(Body::empty()).unwrap();
            assert_eq!(router.oneshot(request).await.unwrap().status(), status, "{path} {host}");
        }
    }
}
