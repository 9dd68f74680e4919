//! Platform CORS, as the Functions host has it in front of everything else.
//!
//! It answers every preflight itself, 204 for strangers too; what tells a stranger no is that the allow headers are
//! missing. Other requests of strangers still reach the app: CORS decides who may read, not who may ask.

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

/// Lets pages of the `allowed` origins, with credentials, read what `router` answers.
pub(crate) fn allow(allowed: Origins, router: Router) -> Router {
    Router::new().fallback_service(router).layer(from_fn_with_state(allowed, cors))
}

async fn cors(State(allowed): State<Origins>, request: Request, next: Next) -> Response {
    let asked = request.headers().clone();
    let mut response =
        if is_preflight(&request) { preflight(&allowed, &asked) } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = listed(&allowed, &asked) {
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

/// Any method and any header may be used by an origin that is listed.
fn preflight(allowed: &Origins, asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if listed(allowed, asked).is_some() {
        let echoes = [
            (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
            (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
        ];
        for (question, answer) in echoes {
            if let Some(value) = asked.get(question) {
                response.headers_mut().insert(answer, value.clone());
            }
        }
    }
    response
}

fn listed<'a>(allowed: &Origins, asked: &'a HeaderMap) -> Option<&'a HeaderValue> {
    asked.get(ORIGIN).filter(|origin| allowed.contain(origin))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::post;
    use tower::ServiceExt;

    use super::*;

    const PAGE: &str = "http://localhost:5500";

    async fn ask(method: Method, headers: &[(&str, &str)]) -> Response {
        let app = Router::new().route("/api/x", post(|| async { ([(VARY, "Accept")], "reached") }));
        let mut request = Request::builder().method(method).uri("/api/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        allow(Origins::of_port(5500), app).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn allow_headers(response: &Response) -> usize {
        response.headers().keys().filter(|name| name.as_str().starts_with("access-control-")).count()
    }

    #[tokio::test]
    async fn case_52_a_preflight_of_the_page_is_allowed_exactly() {
        let asked = [
            ("origin", PAGE),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,x-zumo-auth"),
        ];
        let response = ask(Method::OPTIONS, &asked).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_METHODS], "POST");
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "content-type,x-zumo-auth");
        assert_eq!(response.headers()[VARY], "Origin");
    }

    #[tokio::test]
    async fn case_52_a_preflight_of_a_stranger_is_answered_without_leave() {
        let asked = [("origin", "http://localhost:55000"), ("access-control-request-method", "POST")];
        let response = ask(Method::OPTIONS, &asked).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(allow_headers(&response), 0);
        assert_eq!(response.headers()[VARY], "Origin");
    }

    #[tokio::test]
    async fn the_page_may_read_refusals_too() {
        let response = ask(Method::GET, &[("origin", PAGE)]).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
    }

    #[tokio::test]
    async fn a_strangers_plain_request_reaches_the_app_but_may_not_be_read() {
        let response = ask(Method::POST, &[("origin", "https://example.com")]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(allow_headers(&response), 0);
        let vary: Vec<_> = response.headers().get_all(VARY).iter().collect();
        assert_eq!(vary, ["Accept", "Origin"]);
    }

    #[tokio::test]
    async fn case_53_options_without_cors_headers_is_no_preflight() {
        assert_eq!(ask(Method::OPTIONS, &[]).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
