//! Serves a router on loopback, and rejects requests whose `Host` header is another name.
//!
//! Listening on loopback is not enough against DNS rebinding: a web site can point a host name of its own at 127.0.0.1 and then read the
//! responses. Such a request has that name in `Host`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::responses::error_response;

/// The time that running requests have after the shutdown begins.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves `router` at every listener until `shutdown`, then waits up to one second for running requests. Only requests to a loopback name
/// or to one of `allowed_hosts` (in lower case) reach it.
pub(crate) async fn serve(
    router: Router,
    listeners: Vec<TcpListener>,
    allowed_hosts: Vec<String>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let router = only_known_hosts(router, allowed_hosts.into());
    let (stop, _) = watch::channel(());
    let mut servers = JoinSet::new();
    for listener in listeners {
        let mut stopped = stop.subscribe();
        let stopped = async move { while stopped.changed().await.is_ok() {} };
        // Responses are small and complete: Nagle's algorithm only delays them.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let service = router.clone().into_make_service_with_connect_info::<SocketAddr>();
        servers.spawn(axum::serve(listener, service).with_graceful_shutdown(stopped).into_future());
    }
    shutdown.await;
    drop(stop);
    let drained = async {
        while let Some(ended) = servers.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        Ok(())
    };
    tokio::time::timeout(DRAIN_TIMEOUT, drained).await.unwrap_or_else(|_| {
        tracing::info!("closed requests that took longer than a second to end");
        Ok(())
    })
}

/// Answers 421 to requests whose host is neither a loopback name nor one of `hosts` (in lower case).
fn only_known_hosts(router: Router, hosts: Arc<[String]>) -> Router {
    Router::new().fallback_service(router).layer(from_fn_with_state(hosts, check))
}

async fn check(State(hosts): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    if has_known_host(&request, &hosts) {
        return next.run(request).await;
    }
    tracing::warn!("rejected a request whose Host is not a loopback name");
    error_response(
        StatusCode::MISDIRECTED_REQUEST,
        "host_not_allowed",
        "This server answers only to localhost: open it as http://localhost with its port, or name the host with --host.",
    )
}

/// The request line may name a host too, which takes precedence, so both are checked.
fn has_known_host(request: &Request, known_hosts: &[String]) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let is_known = |authority: &str| is_loopback(authority) || is_one_of(known_hosts, authority);
    host.to_str().is_ok_and(is_known) && request.uri().authority().is_none_or(|named| is_known(named.as_str()))
}

fn is_one_of(hosts: &[String], authority: &str) -> bool {
    host_of(authority).is_some_and(|name| hosts.contains(&name))
}

/// Whether `authority` (`host` or `host:port`) names this machine's loopback: `localhost`, anything under it, a
/// 127.0.0.0/8 address, `[::1]`.
fn is_loopback(authority: &str) -> bool {
    host_of(authority).is_some_and(|host| is_loopback_name(&host))
}

/// The host of `host` or `host:port` in lower case, if it is well-formed.
fn host_of(authority: &str) -> Option<String> {
    let parsed = authority.parse::<Authority>().ok()?;
    let has_good_port = parsed.port().is_some() || parsed.host() == authority;
    (!authority.contains('@') && has_good_port).then(|| parsed.host().to_ascii_lowercase())
}

fn is_loopback_name(host: &str) -> bool {
    let inside_localhost = host.strip_suffix(".localhost").is_some_and(|name| !name.is_empty());
    let v4 = host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    host == "localhost" || host == "[::1]" || inside_localhost || v4
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[test]
    fn loopback_names_are_recognized() {
        for name in [
            "localhost", "localhost:7071", "LOCALHOST:1", "chat.localhost:80", "127.0.0.1", "127.0.0.1:5500",
            "127.9.8.7:1", "[::1]", "[::1]:8888",
        ] {
            assert!(is_loopback(name), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_loopback() {
        for name in [
            "", ":80", "example.com", "localhost.example.com", "evil-localhost", ".localhost", "127.0.0.1.example.com",
            "127.0.0.1.nip.io:7071", "128.0.0.1", "10.0.0.1", "0.0.0.0", "[::]", "[::2]", "::1", "127.1", "0x7f.0.0.1",
            "localhost@example.com", "localhost:7071@example.com", "user@localhost", "localhost:99999", "localhost:x",
            "localhost/", "localhost, example.com", "localhost example.com", "lоcalhost",
        ] {
            assert!(!is_loopback(name), "{name}");
        }
    }

    async fn status(request: axum::http::request::Builder) -> StatusCode {
        let hosts = ["chat.example".to_owned()].into();
        let router = only_known_hosts(Router::new().route("/", get(|| async { "in" })), hosts);
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn requests_to_a_loopback_name_are_accepted() {
        assert_eq!(status(Request::get("/").header("host", "localhost:1")).await, StatusCode::OK);
        assert_eq!(status(Request::get("/").header("host", "evil.example")).await, StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(status(Request::get("/nowhere").header("host", "evil.example")).await, 421);
        assert_eq!(status(Request::get("/")).await, StatusCode::MISDIRECTED_REQUEST);
    }

    #[tokio::test]
    async fn an_allowed_host_is_accepted_and_similar_names_are_not() {
        for known in ["chat.example", "Chat.Example:5500"] {
            assert_eq!(status(Request::get("/").header("host", known)).await, 200, "{known}");
        }
        for other in
            ["a.chat.example", "chat.example.evil", "chat.example@evil.example", "user@chat.example", "chat.example:x"]
        {
            assert_eq!(status(Request::get("/").header("host", other)).await, 421, "{other}");
        }
    }

    #[tokio::test]
    async fn a_second_host_is_rejected() {
        let twice = Request::get("/").header("host", "localhost").header("host", "evil.example");
        assert_eq!(status(twice).await, StatusCode::MISDIRECTED_REQUEST);
        let in_the_line = Request::get("http://evil.example/").header("host", "localhost");
        assert_eq!(status(in_the_line).await, StatusCode::MISDIRECTED_REQUEST);
    }
}
