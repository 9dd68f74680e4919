//! The HTTP client that was lent to us, as `azure_core` wants one: its pool, its TLS, its proxies or rather none.
//!
//! Managed identity endpoints are on the machine itself, and asking them
//! through a proxy would hand their secret to it.

use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request};

/// For one request. Managed identity endpoints take up to a second when they are cold.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct OurClient(pub(crate) reqwest::Client);

#[async_trait::async_trait]
impl HttpClient for OurClient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let response = self.0.execute(outgoing(request)?).await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), incoming(response.headers()));
        let body = response.bytes().await.map_err(failed)?;
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
    }
}

fn outgoing(request: &Request) -> azure_core::Result<reqwest::Request> {
    let unusable = |_| Error::with_message(ErrorKind::Other, "a request that HTTP does not know");
    let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes()).map_err(unusable)?;
    let mut outgoing = reqwest::Request::new(method, request.url().clone());
    *outgoing.timeout_mut() = Some(ANSWER_TIMEOUT);
    for (name, value) in request.headers().iter() {
        let invalid = || Error::with_message(ErrorKind::Other, "a header that HTTP does not know");
        let name = reqwest::header::HeaderName::try_from(name.as_str()).map_err(|_| invalid())?;
        let value = reqwest::header::HeaderValue::try_from(value.as_str()).map_err(|_| invalid())?;
        outgoing.headers_mut().insert(name, value);
    }
    match request.body() {
        Body::Bytes(body) => *outgoing.body_mut() = Some(body.clone().into()),
        Body::SeekableStream(_) => {
            return Err(Error::with_message(ErrorKind::Other, "tokens are not asked for with streams"));
        }
    }
    Ok(outgoing)
}

/// Texts only; all that is read of them is how long to wait.
fn incoming(headers: &reqwest::header::HeaderMap) -> Headers {
    let mut incoming = Headers::new();
    for (name, value) in headers {
        if let Ok(value) = value.to_str() {
            incoming.insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value.to_owned()));
        }
    }
    incoming
}

fn failed(error: reqwest::Error) -> Error {
    let kind = if error.is_connect() { ErrorKind::Connection } else { ErrorKind::Io };
    Error::with_error(kind, error.without_url(), "no answer")
}
