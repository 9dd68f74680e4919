//! Sends the requests of `azure_core` clients over an `azure_http` client: one connection pool, one set of trusted roots.

use std::sync::Arc;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, Transport};
use azure_http::{Connection, HttpError, HttpErrorKind};
use tokio::time::timeout;

/// A transport for clients built on `azure_core`. Each attempt ends after `attempt_timeout`; retries are up to the client.
///
/// Nothing tells a repeat from a first attempt here, so all use [`Connection::Recent`]: none is lost on a connection that died unnoticed.
/// Bodies of requests must be in memory, and responses with a body of more than `max_response_bytes` fail.
#[must_use]
pub fn transport(http: &azure_http::HttpClient, attempt_timeout: Duration, max_response_bytes: usize) -> Transport {
    Transport::new(Arc::new(SharedClient { http: http.clone(), attempt_timeout, max_response_bytes }))
}

#[derive(Debug)]
struct SharedClient {
    http: azure_http::HttpClient,
    attempt_timeout: Duration,
    max_response_bytes: usize,
}

#[async_trait::async_trait]
impl HttpClient for SharedClient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let request = to_outgoing(request)?;
        let exchange = async {
            let response = self.http.send(request).await?;
            let (status, headers) = (response.status(), to_headers(response.headers()));
            let body = response.body(self.max_response_bytes).await?;
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
    outgoing.connection = Connection::Recent;
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

#[cfg(test)]
mod tests {
    use azure_core::http::{Method, Url};
    use azure_http::{ATTEMPT_TIMEOUT, HttpOptions};
    use test_support::http::serve;
    use test_support::tcp_proxy::TcpProxy;

    use super::*;

    const MAX_RESPONSE_BYTES: usize = 64 * 1_024;

    fn client() -> SharedClient {
        let http = azure_http::HttpClient::new(&HttpOptions::default()).unwrap();
        SharedClient { http, attempt_timeout: ATTEMPT_TIMEOUT, max_response_bytes: MAX_RESPONSE_BYTES }
    }

    fn get(port: u16) -> Request {
        Request::new(Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap(), Method::Get)
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        for (length, is_read) in [(0, true), (MAX_RESPONSE_BYTES, true), (MAX_RESPONSE_BYTES + 1, false)] {
            let port = serve(axum::Router::new().fallback(async move || vec![b' '; length])).await;
            let response = client().execute_request(&get(port)).await;
            assert_eq!(response.is_ok(), is_read, "{length}");
            if let Err(error) = response {
                assert_eq!(error.kind(), &ErrorKind::Other, "not one that is retried");
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_died_costs_one_attempt() {
        let proxy = TcpProxy::start(serve(axum::Router::new().fallback(async || "ok")).await).await;
        let client = client();
        client.execute_request(&get(proxy.port())).await.unwrap();
        proxy.swallow_open_connections();
        let lost = client.execute_request(&get(proxy.port())).await.map(drop).unwrap_err();
        assert_eq!(lost.kind(), &ErrorKind::Io, "one that is retried");
        client.execute_request(&get(proxy.port())).await.unwrap();
        assert_eq!(proxy.connections(), 2);
    }
}
