//! The HTTP client for storage and for tokens of identities: TLS with compiled-in roots, no proxies, no redirects.
//!
//! It works where there is no file system to speak of. It also asks managed identity endpoints, which are on the machine itself; through a
//! proxy their secret would go with the question.

use std::sync::Arc;
use std::time::Duration;

/// Longer than a TCP handshake within a region takes with one lost packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For a whole answer, where the request says nothing else. Managed identity endpoints take up to a second when they are cold.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) fn client() -> reqwest::Result<reqwest::Client> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()
}
