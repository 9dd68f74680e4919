//! The HTTPS client: trusted roots, options, connections, one request, its response, and the ways it can fail.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{AUTHORIZATION, CONTENT_LENGTH, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::Url;

use crate::clock::ClockDifference;
use crate::secret::Secret;

/// The cap for a delay from `Retry-After`: a day. Longer ones are mistakes, and might not fit into a clock.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Under the idle time-outs of Azure's load balancers, so that this side closes first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a connection counts as [`Connection::Recent`] after its last request.
///
/// Less than [`ATTEMPT_TIMEOUT`](crate::ATTEMPT_TIMEOUT): when an attempt has timed out because all connections died, none of those that
/// died with it is recent any more.
pub(crate) const RECENT_TIMEOUT: Duration = Duration::from_secs(3);

/// An idle connection is probed after this time, and closed 10 seconds later if the peer acknowledges no probe: a connection that a load
/// balancer has forgotten leaves the pool in that way, unless a request is sooner.
const KEEPALIVE_TIME: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 2;
/// Linux closes a connection by this time instead of by the number of probes.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(20);

const MAX_ERROR_CODE_BYTES: usize = 100;

/// Root certificates to trust beside Mozilla's, for a service behind a gateway or proxy that has its own.
///
/// Parsed from PEM text with at least one certificate; as text and not as a path, since there may be no file system.
#[derive(Clone, Debug, Default)]
pub struct RootCertificates(Vec<CertificateDer<'static>>);

impl FromStr for RootCertificates {
    type Err = RootCertificatesError;

    fn from_str(pem: &str) -> Result<Self, Self::Err> {
        let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let found = found.map_err(|_| RootCertificatesError)?;
        let (usable, _) = RootCertStore::empty().add_parsable_certificates(found.iter().cloned());
        if usable == 0 || usable < found.len() { Err(RootCertificatesError) } else { Ok(Self(found)) }
    }
}

/// The text is not PEM with certificates in it, or one of them cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be certificates in PEM form: -----BEGIN CERTIFICATE----- and so on")]
pub struct RootCertificatesError;

/// What an [`HttpClient`] is built with.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Trusted beside Mozilla's roots; none by default.
    pub roots: RootCertificates,
    /// For TCP and TLS; 3 seconds by default: longer than a handshake within a region takes with one lost packet.
    pub connect_timeout: Duration,
    /// For a whole request, body included; none by default, since [`RetryState`](crate::RetryState) has time-outs.
    pub timeout: Option<Duration>,
    /// The value of the header `User-Agent`; none by default.
    pub user_agent: Option<&'static str>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        let (roots, connect_timeout) = (RootCertificates::default(), Duration::from_secs(3));
        Self { roots, connect_timeout, timeout: None, user_agent: None }
    }
}

/// Which connections a request may be sent on.
///
/// A connection can die without a sign: a load balancer or NAT forgets it, and what is sent on it vanishes. Only a request shows that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// Any that is open as far as this side knows: for requests that can be repeated.
    #[default]
    Pooled,
    /// One that was used in the last three seconds by another such request, or a new one: for requests that must not be lost, and for
    /// repeats after a connection gave no response.
    Recent,
}

/// An HTTPS client with a pool of connections; clones share it.
///
/// It uses no proxy (managed identity endpoints are on the machine itself, and a proxy would see their secrets), follows no redirect and
/// sends each request once.
///
/// ```no_run
/// # async fn example() -> Result<(), azure_http::HttpError> {
/// use azure_http::{HttpClient, HttpOptions, Method, Request, parse_base_url};
///
/// let client = HttpClient::new(&HttpOptions::default())?;
/// let url = parse_base_url("https://contoso.service.signalr.net/api/health").unwrap();
/// let response = client.send(Request::new(Method::HEAD, url)).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HttpClient {
    /// For [`Connection::Pooled`].
    pooled: reqwest::Client,
    /// For [`Connection::Recent`]. A client of its own, since the time that connections stay in a pool is a property of the pool.
    recent: reqwest::Client,
}

