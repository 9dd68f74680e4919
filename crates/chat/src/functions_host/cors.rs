//! CORS of the platform, in front of the Functions host.
//!
//! Every preflight is answered here with 204; without an allowed origin the allow headers are missing. Other requests reach the app
//! with any origin: CORS restricts reading, not calling.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use crate::origins::Origins;

/// Allows pages of the `allowed` origins to call `router` with credentials.
pub(crate) fn with_cors(allowed: Origins, router: Router) -> Router {
    Router::new().fallback_service(router).layer(from_fn_with_state(allowed, cors))
}

async fn cors(State(allowed): State<Origins>, request: Request, next: Next) -> Response {
    let request_headers = request.headers().clone();
    let mut response =
        if is_preflight(&request) { preflight(&allowed, &request_headers) } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed_origin(&allowed, &request_headers) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// An allowed origin may use every method and header.
fn preflight(allowed: &Origins, headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if allowed_origin(allowed, headers).is_some() {
        let echoes = [
            (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
            (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
        ];
        for (requested, allowed) in echoes {
            if let Some(value) = headers.get(requested) {
                response.headers_mut().insert(allowed, value.clone());
            }
        }
    }
    response
}

fn allowed_origin<'a>(allowed: &Origins, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    headers.get(ORIGIN).filter(|origin| allowed.contains(origin))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::post;
    use tower::ServiceExt;

    use super::*;

    const PAGE: &str = "http://localhost:5500";

    async fn send(method: Method, headers: &[(&str, &str)]) -> Response {
        let app = Router::new().route("/api/x", post(|| async { ([(VARY, "Accept")], "reached") }));
        let mut request = Request::builder().method(method).uri("/api/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        with_cors(Origins::of_port(5500), app).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn allow_headers(response: &Response) -> usize {
        response.headers().keys().filter(|name| name.as_str().starts_with("access-control-")).count()
    }

    #[tokio::test]
    async fn case_52_a_preflight_of_the_page_is_allowed_exactly() {
        let headers = [
            ("origin", PAGE),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,x-zumo-auth"),
        ];
        let response = send(Method::OPTIONS, &headers).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_METHODS], "POST");
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "content-type,x-zumo-auth");
        assert_eq!(response.headers()[VARY], "Origin");
    }

    #[tokio::test]
    async fn case_52_a_preflight_of_another_origin_gets_no_allow_headers() {
        let headers = [("origin", "http://localhost:55000"), ("access-control-request-method", "POST")];
        let response = send(Method::OPTIONS, &headers).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(allow_headers(&response), 0);
        assert_eq!(response.headers()[VARY], "Origin");
    }

    #[tokio::test]
    async fn the_page_may_read_errors_too() {
        let response = send(Method::GET, &[("origin", PAGE)]).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
    }

    #[tokio::test]
    async fn a_request_of_another_origin_reaches_the_app_but_cannot_be_read() {
        let response = send(Method::POST, &[("origin", "https://example.com")]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(allow_headers(&response), 0);
        let vary: Vec<_> = response.headers().get_all(VARY).iter().collect();
        assert_eq!(vary, ["Accept", "Origin"]);
    }

    #[tokio::test]
    async fn case_53_options_without_cors_headers_is_no_preflight() {
        assert_eq!(send(Method::OPTIONS, &[]).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
