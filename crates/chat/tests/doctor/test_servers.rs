//! Test servers without problems, except for what a test changes.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use azure_signalr_emulator::{AccessKey, Emulator, Options};
use serde_json::json;
pub(crate) use test_support::http::serve;
use test_support::http::{listen, proxy};
use test_support::process::Process;

use crate::test_project::{KEY, Project, Report};

/// A SignalR service with the test key, behind a proxy that a test can change.
pub(crate) async fn signalr_service() -> Router {
    let access_keys = vec![AccessKey::new(KEY).unwrap()];
    let emulator = Emulator::new(Options { access_keys, ..Options::default() });
    let (listener, port) = listen().await;
    tokio::spawn(async move { emulator.serve(vec![listener], std::future::pending()).await });
    proxy(port)
}

/// A change of a test: a response in place of the normal one, for selected requests.
pub(crate) type Change = fn(&Request) -> Option<Response>;

/// `router` with `change`.
pub(crate) fn changed(router: Router, change: Change) -> Router {
    let change = Arc::new(change);
    router.layer(axum::middleware::from_fn(move |request: Request, next: axum::middleware::Next| {
        let change = change.clone();
        async move {
            match change(&request) {
                Some(response) => response,
                None => next.run(request).await,
            }
        }
    }))
}

/// The origin of a request.
fn origin(request: &Request) -> &str {
    request.headers().get("origin").map_or("", |origin| origin.to_str().unwrap())
}

/// Whether a request is a CORS preflight.
pub(crate) fn is_preflight(request: &Request) -> bool {
    request.method() == "OPTIONS"
}

/// A response with this status, these headers and this body.
pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// An error response of the handler.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"error": {"code": code, "message": message}});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

/// The deployed functions: sign-in is required, and pages of this machine may call them.
fn functions(request: &Request) -> Response {
    match request.uri().path() {
        "/api/negotiate" if is_preflight(request) => match origin(request) {
            "https://example.com" => response(204, &[], ""),
            page => response(
                204,
                &[("access-control-allow-origin", page), ("access-control-allow-headers", "x-zumo-auth")],
                "",
            ),
        },
        "/api/negotiate" => error(401, "unauthenticated", "Sign in to chat."),
        "/.auth/me" => response(401, &[], ""),
        "/.auth/login/aad" => {
            let url = reqwest::Url::parse(&format!("http://h{}", request.uri())).unwrap();
            let (_, back) = url.query_pairs().find(|(name, _)| name == "post_login_redirect_url").unwrap();
            let mut to = reqwest::Url::parse("https://login.microsoftonline.com/common/oauth2/v2.0/authorize").unwrap();
            let state: String = reqwest::Url::parse_with_params("http://h", [("redir", back.as_ref())])
                .unwrap()
                .query()
                .unwrap()
                .to_owned();
            to.query_pairs_mut().append_pair("state", &state);
            response(302, &[("location", to.as_str())], "")
        }
        _ => response(404, &[], ""),
    }
}

/// Runs the doctor for deployed functions with `change_api` and a page. `page` gets the API's address.
pub(crate) async fn run_deployed(change_api: Change, page: impl Fn(&str) -> Router, arguments: &[&str]) -> Report {
    let api = serve(changed(Router::new().fallback(async |request: Request| functions(&request)), change_api)).await;
    let api = format!("http://127.0.0.1:{api}");
    let page = format!("http://127.0.0.1:{}", serve(page(&api)).await);
    let arguments: Vec<_> =
        [&["--api", &api, "--page", &page][..], arguments].concat().into_iter().map(str::to_owned).collect();
    tokio::task::spawn_blocking(move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        Project::cloned().run_with(&arguments, &[])
    })
    .await
    .unwrap()
}

/// The deployed page, with the functions at `api`.
pub(crate) fn page(api: &str) -> Router {
    let config = json!({"apiBaseUrl": api, "authProvider": "aad"}).to_string();
    Router::new().fallback(move |request: Request| {
        let config = config.clone();
        async move {
            match request.uri().path() {
                "/" => response(200, &[("content-type", "text/html; charset=utf-8")], "<!doctype html>"),
                "/config.json" => response(200, &[("content-type", "application/json")], config),
                _ => response(404, &[], ""),
            }
        }
    })
}

/// `chat` on free ports, with a page that names GitHub as the provider.
pub(crate) struct LocalStack {
    process: Process,
    _folder: Project,
}

impl LocalStack {
    pub(crate) fn start() -> Self {
        let ports = ["--page-port", "--api-port", "--signalr-port", "--communication-port"];
        let free: Vec<_> = ports.iter().flat_map(|port| [*port, "0"]).collect();
        let folder = Project::cloned();
        folder.write("content/dist/index.html", "<!doctype html>");
        folder.write("content/dist/config.json", &json!({"apiBaseUrl": "", "authProvider": "github"}).to_string());
        let mut command = Process::command(Path::new(env!("CARGO_BIN_EXE_chat")), &free, &[]);
        let process = Process::spawn(command.current_dir(&folder.0));
        process.out.line("ready");
        Self { process, _folder: folder }
    }

    fn line(&self, label: &str) -> String {
        let text = self.process.out.text();
        text.lines().find_map(|line| line.trim_start().strip_prefix(label)).unwrap().trim().to_owned()
    }

    pub(crate) fn api(&self) -> String {
        self.line("functions").strip_suffix("/api").unwrap().to_owned()
    }

    pub(crate) fn page(&self) -> String {
        self.line("page")
    }

    pub(crate) fn connection(&self) -> String {
        self.line("connection")
    }
}
