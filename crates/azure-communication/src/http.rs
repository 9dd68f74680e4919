//! How long to wait for connections, and for how long to keep them.

use azure_http::{HttpClient, HttpOptions, RootCertificates};

use crate::error::{Error, ErrorKind};

pub(crate) fn client(roots: &RootCertificates) -> Result<reqwest::Client, Error> {
    let user_agent = Some(concat!("azure-communication-rust/", env!("CARGO_PKG_VERSION")));
    let options = HttpOptions { roots: roots.clone(), user_agent, ..HttpOptions::default() };
    let client = HttpClient::new(&options).map_err(|_| ErrorKind::Unusable)?;
    Ok(client.as_reqwest().clone())
}
