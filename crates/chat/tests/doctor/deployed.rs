//! Mistakes of a deployment: of the functions, and of the page.

use std::net::{Ipv4Addr, TcpListener};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use serde_json::json;
use serverless_chat::app::{from_config, unconfigured};
use serverless_chat::auth::Trust;
use serverless_chat::config::Config;
use serverless_chat::telemetry::Export;

use crate::server::{Change, answer, changed, error, is_preflight, page, serve, visit};
use crate::support::{KEY, Project, Report};
use crate::well::LocalStack;

/// What the doctor says about functions with one change, before a page that is well.
async fn with_api(change: Change) -> Report {
    visit(change, page, &[]).await
}

/// What the doctor reports about the functions at `port`, without a page.
async fn visit_api(port: u16) -> Report {
    let visit = move || Project::cloned().visit_with(&["--api", &format!("http://127.0.0.1:{port}")], &[]);
    tokio::task::spawn_blocking(visit).await.unwrap()
}

/// The same about a page with one change, before functions that are well.
async fn with_page(change: Change) -> Report {
    visit(|_| None, |api| changed(page(api), change), &[]).await
}

/// `answer` to plain calls of negotiate.
fn negotiate(request: &Request, answer: Response) -> Option<Response> {
    (request.uri().path() == "/api/negotiate" && !is_preflight(request)).then_some(answer)
}

/// `answer` to the question that a browser asks for the page, or for whichever page.
fn preflight(request: &Request, headers: &[(&str, &str)]) -> Option<Response> {
    let origin = request.headers().get("origin")?.to_str().unwrap();
    is_preflight(request).then(|| {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (*name, value.replace("PAGE", origin))).collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        answer(204, &headers, "")
    })
}

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_HEADERS: (&str, &str) = ("access-control-allow-headers", "x-zumo-auth, content-type");

#[tokio::test]
async fn functions_that_nobody_serves_are_told() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let report = Project::cloned().visit_with(&["--api", &format!("http://127.0.0.1:{free}")], &[]);
    report.finds_only("functions", "nobody listens there", "make run");
}

#[tokio::test]
async fn functions_asked_in_clear_are_told() {
    let report = Project::cloned().visit_with(&["--api", "http://chat.invalid"], &[]);
    report.finds_only("functions", "in clear", "https");
}

#[tokio::test]
async fn functions_that_were_not_deployed_are_told() {
    let report = with_api(|request| negotiate(request, answer(404, &[], ""))).await;
    report.finds_only("negotiate", "no functions are deployed", "make package");
}

#[tokio::test]
async fn settings_that_are_missing_in_the_app_are_named() {
    let port = serve(unconfigured(["AzureSignalRConnectionString", "ChatAllowAnonymous"], "api")).await;
    let report = visit_api(port).await;
    report.finds_only(
        "negotiate",
        "AzureSignalRConnectionString, ChatAllowAnonymous",
        "AzureSignalRConnectionString",
    );
}

#[tokio::test]
async fn an_app_that_asks_for_function_keys_is_told() {
    let report = with_api(|request| negotiate(request, answer(401, &[], ""))).await;
    report.finds_only("negotiate", "function key", "\"authLevel\": \"anonymous\"");
}

#[tokio::test]
async fn an_app_that_restricts_access_by_redirects_is_told() {
    let report = with_api(|request| {
        negotiate(request, answer(302, &[("location", "https://login.microsoftonline.com/common")], ""))
    })
    .await;
    report.finds_only("negotiate", "redirects", "Allow unauthenticated access");
}

#[tokio::test]
async fn an_app_that_restricts_access_by_401_is_told() {
    let report = with_api(|request| {
        negotiate(request, answer(401, &[("www-authenticate", "Bearer realm=\"h\"")], ""))
    })
    .await;
    report.finds_only("negotiate", "App Service refuses", "Allow unauthenticated access");
}

#[tokio::test]
async fn an_app_whose_host_sends_envelopes_is_told() {
    let report = with_api(|request| negotiate(request, error(500, "not_forwarded", "x"))).await;
    report.finds_only("negotiate", "envelopes", "enableForwardingHttpRequest");
}

