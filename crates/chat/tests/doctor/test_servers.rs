//! Test servers without problems, except for what a test changes.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use azure_signalr_emulator::{AccessKey, Emulator, Options};
use serde_json::json;
use test_support::http::{self, listen, proxy};
use test_support::process::Process;
use tokio::runtime::Runtime;
use url::form_urlencoded::Serializer;

use crate::test_project::{KEY, Project, Report};

/// Runs the servers while the tests wait for the doctor.
static SERVERS: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    SERVERS.block_on(future)
}

/// Serves `router` on a free port of 127.0.0.1 and returns the port.
pub(crate) fn serve(router: Router) -> u16 {
    block_on(http::serve(router))
}

/// A SignalR service with the test key, behind a proxy that a test can change.
pub(crate) fn signalr_service() -> Router {
    let access_keys = vec![AccessKey::new(KEY).unwrap()];
    let emulator = Emulator::new(Options { access_keys, ..Options::default() });
    let (listener, port) = block_on(listen());
    SERVERS.spawn(async move { emulator.serve(vec![listener], std::future::pending()).await });
    proxy(port)
}

/// A change of a test: a response in place of the normal one, for selected requests.
pub(crate) trait Change: Fn(&Request) -> Option<Response> + Send + Sync + 'static {}
impl<F: Fn(&Request) -> Option<Response> + Send + Sync + 'static> Change for F {}

/// The change that requests to `path`, except preflights, get `response`.
pub(crate) fn at(
    path: &'static str,
    response: impl Fn() -> Response + Clone + Send + Sync + 'static,
) -> impl Change + Clone {
    move |request: &Request| (request.uri().path() == path && !is_preflight(request)).then(&response)
}

/// `router` with `change`.
pub(crate) fn changed(router: Router, change: impl Change) -> Router {
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
        "/api/negotiate" if is_preflight(request) => match request.headers()["origin"].to_str().unwrap() {
            "https://example.com" => response(204, &[], ""),
            page => {
                let headers = [("access-control-allow-origin", page), ("access-control-allow-headers", "x-zumo-auth")];
                response(204, &headers, "")
            }
        },
        "/api/negotiate" => error(401, "unauthenticated", "Sign in to chat."),
        "/.auth/me" => response(401, &[], ""),
        "/.auth/login/aad" => {
            let url = reqwest::Url::parse(&format!("http://h{}", request.uri())).unwrap();
            let back = url.query_pairs().find(|(name, _)| name == "post_login_redirect_url");
            let back = back.map_or_else(|| "/.auth/login/done".into(), |(_, back)| back);
            let mut to = reqwest::Url::parse("https://login.microsoftonline.com/common/oauth2/v2.0/authorize").unwrap();
            let state = Serializer::new(String::new()).append_pair("redir", &back).finish();
            to.query_pairs_mut().append_pair("state", &state);
            response(302, &[("location", to.as_str())], "")
        }
        _ => response(404, &[], ""),
    }
}

/// Runs the doctor for deployed functions with `change_api` and a page. `page` gets the API's address.
pub(crate) fn run_deployed(change_api: impl Change, page: impl Fn(&str) -> Router, arguments: &[&str]) -> Report {
    let api = serve(changed(Router::new().fallback(async |request: Request| functions(&request)), change_api));
    let api = format!("http://127.0.0.1:{api}");
    let page = format!("http://127.0.0.1:{}", serve(page(&api)));
    Project::cloned().run_with(&[&["--api", &api, "--page", &page], arguments].concat(), &[])
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
