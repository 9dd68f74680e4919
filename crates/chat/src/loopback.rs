//! `localhost`, and nothing else: the sockets all local servers listen on, and the check that keeps other names out.
//!
//! Listening on loopback alone does not keep web pages out: any site can point a name of its own at 127.0.0.1 and
//! then read what we answer as if it were its own. Such a request still carries that name as its `Host`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};

use crate::error_response::error_response;

/// How often a port that is free for IPv4 may turn out to be taken for IPv6 before we give up.
const ATTEMPTS: u32 = 16;

/// A listener on 127.0.0.1 and, where the machine has IPv6, on `[::1]` with the same port: what browsers may mean by
/// `localhost`.
#[derive(Debug)]
pub(crate) struct Loopback {
    v4: TcpListener,
    v6: Option<TcpListener>,
    port: u16,
}

impl Loopback {
    /// Binds `port`, or with 0 a port that is free on both addresses.
    ///
    /// # Errors
    /// What the operating system says, most often that the port is taken.
    pub(crate) async fn bind(port: u16) -> io::Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::bind_once(port).await {
                Err(error) if port == 0 && taken(&error) && attempt < ATTEMPTS => attempt += 1,
                bound => return bound,
            }
        }
    }

    async fn bind_once(port: u16) -> io::Result<Self> {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = v4.local_addr()?.port();
        let v6 = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(v6) => Some(v6),
            Err(error) if taken(&error) => return Err(error),
            Err(error) => {
                tracing::debug!(port, %error, "listening on IPv4 alone");
                None
            }
        };
        Ok(Self { v4, v6, port })
    }

    /// The port, the same on both addresses; never 0.
    #[must_use]
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

fn taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// Failed accepts do not end the server: axum's own listener waits and goes on, and ours is two of those.
impl Listener for Loopback {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, peer) = match &mut self.v6 {
            Some(v6) => tokio::select! {
                accepted = Listener::accept(&mut self.v4) => accepted,
                accepted = Listener::accept(v6) => accepted,
            },
            None => Listener::accept(&mut self.v4).await,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps small packets back");
        }
        (stream, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.v4.local_addr()
    }
}

/// The address a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Connected<IncomingStream<'_, Loopback>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Loopback>) -> Self {
        Self(stream.remote_addr().ip())
    }
}

/// Puts the check of the host name in front of all of `router`: only requests to a loopback name or to one of `hosts` (in lower
/// case) get through, any other is answered 421.
pub(crate) fn only_known_hosts(router: Router, hosts: Arc<[String]>) -> Router {
    Router::new().fallback_service(router).layer(from_fn_with_state(hosts, check))
}

async fn check(State(hosts): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    if has_known_host(&request, &hosts) {
        return next.run(request).await;
    }
    tracing::warn!("refused a request whose Host is not a loopback name");
    error_response(
        StatusCode::MISDIRECTED_REQUEST,
        "host_not_allowed",
        "This server answers only to localhost: open it as http://localhost with its port, or name the host with --host.",
    )
}

/// The request line may name a host as well, and then it is the one that counts; so both have to be right.
fn has_known_host(request: &Request, known_hosts: &[String]) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let is_known = |authority: &str| is_loopback(authority) || is_one_of(known_hosts, authority);
    host.to_str().is_ok_and(is_known)
        && request.uri().authority().is_none_or(|named| is_known(named.as_str()))
}

fn is_one_of(hosts: &[String], authority: &str) -> bool {
    host_of(authority).is_some_and(|name| hosts.contains(&name))
}

/// Whether `authority` (`host` or `host:port`) names this machine's loopback: `localhost`, anything under it, a
/// 127.0.0.0/8 address, `[::1]`.
pub(crate) fn is_loopback(authority: &str) -> bool {
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
    fn loopback_names_are_recognised() {
        for name in [
            "localhost",
            "localhost:7071",
            "LOCALHOST:1",
            "chat.localhost:80",
            "127.0.0.1",
            "127.0.0.1:5500",
            "127.9.8.7:1",
            "[::1]",
            "[::1]:8888",
        ] {
            assert!(is_loopback(name), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_loopback() {
        for name in [
            "",
            ":80",
            "example.com",
            "localhost.example.com",
            "evil-localhost",
            ".localhost",
            "127.0.0.1.example.com",
            "127.0.0.1.nip.io:7071",
            "128.0.0.1",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
            "[::2]",
            "::1",
            "127.1",
            "0x7f.0.0.1",
            "localhost@example.com",
            "localhost:7071@example.com",
            "user@localhost",
            "localhost:99999",
            "localhost:x",
            "localhost/",
            "localhost, example.com",
            "localhost example.com",
            "lоcalhost",
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
    async fn only_requests_made_to_a_loopback_name_get_through() {
        assert_eq!(status(Request::get("/").header("host", "localhost:1")).await, StatusCode::OK);
        assert_eq!(
            status(Request::get("/").header("host", "evil.example")).await,
            StatusCode::MISDIRECTED_REQUEST
        );
        assert_eq!(status(Request::get("/nowhere").header("host", "evil.example")).await, 421);
        assert_eq!(status(Request::get("/")).await, StatusCode::MISDIRECTED_REQUEST);
    }

    #[tokio::test]
    async fn a_host_that_was_allowed_gets_through_and_its_neighbours_do_not() {
        for known in ["chat.example", "Chat.Example:5500"] {
            assert_eq!(status(Request::get("/").header("host", known)).await, 200, "{known}");
        }
        for other in [
            "a.chat.example",
            "chat.example.evil",
            "chat.example@evil.example",
            "user@chat.example",
            "chat.example:x",
        ] {
            assert_eq!(status(Request::get("/").header("host", other)).await, 421, "{other}");
        }
    }

    #[tokio::test]
    async fn a_second_host_does_not_get_through() {
        let twice = Request::get("/").header("host", "localhost").header("host", "evil.example");
        assert_eq!(status(twice).await, StatusCode::MISDIRECTED_REQUEST);
        let in_the_line = Request::get("http://evil.example/").header("host", "localhost");
        assert_eq!(status(in_the_line).await, StatusCode::MISDIRECTED_REQUEST);
    }

    #[tokio::test]
    async fn port_zero_is_one_port_on_both_addresses() {
        let mut listener = Loopback::bind(0).await.unwrap();
        let port = listener.port();
        for address in listener.v6.is_some().then_some("::1").into_iter().chain(["127.0.0.1"]) {
            let (client, (server, peer)) =
                tokio::join!(TcpStream::connect((address, port)), Listener::accept(&mut listener));
            assert_eq!(peer, client.unwrap().local_addr().unwrap());
            assert!(server.nodelay().unwrap());
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error() {
        let first = Loopback::bind(0).await.unwrap();
        let second = Loopback::bind(first.port()).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    }
}
