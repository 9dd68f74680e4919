//! Loopback only: [`LoopbackListener`], and the check of the `Host` header.
//!
//! A socket on a loopback address does not keep web pages out: any site can let a name of its own resolve to 127.0.0.1 (DNS
//! rebinding). Its requests still carry that name in `Host`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::net::TcpListener;

use crate::api_error::ApiError;

/// How often [`LoopbackListener::bind`] tries another free port when the one for IPv4 is taken for IPv6.
const MAX_BIND_ATTEMPTS: u32 = 16;

/// Sockets on 127.0.0.1 and, where the machine has IPv6, on `[::1]` with the same port: all that `localhost` may resolve to.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = azure_signalr_emulator::LoopbackListener::bind(0).await?;
/// assert_ne!(listener.port(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LoopbackListener {
    v4: TcpListener,
    v6: Option<TcpListener>,
    port: u16,
}

impl LoopbackListener {
    /// Binds `port`, or with 0 a port that is free on both addresses.
    ///
    /// # Errors
    ///
    /// The error of the operating system, most often that the port is taken.
    pub async fn bind(port: u16) -> io::Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::bind_once(port).await {
                Err(error) if port == 0 && is_taken(&error) && attempt < MAX_BIND_ATTEMPTS => attempt += 1,
                bound => return bound,
            }
        }
    }

    async fn bind_once(port: u16) -> io::Result<Self> {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = v4.local_addr()?.port();
        let v6 = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(v6) => Some(v6),
            Err(error) if is_taken(&error) => return Err(error),
            Err(error) => {
                tracing::debug!(port, %error, "listening on IPv4 only");
                None
            }
        };
        Ok(Self { v4, v6, port })
    }

    /// The port, the same on both addresses; never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The sockets, one or two, to be served together.
    pub fn into_listeners(self) -> Vec<TcpListener> {
        [Some(self.v4), self.v6].into_iter().flatten().collect()
    }
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// Middleware: answers 421 unless the request names a loopback host or one of `allowed`.
pub(crate) async fn check_host(State(allowed): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    if names_allowed_host(&request, &allowed) {
        return next.run(request).await;
    }
    tracing::warn!("refused a request whose Host is not a loopback name");
    let message =
        "this server answers only to localhost and to the names it was given with --host (`Options::allowed_hosts`)";
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, "HostNotAllowed", message).into_json()
}

/// A request line with a host overrides `Host` (RFC 9112, section 3.2.2), so both have to be right.
fn names_allowed_host(request: &Request, allowed: &[String]) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    host.to_str().is_ok_and(|host| is_allowed_authority(host, allowed))
        && request.uri().authority().is_none_or(|named| is_allowed_authority(named.as_str(), allowed))
}

/// Whether `authority` (`host` or `host:port`) is well formed and its host is a loopback name or one of `allowed`.
fn is_allowed_authority(authority: &str, allowed: &[String]) -> bool {
    let Ok(parsed) = authority.parse::<Authority>() else { return false };
    let has_good_port = parsed.port().is_some() || parsed.host() == authority;
    !authority.contains('@') && has_good_port && is_allowed_host(parsed.host(), allowed)
}

/// Whether `host`, without a port, is a loopback name or one of `allowed`.
pub(crate) fn is_allowed_host(host: &str, allowed: &[String]) -> bool {
    is_loopback_host(host) || allowed.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Whether `host`, without a port, is `localhost`, a name under it, an address in 127.0.0.0/8, or `[::1]`.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let inside_localhost = host.strip_suffix(".localhost").is_some_and(|name| !name.is_empty());
    let v4 = host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let v6 = v6.and_then(|host| host.parse::<Ipv6Addr>().ok()).is_some_and(|address| address.is_loopback());
    host == "localhost" || inside_localhost || v4 || v6
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::TcpStream;

    use super::*;

    #[test]
    fn loopback_names_are_recognised() {
        for name in [
            "localhost", "localhost:7071", "LOCALHOST:1", "chat.localhost:80", "127.0.0.1", "127.0.0.1:5500",
            "127.9.8.7:1", "[::1]", "[::1]:8888",
        ] {
            assert!(is_allowed_authority(name, &[]), "{name}");
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
            assert!(!is_allowed_authority(name, &[]), "{name}");
        }
    }

    fn is_allowed(request: axum::http::request::Builder, allowed: &[String]) -> bool {
        names_allowed_host(&request.body(axum::body::Body::empty()).unwrap(), allowed)
    }

    #[test]
    fn only_requests_made_to_a_loopback_name_get_through() {
        assert!(is_allowed(Request::get("/").header("host", "localhost:1"), &[]));
        assert!(!is_allowed(Request::get("/").header("host", "evil.example"), &[]));
        assert!(!is_allowed(Request::get("/"), &[]));
    }

    #[test]
    fn a_name_from_the_options_gets_through_with_any_port() {
        let allowed = ["Host.Docker.Internal".to_owned()];
        for host in ["host.docker.internal", "HOST.docker.internal:8888", "localhost"] {
            assert!(is_allowed(Request::get("/").header("host", host), &allowed), "{host}");
        }
        for host in ["docker.internal", "host.docker.internal.evil.example", "user@host.docker.internal"] {
            assert!(!is_allowed(Request::get("/").header("host", host), &allowed), "{host}");
        }
    }

    #[test]
    fn a_second_host_does_not_get_through() {
        let twice = Request::get("/").header("host", "localhost").header("host", "evil.example");
        assert!(!is_allowed(twice, &[]));
        let in_the_line = Request::get("http://evil.example/").header("host", "localhost");
        assert!(!is_allowed(in_the_line, &[]));
    }

    #[tokio::test]
    async fn port_zero_is_one_port_on_both_addresses() {
        let listener = LoopbackListener::bind(0).await.unwrap();
        let port = listener.port();
        for socket in listener.into_listeners() {
            let address = socket.local_addr().unwrap();
            assert_eq!(address, SocketAddr::new(address.ip(), port));
            let (client, server) = tokio::join!(TcpStream::connect(address), socket.accept());
            assert_eq!(server.unwrap().1, client.unwrap().local_addr().unwrap());
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error() {
        let first = LoopbackListener::bind(0).await.unwrap();
        let second = LoopbackListener::bind(first.port()).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    }
}
