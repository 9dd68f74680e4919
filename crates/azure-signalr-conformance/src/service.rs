//! `Service`: the service under test, its URLs and tokens; `Call` is one HTTP request to it, and `Response` what it returns.
//!
//! A call is sent exactly once, as the case describes it: no retries, no redirects, no added parameters.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method, StatusCode};
use rustls::ClientConfig;
use serde_json::{Map, Value, json};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::case_result::{CaseResult, Failure, Outcome, error_chain, expect_eq};
use crate::credentials::{AccessKey, ConnectionString, HEADER, Token};

/// The default `api-version` of REST calls: the one that the published SDKs share.
pub(crate) const API_VERSION: &str = "2022-06-01";

/// The maximum time of a call; longer than a service holds a poll.
const CALL_TIMEOUT: Duration = Duration::from_secs(130);

/// The maximum length of a response; several times that of the longest message in a case.
const MAX_BODY_BYTES: usize = 16 << 20;

/// The default lifetime of tokens.
const TOKEN_LIFETIME_SECONDS: u64 = 3600;

/// The service under test.
pub(crate) struct Service {
    pub(crate) connection: ConnectionString,
    pub(crate) key: AccessKey,
    /// The maximum time for an event that should happen at once.
    pub(crate) timeout: Duration,
    pub(crate) tls: TlsConnector,
    http: reqwest::Client,
}

impl Service {
    pub(crate) fn new(connection: ConnectionString, key: AccessKey, timeout: Duration) -> Result<Self, String> {
        let tls = tls();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(CALL_TIMEOUT)
            .no_proxy()
            .build()
            .map_err(|error| format!("the HTTP client cannot be created: {}", error_chain(&error)))?;
        Ok(Self { connection, key, timeout, tls: TlsConnector::from(Arc::new(tls)), http })
    }

    /// The audience of client tokens, as the published SDK writes it: no port, a slash after `client`.
    pub(crate) fn client_audience(&self, hub: &str) -> String {
        format!("{}client/?hub={}", self.connection.audience_base(), hub.to_lowercase())
    }

    pub(crate) fn client_token(&self, hub: &str) -> Token {
        self.token(&self.client_audience(hub), &json!({}))
    }

    /// A token of one hour; `claims` are added and take precedence.
    pub(crate) fn token(&self, audience: &str, claims: &Value) -> Token {
        let now = unix_now();
        let mut all = Map::from_iter([
            ("aud".to_owned(), json!(audience)),
            ("nbf".to_owned(), json!(now)),
            ("iat".to_owned(), json!(now)),
            ("exp".to_owned(), json!(now + TOKEN_LIFETIME_SECONDS)),
        ]);
        all.extend(claims.as_object().cloned().unwrap_or_default());
        self.key.sign(HEADER, &Value::Object(all).to_string())
    }

    /// The URL `…/client/`, or one below it, with a query.
    pub(crate) fn client_url(&self, below: &[&str], query: &[(&str, &str)]) -> Url {
        let mut segments = vec!["client"];
        segments.extend(if below.is_empty() { &[""] } else { below });
        let mut url = append_segments(self.connection.client_base(), &segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A call of the REST API, with a token for exactly its path.
    pub(crate) fn call(&self, method: Method, segments: &[&str]) -> Call<'_> {
        self.call_url(method, append_segments(self.connection.server_base(), segments))
    }

    /// A call of a whole URL, with a token for exactly its path.
    pub(crate) fn call_url(&self, method: Method, url: Url) -> Call<'_> {
        let (authorization, headers) = (Authorization::ForPath, HeaderMap::new());
        Call { service: self, method, url, version: None, authorization, headers, body: None }
    }

    /// A call of the control API that the emulator of this repository has.
    pub(crate) fn control(&self, method: Method, segments: &[&str]) -> Call<'_> {
        self.call(method, &[&["emulator"], segments].concat()).without_token()
    }

    /// `POST /client/negotiate`.
    pub(crate) fn negotiate(&self, query: &[(&str, &str)], token: &Token) -> Call<'_> {
        self.call_url(Method::POST, self.client_url(&["negotiate"], query)).token(token)
    }
}

fn append_segments(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.path_segments_mut().expect("http URLs have paths").pop_if_empty().extend(segments);
    url
}

