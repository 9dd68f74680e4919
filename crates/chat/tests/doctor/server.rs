//! Servers that are as they should be, but for what a test changes.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use azure_signalr_emulator::{AccessKey, Emulator, Options};
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{KEY, Project, Report};

/// Serves `router` on this machine until the test ends; the port.
pub(crate) async fn serve(router: Router) -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(socket, router).await });
    port
}

/// A SignalR service with the key of these tests.
pub(crate) fn service() -> Router {
    let access_keys = vec![AccessKey::new(KEY).unwrap()];
    Emulator::new(Options { access_keys, ..Options::default() }).router()
}

/// What a test changes: an answer in place of the right one, for whichever request it wants.
pub(crate) type Change = fn(&Request) -> Option<Response>;

/// `router`, but for `change`.
pub(crate) fn changed(router: Router, change: Change) -> Router {
    let change = Arc::new(change);
    router.layer(axum::middleware::from_fn(move |request: Request, next: axum::middleware::Next| {
        let change = change.clone();
        async move {
            match change(&request) {
                Some(answer) => answer,
                None => next.run(request).await,
            }
        }
    }))
}

/// Whose page asks.
fn origin(request: &Request) -> &str {
    request.headers().get("origin").map_or("", |origin| origin.to_str().unwrap())
}

/// Whether it is what a browser asks before a page may call.
pub(crate) fn is_preflight(request: &Request) -> bool {
    request.method() == "OPTIONS"
}

/// An answer with this status, these headers and this body.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// An error as the handler words one.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"error": {"code": code, "message": message}});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

/// The functions as they should be deployed: people have to sign in, and every page of this machine may call.
fn functions(request: &Request) -> Response {
    match request.uri().path() {
        "/api/negotiate" if is_preflight(request) => match origin(request) {
            "https://example.com" => answer(204, &[], ""),
            page => answer(
                204,
                &[("access-control-allow-origin", page), ("access-control-allow-headers", "x-zumo-auth")],
                "",
            ),
        },
        "/api/negotiate" => error(401, "unauthenticated", "Sign in to chat."),
        "/.auth/me" => answer(401, &[], ""),
        "/.auth/login/aad" => {
            let asked = reqwest::Url::parse(&format!("http://h{}", request.uri())).unwrap();
            let (_, back) = asked.query_pairs().find(|(name, _)| name == "post_login_redirect_url").unwrap();
            let mut to =
                reqwest::Url::parse("https://login.microsoftonline.com/common/oauth2/v2.0/authorize")
                    .unwrap();
            let state: String = reqwest::Url::parse_with_params("http://h", [("redir", back.as_ref())])
                .unwrap()
                .query()
                .unwrap()
                .to_owned();
            to.query_pairs_mut().append_pair("state", &state);
            answer(302, &[("location", to.as_str())], "")
        }
        _ => answer(404, &[], ""),
    }
}

/// What the doctor says about functions and a page that are well, but for `change`. `page` gets the API's address.
pub(crate) async fn visit(change_api: Change, page: impl Fn(&str) -> Router, arguments: &[&str]) -> Report {
    let api =
        serve(changed(Router::new().fallback(async |request: Request| functions(&request)), change_api))
            .await;
    let api = format!("http://127.0.0.1:{api}");
    let page = format!("http://127.0.0.1:{}", serve(page(&api)).await);
    let arguments: Vec<_> =
        [&["--api", &api, "--page", &page][..], arguments].concat().into_iter().map(str::to_owned).collect();
    tokio::task::spawn_blocking(move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        Project::cloned().visit_with(&arguments, &[])
    })
    .await
    .unwrap()
}

/// The page as it should be, told of the functions at `api`.
pub(crate) fn page(api: &str) -> Router {
    let config = json!({"apiBaseUrl": api, "authProvider": "aad"}).to_string();
    Router::new().fallback(move |request: Request| {
        let config = config.clone();
        async move {
            match request.uri().path() {
                "/" => answer(200, &[("content-type", "text/html; charset=utf-8")], "<!doctype html>"),
                "/config.json" => answer(200, &[("content-type", "application/json")], config),
                _ => answer(404, &[], ""),
            }
        }
    })
}
