//! Tests of `chat doctor` with problems of deployed functions and of the deployed page.

use axum::response::Response;
use serde_json::json;
use serverless_chat::app::{from_config, unconfigured};
use serverless_chat::auth::Trust;
use serverless_chat::config::Config;
use serverless_chat::telemetry::Export;
use test_support::http::free_port;

use crate::test_project::{KEY, Project, Report, SIGNALR, problem_tests};
use crate::test_servers::{Change, LocalStack, at, changed, error, is_preflight, page, response, run_deployed, serve};

/// Runs the doctor for functions with one change and a page without problems.
fn with_api(change: impl Change) -> Report {
    run_deployed(change, page, &[])
}

/// Runs the doctor for functions that give `response` to `POST /api/negotiate`.
fn with_negotiate(response: fn() -> Response) -> Report {
    with_api(at("/api/negotiate", response))
}

/// Runs the doctor for functions with these headers in preflight responses, where PAGE stands for the origin of the request.
fn with_cors(headers: &'static [(&'static str, &'static str)]) -> Report {
    with_api(move |request| {
        let origin = request.headers().get("origin")?.to_str().unwrap();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.replace("PAGE", origin))).collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        is_preflight(request).then(|| response(204, &headers, ""))
    })
}

/// Runs the doctor for the functions at `port`, without a page.
fn run_for_api(port: u16) -> Report {
    Project::cloned().run_with(&["--api", &format!("http://127.0.0.1:{port}")], &[])
}

/// Runs the doctor for a page with one change and functions without problems.
fn with_page(change: impl Change + Clone) -> Report {
    run_deployed(|_| None, |api| changed(page(api), change.clone()), &[])
}

/// Runs the doctor for a page whose `config.json` names these functions.
fn with_api_address(address: &'static str) -> Report {
    with_page(at("/config.json", move || {
        response(200, &[], json!({"apiBaseUrl": address, "authProvider": "aad"}).to_string())
    }))
}

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_HEADERS: (&str, &str) = ("access-control-allow-headers", "x-zumo-auth, content-type");

problem_tests! { finds_only:
    functions_that_are_not_running_are_reported = run_for_api(free_port())
        => "functions", "connection refused", "make run";
    functions_called_unencrypted_are_reported = Project::cloned().run_with(&["--api", "http://chat.invalid"], &[])
        => "functions", "unencrypted", "https";
    functions_that_were_not_deployed_are_reported = with_negotiate(|| response(404, &[], ""))
        => "negotiate", "no functions are deployed", "make package";
    settings_that_are_missing_in_the_app_are_named =
        run_for_api(serve(unconfigured([SIGNALR, "ChatAllowAnonymous"], "api")))
        => "negotiate", "AzureSignalRConnectionString, ChatAllowAnonymous", "AzureSignalRConnectionString";
    an_app_that_requires_function_keys_is_reported = with_negotiate(|| response(401, &[], ""))
        => "negotiate", "function key", r#""authLevel": "anonymous""#;
    an_app_that_restricts_access_by_redirects_is_reported =
        with_negotiate(|| response(302, &[("location", "https://login.microsoftonline.com/common")], ""))
        => "negotiate", "redirects", "Allow unauthenticated access";
    an_app_that_restricts_access_by_401_is_reported =
        with_negotiate(|| response(401, &[("www-authenticate", "Bearer realm=\"h\"")], ""))
        => "negotiate", "App Service rejects", "Allow unauthenticated access";
    an_app_whose_host_sends_envelopes_is_reported = with_negotiate(|| error(500, "not_forwarded", "x"))
        => "negotiate", "envelopes", "enableForwardingHttpRequest";
    an_app_whose_handler_cannot_start_is_reported = with_negotiate(|| response(500, &[], ""))
        => "negotiate", "cannot start the handler", "make package";
    an_app_whose_identity_lacks_a_role_is_reported = with_negotiate(|| error(502, "upstream_rejected", "x"))
        => "negotiate", "lacks a role", "steps 4 and 5";
    an_app_that_is_stopped_is_reported = with_negotiate(|| response(503, &[], "Function host is not running."))
        => "negotiate", "not running", "az functionapp start";
    cors_that_lacks_the_page_is_reported = with_cors(&[])
        => "CORS", "does not allow http://127.0.0.1:", "az functionapp cors add";
    cors_for_every_origin_is_reported = with_cors(&[(ALLOW_ORIGIN, "*"), ALLOW_HEADERS])
        => "CORS", "every page of the web", "az functionapp cors remove";
    cors_that_echoes_every_origin_is_reported = with_cors(&[(ALLOW_ORIGIN, "PAGE"), ALLOW_HEADERS])
        => "CORS", "every page of the web", "az functionapp cors remove";
    cors_with_a_trailing_slash_is_reported = with_cors(&[(ALLOW_ORIGIN, "PAGE/"), ALLOW_HEADERS])
        => "CORS", "with a slash", "az functionapp cors add";
    duplicate_cors_headers_are_reported =
        with_cors(&[(ALLOW_ORIGIN, "PAGE"), (ALLOW_ORIGIN, "PAGE"), ALLOW_HEADERS])
        => "CORS", "more than once", "only the platform";
    easy_auth_that_fails_is_reported = with_api(at("/.auth/me", || response(500, &[], "")))
        => "Easy Auth", "answers 500", "step 6";
    a_page_that_users_would_not_return_to_is_reported = with_api(at("/.auth/login/aad", || {
        let to = "https://login.microsoftonline.com/x?state=redir%3D%252F.auth%252Flogin%252Fdone";
        response(302, &[("location", to)], "")
    }))
        => "sign-in", "would not return to http://127.0.0.1:", "Allowed external redirect URLs";
    several_providers_without_the_setting_that_keeps_their_users_apart_are_reported =
        with_api(at("/.auth/login/github", || response(302, &[("location", "https://github.com/login")], "")))
        => "user ids", "aad, github", "ChatIdentityProvider=aad";
    a_page_that_was_not_uploaded_is_reported = with_page(at("/", || response(404, &[], "")))
        => "page", "serves no page", "make page";
    a_page_served_unencrypted_is_reported = Project::cloned().run_with(&["--page", "http://chat.invalid"], &[])
        => "page", "unencrypted", "https";
    a_page_without_its_config_is_reported = with_page(at("/config.json", || response(404, &[], "{}")))
        => "config.json", "does not exist", "make page";
    a_page_whose_config_is_html_is_reported =
        with_page(at("/config.json", || response(200, &[("content-type", "text/html")], "<!doctype html>")))
        => "config.json", "not a JSON object", "make page";
    a_page_with_another_api_address_is_reported = with_api_address("https://other.azurewebsites.net")
        => "config.json", "https://other.azurewebsites.net, and --api is", "make page";
    a_page_with_an_unencrypted_api_address_is_reported = with_api_address("http://other.azurewebsites.net")
        => "config.json", "allows http on this machine only", "";
}

