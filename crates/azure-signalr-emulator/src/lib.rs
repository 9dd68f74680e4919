#![doc = include_str!("../README.md")]
//!
//! # The map
//!
//! - [`Emulator`] is the whole service as a router; [`Options`] what can be set, [`AccessKey`] who may sign tokens.
//! - `negotiate`, `transport` and `rest` are its endpoints, for clients and for callers.
//! - `auth` decides who may come in, `entra` about those without a key; `refusal` words every "no" and logs it.
//! - `service` holds the state: `hub` (connections, users and groups) and `connection_tokens` (negotiated connections), both pure.
//! - `connection` serves one client from its handshake to its end; each file of `transport` carries its messages.
//! - `protocol` encodes and decodes hub messages; `hub_name`, `path`, `query`, `bearer` read the parts of requests.
//! - `control` is the control API; `diagnostics` holds its data: `fault_injection` and `traffic_log`, both pure.
//! - `upstream` posts what clients do and say to webhooks, as [`UpstreamOptions`] has it.
//!
//! The endpoints use `connection`, `service` and `auth`; `hub`, `connection_tokens`, `protocol`, `fault_injection` and `traffic_log`
//! use no I/O and no clock.

mod access_key;
mod auth;
mod bearer;
mod connection;
mod connection_tokens;
mod control;
mod diagnostics;
mod fault_injection;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hub;
mod hub_name;
mod negotiate;
mod options;
mod path;
mod protocol;
mod query;
mod random;
mod refusal;
mod rest;
mod service;
mod traffic_log;
mod transport;
mod upstream;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, Method, header};
use axum::middleware;
use axum::routing::any;
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use access_key::{AccessKey, InvalidAccessKey};
pub use auth::EntraOptions;
pub use options::Options;
pub use upstream::{InvalidTemplates, TemplateSource, Templates, UpstreamOptions};

use refusal::Refusal;
use service::Service;

/// One service with its own hubs, keys and connections. Clones are the same service.
#[derive(Clone)]
pub struct Emulator {
    service: Arc<Service>,
}

impl Emulator {
    /// Makes a service nobody is connected to yet. It owns no socket and no task until its router is served.
    #[must_use]
    pub fn new(mut options: Options) -> Self {
        if options.access_keys.is_empty() {
            options.access_keys.push(AccessKey::generate());
        }
        Self { service: Arc::new(Service::new(options)) }
    }

    /// All endpoints, to be served over HTTP/1.1 by whoever binds a socket. Needs a tokio runtime with time enabled.
    pub fn router(&self) -> Router {
        let clients = Router::new()
            .route("/client/negotiate", any(negotiate::negotiate))
            .route("/client/negotiate/", any(negotiate::negotiate))
            .route("/client", any(transport::connect))
            .route("/client/", any(transport::connect));
        let callers = Router::new().route("/api", any(rest::serve)).route("/api/{*path}", any(rest::serve));
        let diagnostics = self.service.diagnostics.as_ref();
        // CORS applies to the responses of faults, too.
        let clients = control::with_fault_injection(clients, diagnostics).layer(cross_origin());
        let endpoints = clients.merge(control::with_fault_injection(callers, diagnostics));
        let control =
            diagnostics.map(|diagnostics| control::router(self.service.clone(), diagnostics.clone()));
        control::with_traffic_log(endpoints, diagnostics)
            .merge(control.unwrap_or_default())
            .route(
                "/server/",
                any(async || Refusal::not_emulated("Persistent mode (connections of app servers)")),
            )
            .fallback(async || {
                Refusal::not_found("nothing here: clients go to /client/, REST callers to /api/")
            })
            .layer(middleware::from_fn(refusal::log))
            .with_state(self.service.clone())
    }

    /// The connection string for callers on this machine, with the first access key, in clear.
    #[must_use]
    pub fn connection_string(&self, port: u16) -> String {
        let keys = &self.service.options.access_keys;
        let key = keys.first().expect("`new` makes a key when none is given").as_str();
        format!("Endpoint=http://localhost:{port};AccessKey={key};Version=1.0;")
    }

    /// Ends the service: whoever wants to connect from now on is answered 503, and every connected client gets what
    /// is queued for it, then a Close that allows it to reconnect, then the end of its socket.
    ///
    /// Returns at once; [`closed`](Self::closed) waits for the clients.
    pub fn close_all(&self) {
        self.service.close_all();
    }

    /// Waits until no client is connected. After [`close_all`](Self::close_all) that takes as long as the slowest
    /// client, [`Options::client_timeout`] and [`Options::close_timeout`] at most.
    pub async fn closed(&self) {
        self.service.closed().await;
    }
}

/// The page that connects comes from elsewhere, with credentials: its origin is repeated, since `*` would not do.
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
