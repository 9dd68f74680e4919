//! The HTTP client: pooled connections, TLS 1.2 and 1.3 with compiled-in roots, no proxies, no redirects, no retries of its own.
//!
//! Building it reads no file and asks no network, so an app can listen first and look for the service later.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::roots::RootCertificates;

/// Longer than a TCP handshake within a region takes with one lost packet, short enough to try again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Under the idle time-outs of the load balancers on the way, so that we close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn client(roots: &RootCertificates) -> Result<reqwest::Client, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(roots.and_mozillas())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .user_agent(concat!("azure-communication-rust/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(Error::from_http)
}
