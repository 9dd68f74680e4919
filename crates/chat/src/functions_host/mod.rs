//! Local emulation of the Functions host: routes requests to the app by the function folders.
//!
//! It forwards as the host does with `enableProxyingHttpRequest`: path unchanged, body streamed, the original `Host` in
//! `X-Forwarded-Host`. A method that a function does not list is 404, not 405, because the host does not call the app.

mod cors;
mod function;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::html;
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) use cors::with_cors;
pub(crate) use function::Function;
#[cfg(test)]
pub(crate) use function::REPOSITORY_FILES;

use crate::responses::html_page;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const INVOCATION_ID: HeaderName = HeaderName::from_static("x-azure-functions-invocationid");

/// Headers of a single connection, which are never forwarded.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

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
    let function = host.functions.iter().find(|function| function.is_at(path) && function.allows(request.method()));
    match function {
        Some(function) => invoke(function, host.app.clone(), request).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn invoke(function: &Function, app: Router, mut request: Request) -> Response {
    let invocation = Uuid::new_v4();
    tracing::debug!(function = function.name, %invocation, "invoking a function");
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    rewrite(request.headers_mut(), invocation, peer.unwrap_or(Ipv4Addr::LOCALHOST.into()));
    let Ok(mut response) = app.oneshot(request).await;
    remove_hop_by_hop(response.headers_mut());
    response
}

/// Replaces the forwarding headers, which a caller could forge, and sets the invocation id.
fn rewrite(headers: &mut HeaderMap, invocation: Uuid, peer: IpAddr) {
    remove_hop_by_hop(headers);
    headers.remove(header::FORWARDED);
    headers.remove(FORWARDED_HOST);
    if let Some(host) = headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1")) {
        headers.insert(FORWARDED_HOST, host);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(FORWARDED_FOR, ascii(&peer.to_string()));
    headers.insert(INVOCATION_ID, ascii(&invocation.to_string()));
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("addresses and UUIDs are visible ASCII")
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
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
        let mut response = request.uri().to_string().into_response();
        *response.headers_mut() = request.headers().clone();
        response.headers_mut().insert("keep-alive", HeaderValue::from_static("timeout=5"));
        response
    }

    async fn send(request: axum::http::request::Builder) -> Response {
        let host = router(Router::new().fallback(echo), vec![Function::parse("X", POST_X).unwrap()]);
        host.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn the_app_is_called_with_the_path_as_the_caller_wrote_it() {
        let response = send(Request::post("/API/X/?q=a%2Cb&q=2")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = to_bytes(response.into_body(), 1_000).await.unwrap();
        assert_eq!(body, "/API/X/?q=a%2Cb&q=2");
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
    async fn forwarding_headers_of_a_caller_are_replaced() {
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
        assert_eq!(headers.get_all(INVOCATION_ID).iter().count(), 1);
        assert!(headers[INVOCATION_ID].to_str().unwrap().parse::<Uuid>().is_ok());
        assert!(!headers.contains_key("forwarded") && !headers.contains_key("connection"));
        assert!(!headers.contains_key("keep-alive"), "hop-by-hop headers of the app are removed too");
    }
}
