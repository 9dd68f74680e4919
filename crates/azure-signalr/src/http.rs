//! How long to wait for connections, and for how long to keep them.

use std::time::Duration;

use azure_http::RootCertificates;

use crate::error::Error;

/// Longer than a TCP handshake within a region takes with one lost packet, short enough to try again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Under the idle time-outs of the load balancers on the way, so that we close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn client(roots: &RootCertificates) -> Result<reqwest::Client, Error> {
    azure_http::builder(roots)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .user_agent(concat!("azure-signalr-rust/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(Error::from_http)
}
