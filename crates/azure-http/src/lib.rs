#![doc = include_str!("../README.md")]

mod roots;

use std::sync::Arc;

pub use roots::{RootCertificates, RootCertificatesError};

/// What clients are built with: they trust Mozilla's roots and `roots`, and go straight to whoever they ask, once.
///
/// Building one reads no file and asks no network, so an app can listen first and look for its services later.
pub fn builder(roots: &RootCertificates) -> reqwest::ClientBuilder {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(roots.and_mozillas())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        // Requests and answers are small and final: waiting to fill a packet only delays them.
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
}