#[test]
fn cors_without_the_session_header_is_reported() {
    let report = with_api(|request| {
        let origin = request.headers().get("origin")?.to_str().unwrap();
        let headers = [(ALLOW_ORIGIN, origin)];
        let headers = if origin == "https://example.com" { &[] } else { &headers[..] };
        is_preflight(request).then(|| response(204, headers, ""))
    });
    report.finds_only("CORS", "x-zumo-auth", "az functionapp cors add");
}

#[test]
fn without_a_local_easy_auth_sign_in_is_skipped() {
    let report = with_api(at("/.auth/me", || response(404, &[], "")));
    report.passes();
    report.skips("Easy Auth", "func start");
    report.skips("sign-in", "turn on Easy Auth");
}

#[test]
fn a_provider_that_is_not_set_up_is_reported() {
    run_deployed(|_| None, page, &["--provider", "aad"]).passes();
    let stack = LocalStack::start();
    let report =
        Project::cloned().run_with(&["--api", &stack.api(), "--page", &stack.page(), "--provider", "fax"], &[]);
    report.finds("sign-in", "fax is not set up", "--provider");
    report.finds("config.json", "authProvider is github, and --provider is fax", "");
}

#[test]
fn a_page_that_the_local_easy_auth_does_not_allow_is_reported() {
    let (stack, other) = (LocalStack::start(), LocalStack::start());
    let report = Project::cloned().run_with(&["--api", &stack.api(), "--page", &other.page()], &[]);
    report.finds("sign-in", "would not return", "Allowed external redirect URLs");
    report.finds("CORS", "does not allow", "az functionapp cors add");
    report.finds("config.json", "apiBaseUrl is", "");
}

#[test]
fn a_forged_name_that_is_accepted_is_reported() {
    let connection = format!("Endpoint=http://127.0.0.1:1;AccessKey={KEY};");
    // The app trusts Easy Auth, and nothing in front of it removes forged headers.
    let variables = [("WEBSITE_AUTH_ENABLED", "true"), (SIGNALR, &*connection)].into_iter();
    let config = Config::read(&variables.collect()).unwrap();
    let signalr = config.signalr.as_ref().unwrap();
    let app = from_config(&config, signalr, None, None, Trust::EasyAuth, &Export::default()).unwrap();
    run_for_api(serve(app)).finds_only("a forged name", "callers can use any name", "turn Easy Auth on");
}

#[test]
fn several_providers_are_no_problem_where_the_settings_keep_their_users_apart() {
    let settings = Project::cloned();
    settings.write(".env", "ChatIdentityProvider=aad\n");
    let file = settings.0.join(".env");
    let github = at("/.auth/login/github", || response(302, &[("location", "https://github.com/login")], ""));
    run_deployed(github, page, &["--env-file", file.to_str().unwrap()]).is_ok("user ids", "aad, github");
}

#[test]
fn a_page_with_another_provider_is_reported() {
    let report = run_deployed(|_| None, page, &["--provider", "github"]);
    report.finds("config.json", "authProvider is aad, and --provider is github", "");
    report.finds("sign-in", "github is not set up", "--provider");
}

#[test]
fn without_addresses_the_deployment_is_skipped_and_the_options_are_named() {
    let report = Project::cloned().run();
    report.skips("functions", "--api");
    report.skips("page", "--page");
    let stack = LocalStack::start();
    let report = Project::cloned().run_with(&["--api", &stack.api()], &[]);
    report.skips("CORS", "--page");
    report.skips("sign-in", "--page");
}
