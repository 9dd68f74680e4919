//! Local emulation of the Functions host: routes requests to the app by the function folders.
//!
//! It forwards as the host does: path unchanged, body streamed, the original `Host` in `X-Forwarded-Host`; [`forwarding`] has the rest. A
//! method that a function does not list is 404, not 405, because the host does not call the app.

mod cors;
mod forwarding;
mod function;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use maud::html;
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) use cors::with_cors;
pub(crate) use function::Function;
#[cfg(test)]
pub(crate) use function::REPOSITORY_FILES;

use self::forwarding::ReadCounter;
use crate::responses::html_page;

#[derive(Clone)]
struct FunctionsHost {
    functions: Arc<[Function]>,
    app: Router,
}

/// A router that serves the host's home page at `/` and forwards calls of `functions` to `app`. Other requests are 404.
pub(crate) fn router(app: Router, functions: Vec<Function>) -> Router {
    let host = FunctionsHost { functions: functions.into(), app };
    Router::new().fallback(route).with_state(host)
}

async fn route(State(host): State<FunctionsHost>, request: Request) -> Response {
    let path = request.uri().path();
    if path == "/" && matches!(*request.method(), Method::GET | Method::HEAD) {
        return home_page(&host.functions).into_response();
    }
    let functions = host.functions.iter().filter(|function| function.is_at(path) && function.allows(request.method()));
    match functions.min_by_key(|function| function.parameters()) {
        Some(function) => invoke(function, host.app.clone(), request).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn invoke(function: &Function, app: Router, mut request: Request) -> Response {
    if let Some(refused) = forwarding::refuse(&request) {
        return refused;
    }
    let invocation = Uuid::new_v4();
    tracing::debug!(function = function.name, %invocation, "invoking a function");
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    forwarding::rewrite_request(&mut request, invocation, peer.unwrap_or(Ipv4Addr::LOCALHOST.into()));
    let read = ReadCounter::of(&mut request);
    let Ok(response) = app.oneshot(request).await;
    forwarding::rewrite_response(response, &read)
}

fn home_page(functions: &[Function]) -> Html<String> {
    let body = html! {
        p { "This is a local emulation of the Azure Functions host. It calls:" }
        ul {
            @for function in functions {
                li { code { "/api/" (function.route) } " – " (function.name) }
            }
        }
    };
    html_page("The functions are running", &body)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};

    use super::*;

    const POST_X: &str = r#"{"bindings":[
        {"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","methods":["post"],"route":"x"},
        {"type":"http","direction":"out","name":"res"}]}"#;

    /// An app that returns the address and the headers of the request.
    async fn echo(request: Request) -> Response {
        let (parts, body) = request.into_parts();
        if parts.headers.contains_key("x-read") {
            to_bytes(body, usize::MAX).await.unwrap();
        }
        let mut response = parts.uri.to_string().into_response();
        *response.headers_mut() = parts.headers;
        response.headers_mut().insert("keep-alive", axum::http::HeaderValue::from_static("timeout=5"));
        response
    }

    #[tokio::test]
    async fn of_two_functions_at_a_path_the_one_with_fixed_segments_is_called() {
        let function = |name: &str, route: &str| Function::parse(name, &POST_X.replace("\"x\"", &format!("{route:?}")));
        let functions =
            [("Any", "rooms/{room}"), ("Mine", "rooms/mine")].map(|(name, route)| function(name, route).unwrap());
        let host = router(Router::new().fallback(echo), functions.into());
        for path in ["/api/rooms/Games", "/API/rooms/Mine"] {
            let request = Request::post(path).body(Body::empty()).unwrap();
            let response = host.clone().oneshot(request).await.unwrap();
            assert_eq!(to_bytes(response.into_body(), 1_000).await.unwrap(), path, "the path keeps its letter case");
        }
    }

    async fn send(request: axum::http::request::Builder) -> Response {
        send_body(request, Body::empty()).await
    }

    async fn send_body(request: axum::http::request::Builder, body: Body) -> Response {
        let host = router(Router::new().fallback(echo), vec![Function::parse("X", POST_X).unwrap()]);
        host.oneshot(request.body(body).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn the_app_is_called_with_the_path_as_the_caller_wrote_it_and_a_rewritten_query() {
        for (path, expected) in
            [("/API/X/?q=a%2Cb&q=2", "/API/X/?q=a,b,2"), ("/api/x", "/api/x"), ("/api/x?", "/api/x")]
        {
            let response = send(Request::post(path)).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(to_bytes(response.into_body(), 1_000).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_path_with_encoded_separators_reaches_no_function() {
        for path in ["/api%2Fx", "/api%5Cx", "/api/x%3Fa", "/api/x%23a", "/api/x%2F", "/api/%zz"] {
            assert_eq!(send(Request::post(path)).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn a_refused_request_does_not_reach_the_app_and_the_reason_is_named() {
        let response = send(Request::post("/api/x").header("x-ms-client-principal-name", "Zoë")).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = to_bytes(response.into_body(), 1_000).await.unwrap();
        let body = std::str::from_utf8(&body).unwrap();
        assert!(body.contains("x-ms-client-principal-name") && body.contains("not ASCII"), "{body}");
    }

    #[tokio::test]
    async fn a_response_loses_headers_without_a_value() {
        let request = Request::post("/api/x").header("x-empty", "").header("x-two", "1").header("x-two", "2");
        let headers = send(request).await.headers().clone();
        assert!(!headers.contains_key("x-empty"));
        assert!(headers.get_all("x-two").iter().eq(["1", "2"]));
    }

    #[tokio::test]
    async fn a_response_that_leaves_more_unread_than_the_handler_discards_is_lost() {
        for (bytes, is_read, status) in
            [(1_000, false, 200), (3_000_000, false, 200), (9_000_000, false, 500), (9_000_000, true, 200)]
        {
            let mut request = Request::post("/api/x").header("content-length", bytes);
            if is_read {
                request = request.header("x-read", "1");
            }
            let response = send_body(request, vec![b'a'; bytes].into()).await;
            assert_eq!(response.status(), status, "{bytes} bytes, read: {is_read}");
            let is_empty = to_bytes(response.into_body(), 1_000).await.unwrap().is_empty();
            assert_eq!(is_empty, status == 500);
        }
    }

    #[tokio::test]
    async fn other_methods_and_paths_are_404_of_the_host() {
        for request in [Request::get("/api/x"), Request::options("/api/x"), Request::post("/x"), Request::post("/")] {
            let response = send(request).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            assert!(to_bytes(response.into_body(), 1).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn the_home_page_lists_the_functions() {
        let response = send(Request::get("/")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        assert!(std::str::from_utf8(&body).unwrap().contains("/api/x"));
    }

    #[tokio::test]
    async fn forwarding_headers_of_a_caller_are_replaced_and_the_invocation_id_is_appended() {
        let forged = Request::post("/api/x")
            .header("host", "localhost:7071")
            .header("forwarded", "for=6.6.6.6")
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "https")
            .header("x-azure-functions-invocationid", "mine")
            .header("x-azure-functions-invocationid", "mine as well")
            .header("connection", "keep-alive");
        let response = send(forged).await;
        let headers = response.headers();
        assert_eq!(headers["host"], "127.0.0.1");
        assert_eq!(headers["x-forwarded-host"], "localhost:7071");
        assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
        assert_eq!(headers["x-forwarded-proto"], "http");
        let ids: Vec<_> = headers.get_all("x-azure-functions-invocationid").iter().collect();
        let [ids] = ids[..] else { panic!("{ids:?}") };
        let id = ids.to_str().unwrap().strip_prefix("mine, mine as well, ").unwrap();
        assert!(id.parse::<Uuid>().is_ok(), "{id}");
        assert!(!headers.contains_key("forwarded") && !headers.contains_key("connection"));
        assert!(!headers.contains_key("keep-alive"), "hop-by-hop headers of the app are removed too");
    }
}
