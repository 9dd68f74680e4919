//! Sends the requests of `azure_core` clients over an `azure_http` client: one connection pool, one set of trusted roots.

use std::sync::Arc;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, Transport};
use azure_http::{HttpError, HttpErrorKind};
use tokio::time::timeout;

/// Far more than a token, an identity or a list of errors takes.
const MAX_RESPONSE_BYTES: usize = 64 * 1_024;

/// A transport for clients built on `azure_core`. Each attempt ends after `attempt_timeout`; retries are up to the client.
///
/// Bodies of requests must be in memory, and responses have at most 64 KiB.
#[must_use]
pub fn transport(http: &azure_http::HttpClient, attempt_timeout: Duration) -> Transport {
    Transport::new(Arc::new(SharedClient { http: http.clone(), attempt_timeout }))
}

#[derive(Debug)]
struct SharedClient {
    http: azure_http::HttpClient,
    attempt_timeout: Duration,
}

#[async_trait::async_trait]
impl HttpClient for SharedClient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let request = to_outgoing(request)?;
        let exchange = async {
            let response = self.http.send(request).await?;
            let (status, headers) = (response.status(), to_headers(response.headers()));
            let body = response.body(MAX_RESPONSE_BYTES).await?;
            Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
        };
        match timeout(self.attempt_timeout, exchange).await {
            Ok(outcome) => outcome.map_err(to_error),
            Err(_late) => Err(Error::with_message(ErrorKind::Io, "there was no response in time")),
        }
    }
}

fn to_outgoing(request: &Request) -> azure_core::Result<azure_http::Request> {
    let invalid = || Error::with_message(ErrorKind::Other, "the request is not valid HTTP");
    let method = azure_http::Method::from_bytes(request.method().as_str().as_bytes());
    let mut outgoing = azure_http::Request::new(method.map_err(|_| invalid())?, request.url().clone());
    for (name, value) in request.headers().iter() {
        let name = azure_http::HeaderName::try_from(name.as_str()).map_err(|_| invalid())?;
        let value = azure_http::HeaderValue::try_from(value.as_str()).map_err(|_| invalid())?;
        outgoing.headers.insert(name, value);
    }
    let Body::Bytes(body) = request.body() else {
        return Err(Error::with_message(ErrorKind::Other, "bodies of requests must be in memory"));
    };
    outgoing.body = body.to_vec();
    Ok(outgoing)
}

/// Skips headers that are not text.
fn to_headers(headers: &azure_http::HeaderMap) -> Headers {
    let mut converted = Headers::new();
    for (name, value) in headers {
        if let Ok(value) = value.to_str() {
            converted.insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value.to_owned()));
        }
    }
    converted
}

/// The kind decides whether `azure_core` retries: `Connection` and `Io` are retried.
fn to_error(error: HttpError) -> Error {
    let kind = match error.kind() {
        HttpErrorKind::Unreachable => ErrorKind::Connection,
        HttpErrorKind::Interrupted | HttpErrorKind::TimedOut => ErrorKind::Io,
        _ => ErrorKind::Other,
    };
    Error::with_error(kind, error, "no response")
}
