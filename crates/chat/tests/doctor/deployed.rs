//! Tests of `chat doctor` with problems of deployed functions and of the deployed page.

use std::net::{Ipv4Addr, TcpListener};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use serde_json::json;
use serverless_chat::app::{from_config, unconfigured};
use serverless_chat::auth::Trust;
use serverless_chat::config::Config;
use serverless_chat::telemetry::Export;

use crate::test_project::{KEY, Project, Report};
use crate::test_servers::{Change, LocalStack, changed, error, is_preflight, page, response, run_deployed, serve};

/// Runs the doctor for functions with one change and a page without problems.
async fn with_api(change: Change) -> Report {
    run_deployed(change, page, &[]).await
}

/// Runs the doctor for the functions at `port`, without a page.
async fn run_for_api(port: u16) -> Report {
    let report = move || Project::cloned().run_with(&["--api", &format!("http://127.0.0.1:{port}")], &[]);
    tokio::task::spawn_blocking(report).await.unwrap()
}

/// Runs the doctor for a page with one change and functions without problems.
async fn with_page(change: Change) -> Report {
    run_deployed(|_| None, |api| changed(page(api), change), &[]).await
}

/// `response` to `POST /api/negotiate`.
fn negotiate(request: &Request, response: Response) -> Option<Response> {
    (request.uri().path() == "/api/negotiate" && !is_preflight(request)).then_some(response)
}

/// A response with `headers` to a preflight; PAGE in a header stands for the origin of the request.
fn preflight(request: &Request, headers: &[(&str, &str)]) -> Option<Response> {
    let origin = request.headers().get("origin")?.to_str().unwrap();
    is_preflight(request).then(|| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.replace("PAGE", origin))).collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        response(204, &headers, "")
    })
}

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_HEADERS: (&str, &str) = ("access-control-allow-headers", "x-zumo-auth, content-type");

#[tokio::test]
async fn functions_that_are_not_running_are_reported() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let report = Project::cloned().run_with(&["--api", &format!("http://127.0.0.1:{free}")], &[]);
    report.finds_only("functions", "connection refused", "make run");
}

#[tokio::test]
async fn functions_called_unencrypted_are_reported() {
    let report = Project::cloned().run_with(&["--api", "http://chat.invalid"], &[]);
    report.finds_only("functions", "unencrypted", "https");
}

#[tokio::test]
async fn functions_that_were_not_deployed_are_reported() {
    let report = with_api(|request| negotiate(request, response(404, &[], ""))).await;
    report.finds_only("negotiate", "no functions are deployed", "make package");
}

#[tokio::test]
async fn settings_that_are_missing_in_the_app_are_named() {
    let port = serve(unconfigured(["AzureSignalRConnectionString", "ChatAllowAnonymous"], "api")).await;
    let report = run_for_api(port).await;
    report.finds_only("negotiate", "AzureSignalRConnectionString, ChatAllowAnonymous", "AzureSignalRConnectionString");
}

#[tokio::test]
async fn an_app_that_requires_function_keys_is_reported() {
    let report = with_api(|request| negotiate(request, response(401, &[], ""))).await;
    report.finds_only("negotiate", "function key", "\"authLevel\": \"anonymous\"");
}

#[tokio::test]
async fn an_app_that_restricts_access_by_redirects_is_reported() {
    let report = with_api(|request| {
        negotiate(request, response(302, &[("location", "https://login.microsoftonline.com/common")], ""))
    })
    .await;
    report.finds_only("negotiate", "redirects", "Allow unauthenticated access");
}

#[tokio::test]
async fn an_app_that_restricts_access_by_401_is_reported() {
    let report =
        with_api(|request| negotiate(request, response(401, &[("www-authenticate", "Bearer realm=\"h\"")], ""))).await;
    report.finds_only("negotiate", "App Service rejects", "Allow unauthenticated access");
}

#[tokio::test]
async fn an_app_whose_host_sends_envelopes_is_reported() {
    let report = with_api(|request| negotiate(request, error(500, "not_forwarded", "x"))).await;
    report.finds_only("negotiate", "envelopes", "enableForwardingHttpRequest");
}

