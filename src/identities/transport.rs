//! Our HTTP client as `object_store` wants one: TLS with compiled-in roots, no proxies, no redirects.
//!
//! It works where there is no file system to speak of. The same client asks managed identity endpoints, which are on the machine itself;
//! through a proxy their secret would go with the question.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Response;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

/// Longer than a TCP handshake within a region takes with one lost packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For a whole answer. Managed identity endpoints take up to a second when they are cold.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// In bytes, each way: files of ours are a fraction of it, and tokens and lists of errors too.
const LARGEST_BODY: usize = 64 * 1_024;

/// Makes clients that are all the same.
#[derive(Debug)]
pub(super) struct OurClients;

#[derive(Debug)]
struct OurClient(reqwest::Client);

impl HttpConnector for OurClients {
    /// The options are for the library's own client, which is not there.
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = client();
        let error =
            |source| object_store::Error::Generic { store: "MicrosoftAzure", source: Box::new(source) };
        client.map(|client| HttpClient::new(OurClient(client))).map_err(error)
    }
}

fn client() -> reqwest::Result<reqwest::Client> {
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

#[async_trait::async_trait]
impl HttpService for OurClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url =
            parts.uri.to_string().parse().map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let body = to_bytes(Body::new(body), LARGEST_BODY).await;
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let mut outgoing = reqwest::Request::new(parts.method, url);
        *outgoing.headers_mut() = parts.headers;
        *outgoing.body_mut() = Some(body.into());
        let response: Response<reqwest::Body> = self.0.execute(outgoing).await.map_err(silence)?.into();
        let (parts, body) = response.into_parts();
        let body = to_bytes(Body::new(body), LARGEST_BODY).await;
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