#[tokio::test]
async fn an_app_whose_handler_cannot_start_is_told() {
    let report = with_api(|request| negotiate(request, answer(500, &[], ""))).await;
    report.finds_only("negotiate", "cannot start the handler", "make package");
}

#[tokio::test]
async fn an_app_whose_identity_lacks_a_role_is_told() {
    let report = with_api(|request| negotiate(request, error(502, "upstream_rejected", "x"))).await;
    report.finds_only("negotiate", "lacks a role", "steps 4 and 5");
}

#[tokio::test]
async fn an_app_that_is_stopped_is_told() {
    let report =
        with_api(|request| negotiate(request, answer(503, &[], "Function host is not running."))).await;
    report.finds_only("negotiate", "not running", "az functionapp start");
}

#[tokio::test]
async fn cors_that_lacks_the_page_is_told() {
    let report = with_api(|request| preflight(request, &[])).await;
    report.finds_only("CORS", "does not let http://127.0.0.1:", "az functionapp cors add");
}

#[tokio::test]
async fn cors_for_everybody_is_told() {
    let report = with_api(|request| preflight(request, &[(ALLOW_ORIGIN, "*"), ALLOW_HEADERS])).await;
    report.finds_only("CORS", "every page of the web", "az functionapp cors remove");
}

#[tokio::test]
async fn cors_for_whoever_asks_is_told() {
    let report = with_api(|request| preflight(request, &[(ALLOW_ORIGIN, "PAGE"), ALLOW_HEADERS])).await;
    report.finds_only("CORS", "every page of the web", "az functionapp cors remove");
}

#[tokio::test]
async fn cors_with_a_slash_is_told() {
    let report = with_api(|request| preflight(request, &[(ALLOW_ORIGIN, "PAGE/"), ALLOW_HEADERS])).await;
    report.finds_only("CORS", "with a slash", "az functionapp cors add");
}

#[tokio::test]
async fn cors_from_two_sides_is_told() {
    let report = with_api(|request| {
        preflight(request, &[(ALLOW_ORIGIN, "PAGE"), (ALLOW_ORIGIN, "PAGE"), ALLOW_HEADERS])
    })
    .await;
    report.finds_only("CORS", "more than once", "only the platform");
}

#[tokio::test]
async fn cors_that_keeps_the_session_out_is_told() {
    let report = with_api(|request| {
        let own = request.headers().get("origin").is_some_and(|origin| origin != "https://example.com");
        preflight(request, if own { &[(ALLOW_ORIGIN, "PAGE")] } else { &[] })
    })
    .await;
    report.finds_only("CORS", "x-zumo-auth", "az functionapp cors add");
}

#[tokio::test]
async fn without_a_stand_in_on_this_machine_sign_in_is_left_out() {
    let report =
        with_api(|request| (request.uri().path() == "/.auth/me").then(|| answer(404, &[], ""))).await;
    report.is_well();
    report.leaves_out("Easy Auth", "func start");
    report.leaves_out("sign-in", "first Easy Auth");
}

#[tokio::test]
async fn easy_auth_that_fails_is_told() {
    let report =
        with_api(|request| (request.uri().path() == "/.auth/me").then(|| answer(500, &[], ""))).await;
    report.finds_only("Easy Auth", "answers 500", "step 6");
}

#[tokio::test]
async fn a_provider_that_is_not_set_up_is_told() {
    let report = visit(|_| None, page, &["--provider", "aad"]).await;
    report.is_well();
    let stack = LocalStack::start();
    let report = Project::cloned()
        .visit_with(&["--api", &stack.api(), "--page", &stack.page(), "--provider", "fax"], &[]);
    report.finds("sign-in", "fax is not set up", "--provider");
    report.finds("config.json", "authProvider is github, and --provider is fax", "");
}

#[tokio::test]
async fn a_page_that_people_would_not_come_back_to_is_told() {
    let report = with_api(|request| {
        let to = "https://login.microsoftonline.com/x?state=redir%3D%252F.auth%252Flogin%252Fdone";
        request.uri().path().starts_with("/.auth/login/").then(|| answer(302, &[("location", to)], ""))
    })
    .await;
    report.finds_only(
        "sign-in",
        "would not come back to http://127.0.0.1:",
        "Allowed external redirect URLs",
    );
}

