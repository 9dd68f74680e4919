//! The service that is asked: its addresses, tokens for it, and one way to call it.
//!
//! Nothing here retries, follows, or fills in: a call is sent as the case describes it, once.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method, StatusCode};
use rustls::ClientConfig;
use serde_json::{Map, Value, json};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::connection_string::ConnectionString;
use crate::outcome::{Stop, Verdict, causes, same};
use crate::token::{HEADER, Key, Token};

/// The version that REST calls ask for where a case names none: the one that the published SDKs agree on.
pub(crate) const API_VERSION: &str = "2022-06-01";

/// How long a call may take: longer than any poll is held.
const LONGEST_ANSWER: Duration = Duration::from_secs(130);

/// Lifetime of tokens where a case names none.
const TOKEN_LIFETIME: u64 = 3600;

pub(crate) struct Service {
    pub(crate) connection: ConnectionString,
    pub(crate) key: Key,
    /// How long to wait for what ought to come at once.
    pub(crate) patience: Duration,
    pub(crate) tls: TlsConnector,
    http: reqwest::Client,
}

impl Service {
    pub(crate) fn new(connection: ConnectionString, key: Key, patience: Duration) -> Result<Self, String> {
        let tls = tls();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(LONGEST_ANSWER)
            .no_proxy()
            .build()
            .map_err(|error| format!("no HTTP client can be made here: {}", causes(&error)))?;
        Ok(Self { connection, key, patience, tls: TlsConnector::from(Arc::new(tls)), http })
    }

    /// The audience of clients, as the published SDK writes it: no port, a slash after `client`.
    pub(crate) fn client_audience(&self, hub: &str) -> String {
        format!("{}client/?hub={}", self.connection.audience_base(), hub.to_lowercase())
    }

    pub(crate) fn client_token(&self, hub: &str) -> Token {
        self.token(&self.client_audience(hub), &json!({}))
    }

    /// A token of one hour, with more claims, or others: those given win.
    pub(crate) fn token(&self, audience: &str, claims: &Value) -> Token {
        let now = now();
        let mut all = Map::from_iter([
            ("aud".to_owned(), json!(audience)),
            ("nbf".to_owned(), json!(now)),
            ("iat".to_owned(), json!(now)),
            ("exp".to_owned(), json!(now + TOKEN_LIFETIME)),
        ]);
        all.extend(claims.as_object().cloned().unwrap_or_default());
        self.key.sign(HEADER, &Value::Object(all).to_string())
    }

    /// `…/client/`, or something below it, with a query.
    pub(crate) fn client_url(&self, below: &[&str], query: &[(&str, &str)]) -> Url {
        let mut segments = vec!["client"];
        segments.extend(if below.is_empty() { &[""] } else { below });
        let mut url = below_base(self.connection.client_base(), &segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A call of anything below the root of the REST API. It carries a token for exactly its path.
    pub(crate) fn call(&self, method: Method, segments: &[&str]) -> Call<'_> {
        self.call_url(method, below_base(self.connection.server_base(), segments))
    }

    /// A call of an address that the service itself gave.
    pub(crate) fn call_url(&self, method: Method, url: Url) -> Call<'_> {
        Call {
            service: self,
            method,
            url,
            admission: Admission::ForPath,
            headers: HeaderMap::new(),
            body: None,
        }
    }

    /// `POST /client/negotiate`.
    pub(crate) fn negotiate(&self, query: &[(&str, &str)], token: &Token) -> Call<'_> {
        self.call_url(Method::POST, self.client_url(&["negotiate"], query)).token(token)
    }
}

fn below_base(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.path_segments_mut().expect("http addresses have paths").pop_if_empty().extend(segments);
    url
}

fn tls() -> ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

enum Admission {
    /// A token for the address of the call without its query, as the REST reference has it.
    ForPath,
    Token(Token),
    Nothing,
}

/// A call that has not been sent yet.
#[must_use = "a call does nothing until its answer is asked for"]
pub(crate) struct Call<'a> {
    service: &'a Service,
    method: Method,
    url: Url,
    admission: Admission,
    headers: HeaderMap,
    body: Option<Body>,
}

impl Call<'_> {
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// The newest version that knows an operation, for those that the usual one has not.
    pub(crate) fn version(self, version: &str) -> Self {
        let others: Vec<(String, String)> = self
            .url
            .query_pairs()
            .filter(|(name, _)| name != "api-version")
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let mut call = self;
        call.url.query_pairs_mut().clear().extend_pairs(others).append_pair("api-version", version);
        call
    }

    /// The path as it is sent.
    pub(crate) fn path(&self) -> &str {
        self.url.path()
    }

    pub(crate) fn token(mut self, token: &Token) -> Self {
        self.admission = Admission::Token(token.clone());
        self
    }

    pub(crate) fn without_token(mut self) -> Self {
        self.admission = Admission::Nothing;
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

    /// A payload: what clients are to be told.
    pub(crate) fn message(self, target: &str, arguments: &Value) -> Self {
        self.json(&json!({"target": target, "arguments": arguments}))
    }

    /// The answer when its headers are there; the body comes as it comes.
    pub(crate) async fn stream(self) -> Verdict<reqwest::Response> {
        let audience = self.url.as_str().split('?').next().unwrap_or_default();
        let token = match self.admission {
            Admission::ForPath => Some(self.service.token(audience, &json!({}))),
            Admission::Token(token) => Some(token),
            Admission::Nothing => None,
        };
        let mut request = self.service.http.request(self.method, self.url.clone()).headers(self.headers);
        if let Some(token) = token {
            request = request.bearer_auth(token.0);
        }
        if let Some(body) = self.body {
            request = request.body(body);
        }
        Ok(request.send().await?)
    }

    pub(crate) async fn answer(self) -> Verdict<Answer> {
        let response = self.stream().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
    }

    /// The answer, if it has this status.
    pub(crate) async fn status(self, status: u16) -> Verdict<Answer> {
        self.answer().await?.with_status(status)
    }

    /// The answer, if it has this status and says this in `x-ms-error-code`.
    pub(crate) async fn error(self, status: u16, code: &str) -> Verdict<Answer> {
        let answer = self.status(status).await?;
        same("x-ms-error-code", Some(code), answer.header("x-ms-error-code"))?;
        Ok(answer)
    }
}

/// What the service answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn with_status(self, status: u16) -> Verdict<Self> {
        if self.status == status {
            return Ok(self);
        }
        if self.status == StatusCode::NOT_IMPLEMENTED {
            return Err(Stop::Refused { said: self.text() });
        }
        Err(Stop::failed(status, format_args!("{} {}", self.status.as_u16(), self.text())))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Verdict<Value> {
        serde_json::from_slice(&self.body).map_err(|_| Stop::failed("a JSON body", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header that has this in it, whatever the letter case.
    pub(crate) fn header_with(&self, name: &str, part: &str) -> Verdict {
        let came = self.header(name).unwrap_or("nothing");
        if came.to_lowercase().contains(&part.to_lowercase()) {
            return Ok(());
        }
        Err(Stop::failed(format_args!("header {name} with {part}"), came))
    }
}

/// What comes of something, if it comes in time.
pub(crate) async fn within<T>(
    limit: Duration,
    what: &str,
    future: impl Future<Output = Verdict<T>>,
) -> Verdict<T> {
    match tokio::time::timeout(limit, future).await {
        Ok(came) => came,
        Err(_) => Err(Stop::failed(what, format_args!("nothing within {} s", limit.as_secs()))),
    }
}
