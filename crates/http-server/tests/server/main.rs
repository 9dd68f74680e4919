//! Tests of the server with real sockets: a raw client, a server with short limits.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod many_peers;
mod shutdown;
mod slow_peers;
mod unread_bodies;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use http_server::{Grace, Limits, serve};
use test_support::process::TEST_TIMEOUT;
use test_support::raw_http::RawConnection;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A limit that a test waits for.
const SHORT: Duration = Duration::from_millis(50);

/// A limit that no test reaches.
const LONG: Duration = Duration::from_secs(3_600);

/// Limits of which none is reached.
fn no_limits() -> Limits {
    Limits {
        head_timeout: LONG,
        body_timeout: LONG,
        idle_timeout: LONG,
        write_timeout: LONG,
        discard_timeout: LONG,
        linger_timeout: LONG,
        ..Limits::default()
    }
}

/// A running server.
struct TestServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

impl TestServer {
    async fn start(router: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            drop(stopped.await);
            Grace(sleep(TEST_TIMEOUT))
        };
        let serving =
            tokio::spawn(async move { serve(vec![listener], move |_| router.clone(), limits, shutdown).await });
        Self { address, stop, serving }
    }

    async fn connect(&self) -> RawConnection {
        RawConnection::open(self.address).await
    }
}
