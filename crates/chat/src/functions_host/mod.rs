//! Where the Functions host stands: it knows the functions from their folders, and hands their requests to the app.
//!
//! It behaves as the host does with `enableProxyingHttpRequest`: the path arrives as the caller wrote it, the body is
//! streamed, and the true name of the server is in `X-Forwarded-Host` while `Host` is the handler's own. A method that
//! a function does not list is 404 here, not 405, because the host never asks the app.

mod cors;
mod function;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::html;
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) use cors::allow as allow_origins;
pub(crate) use function::Function;

use crate::html_page::html_page;
use crate::loopback::Peer;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const INVOCATION_ID: HeaderName = HeaderName::from_static("x-azure-functions-invocationid");

/// What concerns one connection only and is never passed on, in neither direction.
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
struct Host {
    functions: Arc<[Function]>,
    app: Router,
}

/// Answers the host's own home page at `/`, hands calls of `functions` to `app`, and knows nothing else.
pub(crate) fn in_front_of(app: Router, functions: Vec<Function>) -> Router {
    let host = Host { functions: functions.into(), app };
    Router::new().fallback(answer).with_state(host)
}

async fn answer(State(host): State<Host>, request: Request) -> Response {
    let path = request.uri().path();
    if path == "/" && matches!(*request.method(), Method::GET | Method::HEAD) {
        return home_page(&host.functions).into_response();
    }
    let called =
        host.functions.iter().find(|function| function.is_at(path) && function.takes(request.method()));
    match called {
        Some(function) => invoke(function, host.app.clone(), request).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn invoke(function: &Function, app: Router, mut request: Request) -> Response {
    let invocation = Uuid::new_v4();
    tracing::debug!(function = function.name(), %invocation, "invoking a function");
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|ConnectInfo(Peer(address))| *address);
    rewrite(request.headers_mut(), invocation, peer.unwrap_or(Ipv4Addr::LOCALHOST.into()));
    let Ok(mut response) = app.oneshot(request).await;
    remove_hop_by_hop(response.headers_mut());
    response
}

/// Takes away what a caller could have forged, then says how it was called.
fn rewrite(headers: &mut HeaderMap, invocation: Uuid, peer: IpAddr) {
    remove_hop_by_hop(headers);
    headers.remove(header::FORWARDED);
    headers.remove(FORWARDED_HOST);
    if let Some(asked) = headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1")) {
        headers.insert(FORWARDED_HOST, asked);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(FORWARDED_FOR, visible(&peer.to_string()));
    headers.insert(INVOCATION_ID, visible(&invocation.to_string()));
}

fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("addresses and UUIDs are written in visible ASCII")
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

fn home_page(functions: &[Function]) -> Html<String> {
    let body = html! {
        p { "This is the local stand-in for the Azure Functions host. It calls:" }
        ul {
            @for function in functions {
                li { code { "/api/" (function.route()) } " – " (function.name()) }
            }
        }
    };
    html_page("The functions are up", &body)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};

    use super::*;

    const POST_X: &str = r#"{"bindings":[
        {"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","methods":["post"],"route":"x"},
        {"type":"http","direction":"out","name":"res"}]}"#;

    /// An app that answers with what it was asked.
    async fn echo(request: Request) -> Response {
        let mut response = request.uri().to_string().into_response();
        *response.headers_mut() = request.headers().clone();
        response.headers_mut().insert("keep-alive", HeaderValue::from_static("timeout=5"));
        response
    }

    async fn ask(request: axum::http::request::Builder) -> Response {
        let host = in_front_of(Router::new().fallback(echo), vec![Function::parse("X", POST_X).unwrap()]);
        host.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn the_app_is_called_with_the_path_as_the_caller_wrote_it() {
        let response = ask(Request::post("/API/X/?q=a%2Cb&q=2")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = to_bytes(response.into_body(), 1_000).await.unwrap();
        assert_eq!(body, "/API/X/?q=a%2Cb&q=2");
    }

    #[tokio::test]
    async fn other_methods_and_paths_are_the_hosts_own_404() {
        for request in
            [Request::get("/api/x"), Request::options("/api/x"), Request::post("/x"), Request::post("/")]
        {
            let response = ask(request).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            assert!(to_bytes(response.into_body(), 1).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn the_home_page_is_the_hosts_and_lists_the_functions() {
        let response = ask(Request::get("/")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        assert!(std::str::from_utf8(&body).unwrap().contains("/api/x"));
    }

    #[tokio::test]
    async fn what_a_caller_says_about_the_road_is_replaced_by_what_the_host_saw() {
        let forged = Request::post("/api/x")
            .header("host", "localhost:7071")
            .header("forwarded", "for=6.6.6.6")
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "https")
            .header("x-azure-functions-invocationid", "mine")
            .header("x-azure-functions-invocationid", "mine as well")
            .header("connection", "keep-alive");
        let response = ask(forged).await;
        let seen = response.headers();
        assert_eq!(seen["host"], "127.0.0.1");
        assert_eq!(seen["x-forwarded-host"], "localhost:7071");
        assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
        assert_eq!(seen["x-forwarded-proto"], "http");
        assert_eq!(seen.get_all(INVOCATION_ID).iter().count(), 1);
        assert!(seen[INVOCATION_ID].to_str().unwrap().parse::<Uuid>().is_ok());
        assert!(!seen.contains_key("forwarded") && !seen.contains_key("connection"));
        assert!(!seen.contains_key("keep-alive"), "the app's own hop-by-hop headers end here as well");
    }
}
