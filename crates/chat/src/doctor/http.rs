//! HTTP requests of the doctor: short time-outs, no redirects (their targets are checked), no proxies, and what CORS headers allow.
//!
//! A browser compares `Access-Control-Allow-Origin` with the page's origin byte by byte, and accepts it exactly once.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use azure_http::{HttpClient, HttpError, HttpOptions, RootCertificates};
use azure_signalr::ConnectionString;
use reqwest::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, ORIGIN,
};
use reqwest::{Client, Method, RequestBuilder, Url};

/// Covers one lost packet of a TCP handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For a whole response. A function app that starts takes a few seconds.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest response, and the longest message over a WebSocket, that is read.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// An origin that no page of a chat has.
pub(super) const OTHER_ORIGIN: &str = "https://example.com";

/// Builds a client that trusts Mozilla's roots and those in the settings of the service.
pub(super) fn client(service: Option<&ConnectionString>) -> Result<Client, HttpError> {
    let roots = service.map(ConnectionString::roots).cloned().unwrap_or_default();
    Ok(http_client(roots)?.as_reqwest().clone())
}

/// Builds a client that trusts Mozilla's roots and these.
pub(super) fn http_client(roots: RootCertificates) -> Result<HttpClient, HttpError> {
    let user_agent = Some(concat!("serverless-chat-doctor/", env!("CARGO_PKG_VERSION")));
    let options = HttpOptions { roots, connect_timeout: CONNECT_TIMEOUT, timeout: Some(REQUEST_TIMEOUT), user_agent };
    HttpClient::new(&options)
}

/// A response with its body read.
#[derive(Debug)]
pub(super) struct HttpResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl HttpResponse {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, if it is JSON.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The access token in a successful response of negotiate.
    pub(super) fn access_token(&self) -> Option<String> {
        let body = self.json()?;
        body["url"].as_str()?;
        body["accessToken"].as_str().map(str::to_owned)
    }
}

/// Builds a response for tests.
#[cfg(test)]
pub(super) fn test_response(status: u16, headers: &[(&'static str, &str)], body: &serde_json::Value) -> HttpResponse {
    use reqwest::header::{HeaderName, HeaderValue};

    let headers =
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
    HttpResponse { status, headers: headers.collect(), body: body.to_string().into_bytes() }
}

/// Why there is no response. It does not name the address, which may hold a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    #[error("the host name does not exist")]
    UnknownHost,
    #[error("connection refused: no process listens there")]
    ConnectionRefused,
    #[error("its certificate is not trusted")]
    CertificateNotTrusted,
    #[error("no response within ten seconds")]
    TimedOut,
    #[error("the connection was lost before a response")]
    ConnectionLost,
}

impl From<reqwest::Error> for RequestError {
    fn from(error: reqwest::Error) -> Self {
        let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
        let known = causes.find_map(|cause| {
            if is_about_certificate(cause) {
                return Some(Self::CertificateNotTrusted);
            }
            match cause.downcast_ref::<io::Error>() {
                Some(io) => (io.kind() == io::ErrorKind::ConnectionRefused).then_some(Self::ConnectionRefused),
                // The connector's error type is private.
                None => (cause.to_string() == "dns error").then_some(Self::UnknownHost),
            }
        });
        known.unwrap_or(if error.is_timeout() { Self::TimedOut } else { Self::ConnectionLost })
    }
}

/// An I/O error does not list its inner error as a source, so that is checked too.
fn is_about_certificate(cause: &(dyn std::error::Error + 'static)) -> bool {
    match (cause.downcast_ref::<io::Error>(), cause.downcast_ref::<rustls::Error>()) {
        (Some(io), _) => io.get_ref().is_some_and(|inside| is_about_certificate(inside)),
        (None, tls) => matches!(tls, Some(rustls::Error::InvalidCertificate(_))),
    }
}

/// Sends `request` and reads the body, up to 64 KiB; the rest of a longer one is left.
pub(super) async fn send(request: RequestBuilder) -> Result<HttpResponse, RequestError> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk[..chunk.len().min(MAX_BODY_BYTES - body.len())]);
        if body.len() == MAX_BODY_BYTES {
            break;
        }
    }
    Ok(HttpResponse { status: response.status().as_u16(), headers: response.headers().clone(), body })
}

