//! Our HTTP client as `object_store` wants one.
//!
//! The same client asks managed identity endpoints, for the library does that itself.

use axum::body::{Body, to_bytes};
use axum::http::Response;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use crate::http;

/// In bytes, each way: files of ours are a fraction of it, and tokens and lists of errors too.
const MAX_BODY_BYTES: usize = 64 * 1_024;

/// Makes clients that are all the same.
#[derive(Debug)]
pub(super) struct OurClients;

#[derive(Debug)]
struct OurClient(reqwest::Client);

impl HttpConnector for OurClients {
    /// The options are for the library's own client, which is not there.
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = http::client();
        let error =
            |source| object_store::Error::Generic { store: "MicrosoftAzure", source: Box::new(source) };
        client.map(|client| HttpClient::new(OurClient(client))).map_err(error)
    }
}

#[async_trait::async_trait]
impl HttpService for OurClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url =
            parts.uri.to_string().parse().map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let body = to_bytes(Body::new(body), MAX_BODY_BYTES).await;
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let mut outgoing = reqwest::Request::new(parts.method, url);
        *outgoing.headers_mut() = parts.headers;
        *outgoing.body_mut() = Some(body.into());
        let response: Response<reqwest::Body> = self.0.execute(outgoing).await.map_err(silence)?.into();
        let (parts, body) = response.into_parts();
        let body = to_bytes(Body::new(body), MAX_BODY_BYTES).await;
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))?;
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

/// The kind says whether the library tries again: always where nothing was sent, else where that can do no harm.
fn silence(error: reqwest::Error) -> HttpError {
    let kind = if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_timeout() {
        HttpErrorKind::Timeout
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error.without_url())
}