#[tokio::test]
async fn a_page_that_the_stand_in_does_not_know_is_told() {
    let (stack, other) = (LocalStack::start(), LocalStack::start());
    let report = Project::cloned().visit_with(&["--api", &stack.api(), "--page", &other.page()], &[]);
    report.finds("sign-in", "would not come back", "Allowed external redirect URLs");
    report.finds("CORS", "does not let", "az functionapp cors add");
    report.finds("config.json", "apiBaseUrl is", "");
}

#[tokio::test]
async fn names_that_anybody_can_forge_are_told() {
    let connection = format!("Endpoint=http://127.0.0.1:1;AccessKey={KEY};");
    // The app trusts Easy Auth, and nothing in front of it removes forged headers.
    let variables =
        [("WEBSITE_AUTH_ENABLED", "true"), ("AzureSignalRConnectionString", &*connection)].into_iter();
    let config = Config::read(&variables.collect()).unwrap();
    let signalr = config.signalr.as_ref().unwrap();
    let app = from_config(&config, signalr, None, Trust::EasyAuth, &Export::default()).unwrap();
    let report = visit_api(serve(app).await).await;
    report.finds_only("a forged name", "anyone can be anyone", "turn Easy Auth on");
}

#[tokio::test]
async fn a_page_that_was_not_uploaded_is_told() {
    let report = with_page(|request| (request.uri().path() == "/").then(|| answer(404, &[], ""))).await;
    report.finds_only("page", "shows no page", "make page");
}

#[tokio::test]
async fn a_page_served_in_clear_is_told() {
    let report = Project::cloned().visit_with(&["--page", "http://chat.invalid"], &[]);
    report.finds_only("page", "in clear", "https");
}

#[tokio::test]
async fn a_page_without_its_config_is_told() {
    let report =
        with_page(|request| (request.uri().path() == "/config.json").then(|| answer(404, &[], "{}"))).await;
    report.finds_only("config.json", "is not there", "make page");
}

#[tokio::test]
async fn a_page_whose_config_is_the_page_itself_is_told() {
    let report = with_page(|request| {
        let html = || answer(200, &[("content-type", "text/html")], "<!doctype html>");
        (request.uri().path() == "/config.json").then(html)
    })
    .await;
    report.finds_only("config.json", "no JSON object", "make page");
}

/// A page that is told of other functions than those it has.
fn told(config: serde_json::Value) -> impl Fn(&str) -> Router {
    move |_| {
        let config = config.to_string();
        let json =
            move || async move { answer(200, &[("content-type", "application/json")], config.clone()) };
        let html = async || answer(200, &[("content-type", "text/html")], "<!doctype html>");
        Router::new().route("/", axum::routing::get(html)).route("/config.json", axum::routing::get(json))
    }
}

#[tokio::test]
async fn a_page_that_asks_other_functions_is_told() {
    let config = json!({"apiBaseUrl": "https://other.azurewebsites.net", "authProvider": "aad"});
    visit(|_| None, told(config), &[]).await.finds_only(
        "config.json",
        "https://other.azurewebsites.net, and --api is",
        "make page",
    );
}

#[tokio::test]
async fn a_page_that_asks_in_clear_is_told() {
    let config = json!({"apiBaseUrl": "http://other.azurewebsites.net", "authProvider": "aad"});
    visit(|_| None, told(config), &[]).await.finds_only(
        "config.json",
        "allows http on this machine only",
        "",
    );
}

#[tokio::test]
async fn a_page_with_another_provider_is_told() {
    let report = visit(|_| None, page, &["--provider", "github"]).await;
    report.finds("config.json", "authProvider is aad, and --provider is github", "");
    report.finds("sign-in", "github is not set up", "--provider");
}

#[tokio::test]
async fn without_addresses_nothing_deployed_is_looked_at_and_the_options_are_named() {
    let report = Project::cloned().visit();
    report.leaves_out("functions", "--api");
    report.leaves_out("page", "--page");
    let stack = LocalStack::start();
    let report = Project::cloned().visit_with(&["--api", &stack.api()], &[]);
    report.leaves_out("CORS", "--page");
    report.leaves_out("sign-in", "--page");
}
