//! How long to wait for connections, and for how long to keep them.

use azure_http::{HttpClient, HttpOptions, RootCertificates};

use crate::error::{Error, Kind};

pub(crate) fn client(roots: &RootCertificates) -> Result<HttpClient, Error> {
    let user_agent = Some(concat!("azure-signalr-rust/", env!("CARGO_PKG_VERSION")));
    let options = HttpOptions { roots: roots.clone(), user_agent, ..HttpOptions::default() };
    Ok(HttpClient::new(&options).map_err(|_| Kind::Unusable)?)
}
