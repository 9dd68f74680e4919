//! Who may use the control API: programs on this machine, and no web page.
//!
//! That the caller is on this machine is not enough, since pages are, too. A page can make a browser call any address,
//! even under a name of its own that points here; but it can neither choose the `Host` nor leave out its `Origin`, and
//! content of the type JSON it can only send after a preflight, which nobody answers here.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::api_error::ApiError;
use crate::loopback::is_loopback_host;

/// Lets a call through, or answers why not.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let peer = request.extensions().get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip());
    match examine(request.method(), request.headers(), peer) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_json(),
    }
}

/// The address of the caller is known only where the server hands it on; the name it has for us always is.
fn examine(method: &Method, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<(), ApiError> {
    let host = text(headers, header::HOST).and_then(|host| host.parse::<Authority>().ok());
    let is_near = peer.is_none_or(|peer| peer.to_canonical().is_loopback());
    if !is_near || !host.as_ref().is_some_and(|host| is_loopback_host(host.host())) {
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
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let peer = peer.map(|peer| peer.parse().unwrap());
        examine(&method, &headers.collect(), peer).err().map(|refusal| refusal.into_json().status())
    }

    #[test]
    fn who_calls_from_here_under_a_loopback_name_gets_in() {
        for host in ["localhost", "LOCALHOST:8888", "127.0.0.1:1", "[::1]:8888", "signalr.localhost:80"] {
            for peer in [None, Some("127.0.0.1"), Some("::1"), Some("::ffff:127.0.0.1")] {
                assert_eq!(status(Method::GET, &[("host", host)], peer), None, "{host} {peer:?}");
            }
        }
    }

    #[test]
    fn a_name_that_somebody_else_points_here_does_not_open() {
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "a b", ""]
        {
            let forbidden = Some(StatusCode::FORBIDDEN);
            assert_eq!(status(Method::GET, &[("host", host)], Some("127.0.0.1")), forbidden, "{host}");
        }
        assert_eq!(status(Method::GET, &[], None), Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn who_comes_from_elsewhere_stays_out_whatever_it_calls_us() {
        let answer = status(Method::GET, &[("host", "localhost")], Some("192.0.2.1"));
        assert_eq!(answer, Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn pages_of_other_origins_stay_out_and_our_own_do_not() {
        let from =
            |origin| status(Method::POST, &[("host", "localhost:8888"), ("origin", origin), JSON], None);
        assert_eq!(from("http://localhost:8888"), None);
        for origin in ["https://evil.example", "http://localhost:4280", "http://localhost", "null", ""] {
            assert_eq!(from(origin), Some(StatusCode::FORBIDDEN), "{origin}");
        }
    }

    #[test]
    fn what_a_form_can_post_changes_nothing() {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "text/plain;application/json"]
        {
            let headers = [("host", "localhost"), ("content-type", content_type)];
            assert_eq!(status(Method::POST, &headers, None), Some(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        assert_eq!(
            status(Method::POST, &[("host", "localhost")], None),
            Some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        );
        assert_eq!(status(Method::POST, &[("host", "localhost"), JSON], None), None);
    }
}