/// The preflight request that a browser sends before a page at `origin` may post to `url` with `headers`.
pub(super) fn preflight(http: &Client, url: Url, origin: &str, headers: &'static str) -> RequestBuilder {
    let request = http.request(Method::OPTIONS, url).header(ORIGIN, origin);
    request.header(ACCESS_CONTROL_REQUEST_METHOD, "POST").header(ACCESS_CONTROL_REQUEST_HEADERS, headers)
}

/// What a preflight response allows a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CorsAccess {
    /// The page's origin is allowed by name.
    Allowed,
    /// `*`: every origin is allowed.
    AnyOrigin,
    Denied,
    /// The origin is listed with a slash or in another letter case.
    MisspelledOrigin,
    /// More than one `Access-Control-Allow-Origin`, which browsers reject.
    DuplicateHeader,
    /// The origin is allowed, this request header is not.
    HeaderDenied(&'static str),
}

/// What `response` allows a page at `origin` that sends `header`.
pub(super) fn cors_access(response: &HeaderMap, origin: &str, header: &'static str) -> CorsAccess {
    let mut origins =
        response.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().map(|value| value.to_str().unwrap_or_default());
    let (first, second) = (origins.next(), origins.next());
    match (first, second) {
        (_, Some(_)) => CorsAccess::DuplicateHeader,
        (Some(several), _) if several.contains(',') => CorsAccess::DuplicateHeader,
        (None, _) => CorsAccess::Denied,
        (Some(_), _) if !allows_header(response, header) => CorsAccess::HeaderDenied(header),
        (Some("*"), _) => CorsAccess::AnyOrigin,
        (Some(named), _) if named == origin => CorsAccess::Allowed,
        (Some(named), _) if named.trim_end_matches('/').eq_ignore_ascii_case(origin) => CorsAccess::MisspelledOrigin,
        (Some(_), _) => CorsAccess::Denied,
    }
}

fn allows_header(response: &HeaderMap, header: &str) -> bool {
    let listed = response.get_all(ACCESS_CONTROL_ALLOW_HEADERS).iter().filter_map(|value| value.to_str().ok());
    listed
        .flat_map(|listed| listed.split(','))
        .any(|name| name.trim() == "*" || name.trim().eq_ignore_ascii_case(header))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    const PAGE: &str = "https://page.example";

    fn access(origins: &[&'static str], headers: &'static str) -> CorsAccess {
        let mut response = HeaderMap::new();
        for origin in origins {
            response.append(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(origin));
        }
        response.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(headers));
        cors_access(&response, PAGE, "x-zumo-auth")
    }

    #[test]
    fn a_page_has_access_by_its_exact_origin_once_and_the_header() {
        let headers = "content-type, X-ZUMO-AUTH";
        assert_eq!(access(&[PAGE], headers), CorsAccess::Allowed);
        assert_eq!(access(&[PAGE], "*"), CorsAccess::Allowed);
        assert_eq!(access(&["*"], headers), CorsAccess::AnyOrigin);
        assert_eq!(access(&["https://page.example/"], headers), CorsAccess::MisspelledOrigin);
        assert_eq!(access(&["https://other.example"], headers), CorsAccess::Denied);
        assert_eq!(access(&[], headers), CorsAccess::Denied);
        assert_eq!(access(&[PAGE, PAGE], headers), CorsAccess::DuplicateHeader);
        assert_eq!(access(&["https://page.example, *"], headers), CorsAccess::DuplicateHeader);
        assert_eq!(access(&[PAGE], "content-type"), CorsAccess::HeaderDenied("x-zumo-auth"));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        for (length, expected) in [
            (0, 0),
            (MAX_BODY_BYTES, MAX_BODY_BYTES),
            (MAX_BODY_BYTES + 1, MAX_BODY_BYTES),
            (100 * MAX_BODY_BYTES, MAX_BODY_BYTES),
        ] {
            let respond = async move || vec![b' '; length];
            let port = test_support::http::serve(axum::Router::new().fallback(respond)).await;
            let response = send(client(None).unwrap().get(format!("http://127.0.0.1:{port}/"))).await.unwrap();
            assert_eq!((response.status, response.body.len()), (200, expected), "{length}");
        }
    }
}