impl HttpClient {
    /// Builds a client. This reads no file and uses no network.
    ///
    /// # Errors
    ///
    /// When the user agent is not a header value, or names cannot be resolved on this machine.
    pub fn new(options: &HttpOptions) -> Result<Self, HttpError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(options.roots.0.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let build = |idle_timeout| {
            let mut builder = reqwest::Client::builder()
                // Clones of the configuration share the sessions that a new connection resumes.
                .tls_backend_preconfigured(tls.clone())
                .connect_timeout(options.connect_timeout)
                .pool_idle_timeout(idle_timeout)
                .tcp_keepalive(KEEPALIVE_TIME)
                .tcp_keepalive_interval(KEEPALIVE_INTERVAL)
                .tcp_keepalive_retries(KEEPALIVE_PROBES)
                // Requests and responses are small and final: waiting to fill a packet only delays them.
                .tcp_nodelay(true)
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy();
            #[cfg(target_os = "linux")]
            {
                builder = builder.tcp_user_timeout(UNACKNOWLEDGED_TIMEOUT);
            }
            if let Some(timeout) = options.timeout {
                builder = builder.timeout(timeout);
            }
            if let Some(user_agent) = options.user_agent {
                builder = builder.user_agent(user_agent);
            }
            builder.build().map_err(HttpError::from_reqwest)
        };
        Ok(Self { pooled: build(IDLE_TIMEOUT)?, recent: build(RECENT_TIMEOUT)? })
    }

    /// Sends one request and returns when the head of the response has arrived, whichever its status.
    ///
    /// # Errors
    ///
    /// When there is no response.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let Request { method, url, mut headers, body, connection } = request;
        if body.is_empty() && matches!(method, Method::POST | Method::PUT) {
            // hyper sends no length without a body, and a front end may respond 411 to that.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut outgoing = reqwest::Request::new(method, url);
        *outgoing.headers_mut() = headers;
        if !body.is_empty() {
            *outgoing.body_mut() = Some(body.into());
        }
        let client = match connection {
            Connection::Pooled => &self.pooled,
            Connection::Recent => &self.recent,
        };
        client.execute(outgoing).await.map(Response).map_err(HttpError::from_reqwest)
    }

    /// The client of the HTTP library, with [`Connection::Pooled`], for code that has to hand one to a library of its own. The only part
    /// of this crate's API that names reqwest.
    pub fn as_reqwest(&self) -> &reqwest::Client {
        &self.pooled
    }
}

/// A request that can be sent any number of times. Its `Debug` form shows the method only.
#[derive(Clone)]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: Method,
    /// Where it goes; sent as it is, escapes included.
    pub url: Url,
    /// All headers but those that HTTP itself needs.
    pub headers: HeaderMap,
    /// Empty for none.
    pub body: Vec<u8>,
    /// Which connections it may be sent on; any by default.
    pub connection: Connection,
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Vec::new(), connection: Connection::Pooled }
    }

    /// Sets `Authorization: Bearer …`, marked as sensitive.
    ///
    /// # Errors
    ///
    /// When the token has characters that a header cannot have.
    pub fn set_bearer(&mut self, token: &Secret) -> Result<(), HttpError> {
        let mut value = HeaderValue::try_from(["Bearer ", token.expose()].concat())
            .map_err(|_| HttpError { kind: HttpErrorKind::Unusable, source: None })?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

/// A response whose body has not been read yet.
pub struct Response(reqwest::Response);

impl Response {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// `x-ms-error-code`, if it has the form of a name and so may be logged.
    pub fn error_code(&self) -> Option<&str> {
        let code = self.headers().get("x-ms-error-code")?.to_str().ok()?;
        let plain =
            code.len() <= MAX_ERROR_CODE_BYTES && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        plain.then_some(code)
    }

    /// The delay that `Retry-After` asks for, in either of its forms (RFC 9110 §10.2.3), at most [`MAX_RETRY_AFTER`].
    ///
    /// A date counts by the server's clock, if its response has a date itself, else from `now`.
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let retry_after = self.headers().get(RETRY_AFTER)?.to_str().ok()?;
        parse_retry_after(retry_after, self.date().unwrap_or(now))
    }

    /// How far the clock that says `now` is from the server's, if it is far and the server tells its time.
    pub fn clock_difference(&self, now: SystemTime) -> Option<ClockDifference> {
        ClockDifference::between(now, self.date()?)
    }

    /// When the server says it sent this.
    fn date(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.headers().get(DATE)?.to_str().ok()?).ok()
    }

    /// Reads the body, up to `max_bytes`.
    ///
    /// # Errors
    ///
    /// When it is longer, or does not arrive completely.
    pub async fn body(mut self, max_bytes: usize) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.0.chunk().await.map_err(HttpError::from_reqwest)? {
            if body.len() + chunk.len() > max_bytes {
                return Err(HttpError { kind: HttpErrorKind::BodyTooLarge, source: None });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// `delay-seconds` or `HTTP-date`. A date counts from the whole second that `now` is in: rounded up, since HTTP has no fractions.
fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let delay = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let date = since_1970(httpdate::parse_http_date(text).ok()?);
        Duration::from_secs(date.saturating_sub(since_1970(now)))
    };
    Some(delay.min(MAX_RETRY_AFTER))
}

