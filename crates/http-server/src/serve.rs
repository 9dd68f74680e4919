//! [`serve`]: accepts connections until the shutdown.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::{Body, Bytes};
use hyper::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower::Service;

use crate::connection;
use crate::limits::Limits;
use crate::request_body::RequestBody;
use crate::throttle::Throttle;

/// The wait after a connection could not be accepted, mostly for lack of file descriptors.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// What ends the calls that are in progress at the shutdown: they may finish until the future completes.
pub struct Grace<F>(pub F);

/// Serves over HTTP/1.1 on all of `listeners` until `shutdown` completes; the calls in progress then have the [`Grace`] that it
/// returned.
///
/// `make_service` makes the service of a connection from the address of its peer. A service should respond 408 if the body of a
/// request fails with [`BodyTimeout`](crate::BodyTimeout). A response that upgrades its connection takes it out of the server's care, except
/// that it counts for [`Limits::max_connections`]. Dropping the future closes all other connections.
///
/// # Errors
///
/// When accepting ends by itself, which is a bug.
pub async fn serve<M, S, B, G>(
    listeners: Vec<TcpListener>,
    make_service: M,
    limits: Limits,
    shutdown: impl Future<Output = Grace<G>>,
) -> io::Result<()>
where
    M: Fn(SocketAddr) -> S + Clone + Send + 'static,
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    G: Future<Output = ()>,
{
    let (stop, stopping) = watch::channel(());
    let acceptor = Acceptor {
        permits: Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS))),
        warnings: Arc::default(),
    };
    let limits = Arc::new(limits);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let (acceptor, make_service, limits) = (acceptor.clone(), make_service.clone(), limits.clone());
        let stopping = stopping.clone();
        accepting.spawn(async move {
            loop {
                let (stream, peer, permit) = acceptor.accept(&listener).await;
                let service = make_service(peer);
                tokio::spawn(connection::run(stream, permit, service, limits.clone(), stopping.clone()));
            }
        });
    }
    drop(stopping);
    let Grace(grace) = tokio::select! {
        Some(ended) = accepting.join_next() => {
            let ended: Result<Infallible, _> = ended;
            return ended.map(|never| match never {}).map_err(io::Error::other);
        }
        grace = shutdown => grace,
    };
    accepting.shutdown().await;
    stop.send_replace(());
    // Every connection has a receiver.
    tokio::select! {
        biased;
        () = stop.closed() => {}
        () = grace => tracing::info!("closed {} connections whose calls took too long to end", stop.receiver_count()),
    }
    Ok(())
}

/// Accepts connections while there are permits and file descriptors. Clones share them.
#[derive(Clone)]
struct Acceptor {
    permits: Arc<Semaphore>,
    warnings: Arc<Mutex<Throttle>>,
}

impl Acceptor {
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                self.warn("there are as many connections as are allowed");
                self.permits.clone().acquire_owned().await.expect("the semaphore is never closed")
            }
        };
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Responses are small and complete: Nagle's algorithm only delays them.
                    drop(stream.set_nodelay(true));
                    return (stream, peer, permit);
                }
                // The peer has closed it already.
                Err(error) if is_of_peer(&error) => {}
                Err(error) => {
                    self.warn(&error.to_string());
                    sleep(ACCEPT_RETRY_INTERVAL).await;
                }
            }
        }
    }

    fn warn(&self, reason: &str) {
        if self.warnings.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now()) {
            tracing::warn!("no connection can be accepted until others end: {reason}; this is logged once a minute");
        }
    }
}

fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
