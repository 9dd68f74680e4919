//! Admits programs on this machine to the control API, and no web pages of other origins.
//!
//! A page can send requests to any address, also under its own host name that resolves to this machine (DNS rebinding). But it
//! cannot choose `Host`, cannot omit `Origin`, and can send JSON only after a CORS preflight, which fails here.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use http_server::is_loopback_host;

use crate::api_error::ApiError;

/// Middleware: admits a request, or responds with the reason.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let peer = request.extensions().get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip());
    match check_request(request.method(), request.headers(), peer) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_json(),
    }
}

/// `peer` is known only if the server passes it on.
fn check_request(method: &Method, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<(), ApiError> {
    let host = text(headers, header::HOST).and_then(|host| host.parse::<Authority>().ok());
    let is_local = peer.is_none_or(|peer| peer.to_canonical().is_loopback());
    if !is_local || !host.as_ref().is_some_and(|host| is_loopback_host(host.host())) {
        return Err(forbidden("the control API answers only on its own machine, under a loopback name"));
    }
    if headers.contains_key(header::ORIGIN) {
        let origin = text(headers, header::ORIGIN).and_then(|origin| origin.parse::<Uri>().ok());
        if origin.as_ref().and_then(Uri::authority) != host.as_ref() {
            return Err(forbidden("the control API is not for web pages of another origin"));
        }
    }
    if method == Method::POST && !is_json(headers) {
        let message = "a POST to the control API has `Content-Type: application/json`";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message));
    }
    Ok(())
}

fn forbidden(message: &str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = text(headers, header::CONTENT_TYPE).and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

    fn status(method: Method, headers: &[(&'static str, &str)], peer: Option<&str>) -> Option<StatusCode> {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let peer = peer.map(|peer| peer.parse().unwrap());
        check_request(&method, &headers.collect(), peer).err().map(|error| error.into_json().status())
    }

    #[test]
    fn local_callers_under_a_loopback_name_are_admitted() {
        for host in ["localhost", "LOCALHOST:8888", "127.0.0.1:1", "[::1]:8888", "signalr.localhost:80"] {
            for peer in [None, Some("127.0.0.1"), Some("::1"), Some("::ffff:127.0.0.1")] {
                assert_eq!(status(Method::GET, &[("host", host)], peer), None, "{host} {peer:?}");
            }
        }
    }

    #[test]
    fn other_host_names_are_forbidden() {
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "a b", ""] {
            let forbidden = Some(StatusCode::FORBIDDEN);
            assert_eq!(status(Method::GET, &[("host", host)], Some("127.0.0.1")), forbidden, "{host}");
        }
        assert_eq!(status(Method::GET, &[], None), Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn remote_callers_are_forbidden_under_any_host_name() {
        let answer = status(Method::GET, &[("host", "localhost")], Some("192.0.2.1"));
        assert_eq!(answer, Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn pages_of_other_origins_are_forbidden() {
        let from = |origin| status(Method::POST, &[("host", "localhost:8888"), ("origin", origin), JSON], None);
        assert_eq!(from("http://localhost:8888"), None);
        for origin in ["https://evil.example", "http://localhost:4280", "http://localhost", "null", ""] {
            assert_eq!(from(origin), Some(StatusCode::FORBIDDEN), "{origin}");
        }
    }

    #[test]
    fn content_types_of_forms_are_rejected() {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "text/plain;application/json"] {
            let headers = [("host", "localhost"), ("content-type", content_type)];
            assert_eq!(status(Method::POST, &headers, None), Some(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        assert_eq!(status(Method::POST, &[("host", "localhost")], None), Some(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        assert_eq!(status(Method::POST, &[("host", "localhost"), JSON], None), None);
    }
}