/// Why there is no response, or no whole one. Neither it nor its causes hold the address, which can have secrets in it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}")]
pub struct HttpError {
    kind: HttpErrorKind,
    source: Option<Arc<reqwest::Error>>,
}

/// The ways a request can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// No connection was made: nothing was sent.
    #[error("no connection could be made")]
    Unreachable,
    /// The connection broke after something was sent.
    #[error("the connection broke before the response was complete")]
    Interrupted,
    /// The time for the attempt was up.
    #[error("there was no response in time")]
    TimedOut,
    /// The body is longer than the caller reads.
    #[error("the response is too long")]
    BodyTooLarge,
    /// The client or the request cannot be built.
    #[error("the HTTP client or request cannot be built")]
    Unusable,
}

impl HttpError {
    /// Which way it failed.
    pub fn kind(&self) -> HttpErrorKind {
        self.kind
    }

    pub(crate) fn timed_out() -> Self {
        Self { kind: HttpErrorKind::TimedOut, source: None }
    }

    #[cold]
    fn from_reqwest(error: reqwest::Error) -> Self {
        let kind = if error.is_builder() {
            HttpErrorKind::Unusable
        } else if error.is_connect() {
            HttpErrorKind::Unreachable
        } else if error.is_timeout() {
            HttpErrorKind::TimedOut
        } else {
            HttpErrorKind::Interrupted
        };
        Self { kind, source: Some(Arc::new(error.without_url())) }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused() {
        let broken = "-----BEGIN CERTIFICATE-----\naGk=\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\naGk=\n-----END PRIVATE KEY-----\n";
        for text in ["", "nonsense", broken, key, "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"] {
            assert_eq!(text.parse::<RootCertificates>().unwrap_err(), RootCertificatesError, "{text}");
        }
    }

    #[test]
    fn both_forms_of_retry_after_are_read_and_bounded() {
        let now = UNIX_EPOCH + Duration::new(1_697_643_256, 999_999_999);
        for (text, seconds) in [
            ("0", Some(0)),
            (" 30 ", Some(30)),
            ("Wed, 18 Oct 2023 15:35:16 GMT", Some(60)),
            ("Wednesday, 18-Oct-23 15:35:16 GMT", Some(60)),
            ("Wed Oct 18 15:35:16 2023", Some(60)),
            ("Wed, 18 Oct 2023 15:33:16 GMT", Some(0)),
            ("Mon, 18 Oct 2123 15:33:16 GMT", Some(86_400)),
            ("18446744073709551615", Some(86_400)),
            ("99999999999999999999", Some(86_400)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(parse_retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[tokio::test]
    async fn a_date_in_retry_after_counts_by_the_clock_of_the_server() {
        let now = UNIX_EPOCH + Duration::new(1_697_643_256, 1);
        for (headers, seconds, is_clock_named) in [
            ("Retry-After: Wed, 18 Oct 2023 15:35:16 GMT", Some(60), false),
            ("Date: Wed, 18 Oct 2023 15:34:16 GMT\r\nRetry-After: Wed, 18 Oct 2023 15:35:16 GMT", Some(60), false),
            ("Date: Wed, 18 Oct 2023 15:44:16 GMT\r\nRetry-After: Wed, 18 Oct 2023 15:44:18 GMT", Some(2), true),
            ("Date: Wed, 18 Oct 2023 15:24:16 GMT\r\nRetry-After: Wed, 18 Oct 2023 15:24:18 GMT", Some(2), true),
            ("Date: Wed, 18 Oct 2023 15:44:16 GMT\r\nRetry-After: 30", Some(30), true),
            ("Date: Wed, 18 Oct 2023 15:35:16 GMT\r\nRetry-After: 0", Some(0), false),
            ("Date: today\r\nRetry-After: Wed, 18 Oct 2023 15:35:16 GMT", Some(60), false),
            ("Date: Wed, 18 Oct 2023 15:44:16 GMT", None, true),
            ("Date: Fri, 31 Dec 9999 23:59:59 GMT\r\nRetry-After: Wed, 18 Oct 2023 15:35:16 GMT", Some(0), true),
            ("X: y", None, false),
        ] {
            let response = format!("HTTP/1.1 503 X\r\n{headers}\r\ncontent-length: 0\r\n\r\n");
            let response = exchange(post("/"), response).await.1.unwrap();
            assert_eq!(response.retry_after(now), seconds.map(Duration::from_secs), "{headers}");
            assert_eq!(response.clock_difference(now).is_some(), is_clock_named, "{headers}");
        }
    }

    fn client() -> HttpClient {
        HttpClient::new(&HttpOptions::default()).unwrap()
    }

    /// Sends a request to a server that reads it, responds with `response` and closes; the request as it arrived, and the result.
    async fn exchange(mut request: Request, response: impl AsRef<[u8]>) -> (String, Result<Response, HttpError>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        request.url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4_096];
            let length = socket.read(&mut buffer).await.unwrap();
            socket.write_all(response.as_ref()).await.unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        let client = client();
        tokio::join!(server, client.send(request))
    }

    fn post(path: &str) -> Request {
        Request::new(Method::POST, Url::parse("http://127.0.0.1").unwrap().join(path).unwrap())
    }

    #[tokio::test]
    async fn a_post_without_a_body_has_a_length_and_a_token_is_sensitive() {
        let mut request = post("/a%2Fb?c=d");
        request.set_bearer(&Secret::new("hush")).unwrap();
        assert!(!format!("{request:?} {:?}", request.headers).contains("hush"));
        let (received, response) = exchange(request, "HTTP/1.1 204 X\r\n\r\n").await;
        assert_eq!(response.unwrap().status(), 204);
        assert!(received.starts_with("POST /a%2Fb?c=d HTTP/1.1\r\n"), "{received}");
        for header in ["content-length: 0\r\n", "authorization: Bearer hush\r\n"] {
            assert!(received.contains(header), "{received}");
        }
        assert!(post("/").set_bearer(&Secret::new("a\nb")).is_err());
    }

    #[tokio::test]
    async fn a_code_is_read_if_it_is_a_name_and_a_body_if_it_is_short() {
        let response = "HTTP/1.1 404 X\r\nx-ms-error-code: Info.Connection\r\ncontent-length: 2\r\n\r\nhi";
        let (_, found) = exchange(post("/"), response).await;
        let found = found.unwrap();
        assert_eq!((found.error_code(), found.retry_after(SystemTime::now())), (Some("Info.Connection"), None));
        assert_eq!(found.body(2).await.unwrap(), b"hi");
        let response = "HTTP/1.1 404 X\r\nx-ms-error-code: http://h/\r\ncontent-length: 2\r\n\r\nhi";
        let found = exchange(post("/"), response).await.1.unwrap();
        assert_eq!(found.error_code(), None);
        assert_eq!(found.body(1).await.unwrap_err().kind(), HttpErrorKind::BodyTooLarge);
    }

    #[tokio::test]
    async fn failures_are_told_apart_and_do_not_show_the_address() {
        let refused = client().send(post("http://127.0.0.1:1/hush")).await.unwrap_err();
        let broken = exchange(post("/hush"), "HTTP/1.1 2").await.1.unwrap_err();
        assert_eq!((refused.kind(), broken.kind()), (HttpErrorKind::Unreachable, HttpErrorKind::Interrupted));
        for error in [refused, broken] {
            assert!(!format!("{error} {error:?} {:?}", error.source()).contains("hush"), "{error:?}");
        }
    }
}
