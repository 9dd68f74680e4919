//! [`Emulator`]: an instance of the service, and its routes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, Method, Request, header};
use axum::middleware;
use axum::routing::any;
use http_server::{Grace, Limits, RequestBody};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::api_error::{self, ApiError};
use crate::options::Options;
use crate::service::Service;
use crate::{control, loopback, negotiate, path_case, rest, transport};

/// How long clients may take to leave after the shutdown began, and then requests to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A service with its own hubs, keys and connections. Clones are the same service.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use azure_signalr_emulator::{Emulator, LoopbackListener, Options};
///
/// let emulator = Emulator::new(Options::default());
/// let listener = LoopbackListener::bind(0).await?;
/// println!("{}", emulator.connection_string(listener.port()));
/// let shutdown = std::future::ready(());
/// emulator.serve(listener.into_listeners(), shutdown).await
/// # }
/// ```
#[derive(Clone)]
pub struct Emulator {
    service: Arc<Service>,
}

impl Emulator {
    /// Makes a service without connections. It owns no socket and no task until it is served.
    pub fn new(options: Options) -> Self {
        Self { service: Arc::new(Service::new(options)) }
    }

    /// Serves the emulator over HTTP/1.1 on all of `listeners` until `shutdown` completes.
    ///
    /// A request has to name a loopback host or one of [`Options::allowed_hosts`]; any other is answered 421. After `shutdown` every
    /// client is closed as by [`close_all`](Self::close_all), and has one second for it. Then no connection is accepted, and
    /// requests under way have one second. Dropping the future frees the sockets of HTTP at once; WebSockets end with their clients
    /// or the runtime. [`Options::access_keys_file`] is followed until then.
    ///
    /// # Errors
    ///
    /// When a server fails by itself.
    pub async fn serve(
        &self,
        listeners: Vec<TcpListener>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let allowed: Arc<[String]> = self.service.options.allowed_hosts.clone().into();
        let router = self.router().layer(middleware::from_fn_with_state(allowed, loopback::check_host));
        let with_peer = move |peer| {
            router.clone().map_request(move |mut request: Request<RequestBody>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                path_case::lower(request)
            })
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            drop(stopped.await);
            Grace(sleep(DRAIN_TIMEOUT))
        };
        let serving = http_server::serve(listeners, with_peer, self.limits(), stopped);
        // The server does not wait for WebSockets, and requests of other clients end when their connection does.
        let closing = async {
            shutdown.await;
            self.close_all();
            // Clients over long polling need further connections for what is queued.
            if timeout(DRAIN_TIMEOUT, self.closed()).await.is_err() {
                tracing::info!("dropped clients that took longer than a second to close");
            }
            drop(stop);
            Ok(())
        };
        tokio::select! {
            served = async { tokio::try_join!(serving, closing) } => served.map(|_| ()),
            never = self.service.access_keys.follow_file() => match never {},
        }
    }

    /// A client has a connection for what it receives, and may have another for what it sends. Those beyond the limit are answered 429.
    /// The limits of time suit clients and callers on the same machine; what a WebSocket may take is up to its connection.
    fn limits(&self) -> Limits {
        let limits = Limits::default();
        let max_connections = self.service.options.max_connections.saturating_mul(2).max(limits.max_connections);
        Limits { max_connections, ..limits }
    }

    /// All endpoints, without the check of the `Host` header. Paths have to be in [lower case](path_case::lower).
    fn router(&self) -> Router {
        let clients = Router::new()
            .route("/client/negotiate", any(negotiate::negotiate))
            .route("/client/negotiate/", any(negotiate::negotiate))
            .route("/client", any(transport::connect))
            .route("/client/", any(transport::connect));
        let callers = Router::new().route("/api", any(rest::serve)).route("/api/{*path}", any(rest::serve));
        let diagnostics = self.service.diagnostics.as_ref();
        // Injected responses need CORS headers too.
        let clients = control::with_fault_injection(clients, diagnostics).layer(cross_origin());
        let endpoints = clients.merge(control::with_fault_injection(callers, diagnostics));
        let control = diagnostics.map(|diagnostics| control::router(self.service.clone(), diagnostics.clone()));
        control::with_traffic_log(endpoints, diagnostics)
            .merge(control.unwrap_or_default())
            .merge(not_emulated())
            .fallback(async || ApiError::not_found("nothing here: clients go to /client/, REST callers to /api/"))
            .layer(middleware::from_fn(api_error::log_errors))
            .layer(middleware::map_request(path_case::restore))
            .with_state(self.service.clone())
    }

    /// The connection string for callers on this machine. It contains the first of the access keys in use.
    pub fn connection_string(&self, port: u16) -> String {
        let key = self.service.access_keys.first();
        format!("Endpoint=http://localhost:{port};AccessKey={};Version=1.0;", key.as_str())
    }

    /// Closes the service: new clients are answered 503, and every connected client gets its queued messages, then a close message
    /// that allows it to reconnect, then the end of its socket.
    ///
    /// Returns at once; [`closed`](Self::closed) waits for the clients.
    pub fn close_all(&self) {
        self.service.close_all();
    }

    /// Waits until no client is connected and all of their upstream events are answered. After [`close_all`](Self::close_all) that takes as
    /// long as a client reads what is queued for it, and [`Options::close_timeout`].
    pub async fn closed(&self) {
        self.service.closed().await;
    }
}

/// The endpoints of Azure that are no part of serverless mode, with all paths below them.
fn not_emulated<S: Clone + Send + Sync + 'static>() -> Router<S> {
    const APP_SERVERS: &str = "Persistent mode (connections of app servers)";
    const ASP_NET: &str = "ASP.NET SignalR, the predecessor of ASP.NET Core SignalR";
    let endpoints = [("/server", APP_SERVERS), ("/aspnetserver", ASP_NET), ("/aspnetclient", ASP_NET)];
    endpoints.into_iter().fold(Router::new(), |router, (path, what)| {
        let handler = any(async move || ApiError::not_emulated(what));
        router
            .route(path, handler.clone())
            .route(&format!("{path}/"), handler.clone())
            .route(&format!("{path}/{{*rest}}"), handler)
    })
}

/// Browsers connect from other origins with credentials, which `*` does not allow: the origin is repeated.
fn cross_origin() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::DELETE, Method::OPTIONS])
        .allow_headers([
            header::AUTHORIZATION,
            header::CACHE_CONTROL,
            header::CONTENT_TYPE,
            HeaderName::from_static("x-requested-with"),
            HeaderName::from_static("x-signalr-user-agent"),
        ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_peers_have_limits_of_time_and_clients_have_two_connections() {
        let limits_of = |max_connections| Emulator::new(Options { max_connections, ..Options::default() }).limits();
        let limits = limits_of(50_000);
        let times = [
            (limits.head_timeout, 20),
            (limits.body_timeout, 30),
            (limits.discard_timeout, 5),
            (limits.write_timeout, 60),
            (limits.idle_timeout, 180),
            (limits.linger_timeout, 2),
        ];
        assert_eq!(times.map(|(time, _)| time), times.map(|(_, seconds)| Duration::from_secs(seconds)));
        assert_eq!(limits.max_connections, 100_000);
        assert_eq!(limits_of(usize::MAX).max_connections, usize::MAX);
        // The control API can be reached with any number of clients.
        assert_eq!(limits_of(1).max_connections, 10_000);
    }
}