fn tls() -> ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A name that no other case or run uses: a prefix and 40 random bits.
pub(crate) fn unique_name(prefix: &str) -> String {
    let mut bytes = [0; 5];
    getrandom::fill(&mut bytes).expect("the system provides random bytes");
    bytes.iter().fold(prefix.to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

/// The current time in seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

enum Authorization {
    /// A token for the URL without its query, as the REST reference has it.
    ForPath,
    Token(Token),
    None,
}

/// A request to the service that has not been sent.
#[must_use = "a call is sent when its response is requested"]
pub(crate) struct Call<'a> {
    service: &'a Service,
    method: Method,
    url: Url,
    version: Option<&'static str>,
    authorization: Authorization,
    headers: HeaderMap,
    body: Option<Body>,
}

impl Call<'_> {
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Sets the `api-version`, as the last parameter.
    pub(crate) fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    /// The path of the URL, encoded.
    pub(crate) fn path(&self) -> &str {
        self.url.path()
    }

    pub(crate) fn token(mut self, token: &Token) -> Self {
        self.authorization = Authorization::Token(token.clone());
        self
    }

    pub(crate) fn without_token(mut self) -> Self {
        self.authorization = Authorization::None;
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Body>) -> Self {
        self.body = Some(body.into());
        self.header(reqwest::header::CONTENT_TYPE, content_type)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sets an invocation as the body.
    pub(crate) fn message(self, target: &str, arguments: &Value) -> Self {
        self.json(&json!({"target": target, "arguments": arguments}))
    }

    /// Sends the call and returns when the response headers have arrived.
    pub(crate) async fn stream(self) -> CaseResult<reqwest::Response> {
        let audience = self.url.as_str().split('?').next().unwrap_or_default();
        let token = match self.authorization {
            Authorization::ForPath => Some(self.service.token(audience, &json!({}))),
            Authorization::Token(token) => Some(token),
            Authorization::None => None,
        };
        let mut url = self.url.clone();
        if let Some(version) = self.version {
            url.query_pairs_mut().append_pair("api-version", version);
        }
        let mut request = self.service.http.request(self.method, url).headers(self.headers);
        if let Some(token) = token {
            request = request.bearer_auth(token.0);
        }
        if let Some(body) = self.body {
            request = request.body(body);
        }
        Ok(request.send().await?)
    }

    /// Sends the call and returns the whole response.
    pub(crate) async fn response(self) -> CaseResult<Response> {
        Response::read(self.stream().await?).await
    }

    /// Sends the call and expects a status.
    pub(crate) async fn expect_status(self, status: u16) -> CaseResult<Response> {
        self.response().await?.expect_status(status)
    }

    /// Sends the call and expects 200 and a JSON body.
    pub(crate) async fn expect_json(self) -> CaseResult<Value> {
        self.expect_status(200).await?.json()
    }

    /// Sends the call and expects a status and a code in `x-ms-error-code`.
    pub(crate) async fn expect_error(self, status: u16, code: &str) -> CaseResult<Response> {
        let response = self.expect_status(status).await?;
        expect_eq("x-ms-error-code", Some(code), response.header("x-ms-error-code"))?;
        Ok(response)
    }
}

/// A response of the service.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) async fn read(mut response: reqwest::Response) -> CaseResult<Self> {
        let (status, headers, mut body) = (response.status(), response.headers().clone(), Vec::new());
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(Failure::new(format!("a response of at most {MAX_BODY_BYTES} bytes"), "a longer one"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { status, headers, body })
    }

    /// Expects a status; 501 says that the feature is not implemented.
    pub(crate) fn expect_status(self, status: u16) -> CaseResult<Self> {
        if self.status == status {
            return Ok(self);
        }
        if self.status == StatusCode::NOT_IMPLEMENTED {
            return Err(Failure(Outcome::NotImplemented { message: self.text() }));
        }
        Err(Failure::new(status, format_args!("{} {}", self.status.as_u16(), self.text())))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> CaseResult<Value> {
        serde_json::from_slice(&self.body).map_err(|_| Failure::new("a JSON body", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Expects a header that contains `part`, ignoring case.
    pub(crate) fn expect_header(&self, name: &str, part: &str) -> CaseResult {
        let actual = self.header(name).unwrap_or("nothing");
        if actual.to_lowercase().contains(&part.to_lowercase()) {
            return Ok(());
        }
        Err(Failure::new(format_args!("header {name} with {part}"), actual))
    }
}

/// Awaits a future; fails if it takes longer than the time limit.
pub(crate) async fn with_timeout<T>(
    timeout: Duration,
    what: &str,
    future: impl Future<Output = CaseResult<T>>,
) -> CaseResult<T> {
    match tokio::time::timeout(timeout, future).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(what, format_args!("nothing within {} s", timeout.as_secs()))),
    }
}