#[tokio::test]
async fn an_app_whose_handler_cannot_start_is_reported() {
    let report = with_api(|request| negotiate(request, response(500, &[], ""))).await;
    report.finds_only("negotiate", "cannot start the handler", "make package");
}

#[tokio::test]
async fn an_app_whose_identity_lacks_a_role_is_reported() {
    let report = with_api(|request| negotiate(request, error(502, "upstream_rejected", "x"))).await;
    report.finds_only("negotiate", "lacks a role", "steps 4 and 5");
}

#[tokio::test]
async fn an_app_that_is_stopped_is_reported() {
    let report = with_api(|request| negotiate(request, response(503, &[], "Function host is not running."))).await;
    report.finds_only("negotiate", "not running", "az functionapp start");
}

#[tokio::test]
async fn cors_that_lacks_the_page_is_reported() {
    let report = with_api(|request| preflight(request, &[])).await;
    report.finds_only("CORS", "does not allow http://127.0.0.1:", "az functionapp cors add");
}

#[tokio::test]
async fn cors_for_every_origin_is_reported() {
    let report = with_api(|request| preflight(request, &[(ALLOW_ORIGIN, "*"), ALLOW_HEADERS])).await;
    report.finds_only("CORS", "every page of the web", "az functionapp cors remove");
}

#[tokio::test]
async fn cors_that_echoes_every_origin_is_reported() {
    let report = with_api(|request| preflight(request, &[(ALLOW_ORIGIN, "PAGE"), ALLOW_HEADERS])).await;
    report.finds_only("CORS", "every page of the web", "az functionapp cors remove");
}

#[tokio::test]
async fn cors_with_a_trailing_slash_is_reported() {
    let report = with_api(|request| preflight(request, &[(ALLOW_ORIGIN, "PAGE/"), ALLOW_HEADERS])).await;
    report.finds_only("CORS", "with a slash", "az functionapp cors add");
}

#[tokio::test]
async fn duplicate_cors_headers_are_reported() {
    let report =
        with_api(|request| preflight(request, &[(ALLOW_ORIGIN, "PAGE"), (ALLOW_ORIGIN, "PAGE"), ALLOW_HEADERS])).await;
    report.finds_only("CORS", "more than once", "only the platform");
}

#[tokio::test]
async fn cors_without_the_session_header_is_reported() {
    let report = with_api(|request| {
        let own = request.headers().get("origin").is_some_and(|origin| origin != "https://example.com");
        preflight(request, if own { &[(ALLOW_ORIGIN, "PAGE")] } else { &[] })
    })
    .await;
    report.finds_only("CORS", "x-zumo-auth", "az functionapp cors add");
}

#[tokio::test]
async fn without_a_local_easy_auth_sign_in_is_skipped() {
    let report = with_api(|request| (request.uri().path() == "/.auth/me").then(|| response(404, &[], ""))).await;
    report.passes();
    report.skips("Easy Auth", "func start");
    report.skips("sign-in", "turn on Easy Auth");
}

#[tokio::test]
async fn easy_auth_that_fails_is_reported() {
    let report = with_api(|request| (request.uri().path() == "/.auth/me").then(|| response(500, &[], ""))).await;
    report.finds_only("Easy Auth", "answers 500", "step 6");
}

#[tokio::test]
async fn a_provider_that_is_not_set_up_is_reported() {
    let report = run_deployed(|_| None, page, &["--provider", "aad"]).await;
    report.passes();
    let stack = LocalStack::start();
    let report =
        Project::cloned().run_with(&["--api", &stack.api(), "--page", &stack.page(), "--provider", "fax"], &[]);
    report.finds("sign-in", "fax is not set up", "--provider");
    report.finds("config.json", "authProvider is github, and --provider is fax", "");
}

#[tokio::test]
async fn a_page_that_users_would_not_return_to_is_reported() {
    let report = with_api(|request| {
        let to = "https://login.microsoftonline.com/x?state=redir%3D%252F.auth%252Flogin%252Fdone";
        request.uri().path().starts_with("/.auth/login/").then(|| response(302, &[("location", to)], ""))
    })
    .await;
    report.finds_only("sign-in", "would not return to http://127.0.0.1:", "Allowed external redirect URLs");
}

