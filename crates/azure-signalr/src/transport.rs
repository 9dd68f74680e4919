//! The transport: builds the HTTP client, sends one request, reads status, headers and body of the response.
//!
//! Requests are sent from this file only, so that another HTTP library can take the place of this one.

use std::time::SystemTime;

use azure_http::{
    Connection, HeaderValue, HttpClient, HttpOptions, Method, Request, Response, RootCertificates, Secret, header,
};
use url::Url;

use crate::error::{Error, Kind};

/// Sends requests over a pool of connections, which clones share; tokens of an identity come over it too.
#[derive(Clone)]
pub(crate) struct Transport(pub(crate) HttpClient);

impl Transport {
    pub(crate) fn new(roots: &RootCertificates) -> Result<Self, Error> {
        let user_agent = Some(concat!("azure-signalr-rust/", env!("CARGO_PKG_VERSION")));
        let options = HttpOptions { roots: roots.clone(), user_agent, ..HttpOptions::default() };
        Ok(Self(HttpClient::new(&options)?))
    }

    /// Posts JSON on such a connection and returns the status, if it means success.
    pub(crate) async fn post(
        &self,
        url: &Url,
        token: &Secret,
        json: &[u8],
        connection: Connection,
        now: SystemTime,
    ) -> Result<u16, Error> {
        let mut request = Request { connection, ..Request::new(Method::POST, url.clone()) };
        let json_type = HeaderValue::from_static("application/json; charset=utf-8");
        request.headers.insert(header::CONTENT_TYPE, json_type);
        request.body = json.to_vec();
        Ok(self.send(request, token, now).await?.status())
    }

    /// Sends a request without a body and returns the body of a response that means success, which is at most `max_body_bytes` long.
    pub(crate) async fn call(
        &self,
        method: Method,
        url: &Url,
        token: &Secret,
        max_body_bytes: usize,
        connection: Connection,
        now: SystemTime,
    ) -> Result<Vec<u8>, Error> {
        let request = Request { connection, ..Request::new(method, url.clone()) };
        Ok(self.send(request, token, now).await?.body(max_body_bytes).await?)
    }

    async fn send(&self, mut request: Request, token: &Secret, now: SystemTime) -> Result<Response, Error> {
        request.set_bearer(token)?;
        let response = self.0.send(request).await?;
        match response.status() {
            200..=299 => Ok(response),
            status => {
                let code = response.error_code().map(str::to_owned);
                let clock = response.clock_difference(now).filter(|_| status == 401);
                Err(Kind::Rejected { status, code, retry_after: response.retry_after(now), clock }.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use azure_http::HttpErrorKind;

    use super::*;

    const MAX_BODY_BYTES: usize = 64 * 1_024;

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        for (length, expected) in [
            (MAX_BODY_BYTES, Ok(MAX_BODY_BYTES)),
            (MAX_BODY_BYTES + 1, Err(Kind::Http(HttpErrorKind::BodyTooLarge))),
            (100 * MAX_BODY_BYTES, Err(Kind::Http(HttpErrorKind::BodyTooLarge))),
        ] {
            let respond = async move || vec![b' '; length];
            let port = test_support::http::serve(axum::Router::new().fallback(respond)).await;
            let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
            let transport = Transport::new(&RootCertificates::default()).unwrap();
            let (token, connection, now) = (Secret::new("t"), Connection::Pooled, SystemTime::UNIX_EPOCH);
            let read = transport.call(Method::GET, &url, &token, MAX_BODY_BYTES, connection, now).await;
            assert_eq!(read.map(|body| body.len()).map_err(|error| error.kind), expected, "{length}");
        }
    }
}
