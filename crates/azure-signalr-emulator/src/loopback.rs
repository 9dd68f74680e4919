//! Loopback only: [`LoopbackListener`], and the check of the `Host` header, without which web pages could send requests under a name of
//! their own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use http_server::has_allowed_host;
use tokio::net::{TcpListener, TcpSocket};

use crate::api_error::ApiError;

/// How often [`LoopbackListener::bind`] tries another free port when the one for IPv4 is taken for IPv6.
const MAX_BIND_ATTEMPTS: u32 = 16;

/// How many connections may wait to be accepted, as far as the system allows. Tokio's default is 128, and when more clients connect at once,
/// TCP lets some of them wait for a second or longer.
const LISTEN_BACKLOG: u32 = 4_096;

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
            match Self::bind_once(port) {
                Err(error) if port == 0 && is_taken(&error) && attempt < MAX_BIND_ATTEMPTS => attempt += 1,
                bound => return bound,
            }
        }
    }

    fn bind_once(port: u16) -> io::Result<Self> {
        let v4 = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let port = v4.local_addr()?.port();
        let v6 = match listen(SocketAddr::from((Ipv6Addr::LOCALHOST, port))) {
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

/// Listens as [`TcpListener::bind`] does, with a longer backlog.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Allows a restart while connections of before are in the state TIME_WAIT. On Windows it would allow to take a used port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// Middleware: answers 421 unless the request names a loopback host or one of `allowed`.
pub(crate) async fn check_host(State(allowed): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    if has_allowed_host(request.uri(), request.headers(), &allowed) {
        return next.run(request).await;
    }
    tracing::warn!("refused a request whose Host is not a loopback name");
    let message =
        "this server answers only to localhost and to the names it was given with --host (`Options::allowed_hosts`)";
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, "HostNotAllowed", message).into_json()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

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

    /// The default of Linux allows 4,096.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hundreds_of_clients_connect_before_the_first_is_accepted() {
        let listener = LoopbackListener::bind(0).await.unwrap();
        let connecting = async {
            let mut clients = Vec::new();
            for _ in 0..400 {
                clients.push(TcpStream::connect((Ipv4Addr::LOCALHOST, listener.port())).await.unwrap());
            }
        };
        timeout(Duration::from_secs(20), connecting).await.expect("all connect");
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error() {
        let first = LoopbackListener::bind(0).await.unwrap();
        let second = LoopbackListener::bind(first.port()).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    }
}