#[tokio::test]
async fn a_page_that_the_local_easy_auth_does_not_allow_is_reported() {
    let (stack, other) = (LocalStack::start(), LocalStack::start());
    let report = Project::cloned().run_with(&["--api", &stack.api(), "--page", &other.page()], &[]);
    report.finds("sign-in", "would not return", "Allowed external redirect URLs");
    report.finds("CORS", "does not allow", "az functionapp cors add");
    report.finds("config.json", "apiBaseUrl is", "");
}

#[tokio::test]
async fn a_forged_name_that_is_accepted_is_reported() {
    let connection = format!("Endpoint=http://127.0.0.1:1;AccessKey={KEY};");
    // The app trusts Easy Auth, and nothing in front of it removes forged headers.
    let variables = [("WEBSITE_AUTH_ENABLED", "true"), ("AzureSignalRConnectionString", &*connection)].into_iter();
    let config = Config::read(&variables.collect()).unwrap();
    let signalr = config.signalr.as_ref().unwrap();
    let app = from_config(&config, signalr, None, Trust::EasyAuth, &Export::default()).unwrap();
    let report = run_for_api(serve(app).await).await;
    report.finds_only("a forged name", "callers can use any name", "turn Easy Auth on");
}

#[tokio::test]
async fn a_page_that_was_not_uploaded_is_reported() {
    let report = with_page(|request| (request.uri().path() == "/").then(|| response(404, &[], ""))).await;
    report.finds_only("page", "serves no page", "make page");
}

#[tokio::test]
async fn a_page_served_unencrypted_is_reported() {
    let report = Project::cloned().run_with(&["--page", "http://chat.invalid"], &[]);
    report.finds_only("page", "unencrypted", "https");
}

#[tokio::test]
async fn a_page_without_its_config_is_reported() {
    let report = with_page(|request| (request.uri().path() == "/config.json").then(|| response(404, &[], "{}"))).await;
    report.finds_only("config.json", "does not exist", "make page");
}

#[tokio::test]
async fn a_page_whose_config_is_html_is_reported() {
    let report = with_page(|request| {
        let html = || response(200, &[("content-type", "text/html")], "<!doctype html>");
        (request.uri().path() == "/config.json").then(html)
    })
    .await;
    report.finds_only("config.json", "not a JSON object", "make page");
}

/// A page with this `config.json`.
fn page_with(config: serde_json::Value) -> impl Fn(&str) -> Router {
    move |_| {
        let config = config.to_string();
        let json = move || async move { response(200, &[("content-type", "application/json")], config.clone()) };
        let html = async || response(200, &[("content-type", "text/html")], "<!doctype html>");
        Router::new().route("/", axum::routing::get(html)).route("/config.json", axum::routing::get(json))
    }
}

#[tokio::test]
async fn a_page_with_another_api_address_is_reported() {
    let config = json!({"apiBaseUrl": "https://other.azurewebsites.net", "authProvider": "aad"});
    run_deployed(|_| None, page_with(config), &[]).await.finds_only(
        "config.json",
        "https://other.azurewebsites.net, and --api is",
        "make page",
    );
}

#[tokio::test]
async fn a_page_with_an_unencrypted_api_address_is_reported() {
    let config = json!({"apiBaseUrl": "http://other.azurewebsites.net", "authProvider": "aad"});
    run_deployed(|_| None, page_with(config), &[]).await.finds_only(
        "config.json",
        "allows http on this machine only",
        "",
    );
}

#[tokio::test]
async fn a_page_with_another_provider_is_reported() {
    let report = run_deployed(|_| None, page, &["--provider", "github"]).await;
    report.finds("config.json", "authProvider is aad, and --provider is github", "");
    report.finds("sign-in", "github is not set up", "--provider");
}

#[tokio::test]
async fn without_addresses_the_deployment_is_skipped_and_the_options_are_named() {
    let report = Project::cloned().run();
    report.skips("functions", "--api");
    report.skips("page", "--page");
    let stack = LocalStack::start();
    let report = Project::cloned().run_with(&["--api", &stack.api()], &[]);
    report.skips("CORS", "--page");
    report.skips("sign-in", "--page");
}
