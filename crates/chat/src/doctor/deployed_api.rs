//! Checks the deployed functions from outside: reachable, configured, and open by CORS to the page and no other origin.

use reqwest::{Client, Url};
use serverless_chat::config::{Env, IDENTITY_PROVIDER};

use super::http::{CorsAccess, HttpResponse, OTHER_ORIGIN, RequestError, cors_access, preflight, send};
use super::options::{Options, Site};
use super::report::Finding;
use super::settings::REPORTED_SETTINGS;
use super::sign_in;

/// The header with the session token, which a preflight therefore has to allow.
const SESSION_HEADER: &str = "x-zumo-auth";

const DEPLOY_COMMAND: &str = "make package && az functionapp deployment source config-zip --name $api --resource-group $group --src target/package/handler.zip";

/// Checks the functions that `options` name, with sign-in by `provider`. `env` has the settings that the doctor reads.
pub(super) async fn check(http: &Client, options: &Options, provider: &str, env: &Env) -> Vec<Finding> {
    let Some(api) = &options.api else {
        return vec![Finding::skipped("functions", "give --api https://APP.azurewebsites.net")];
    };
    if api.is_unencrypted() {
        let problem = format!("{api} is called unencrypted, with sign-in tokens");
        return vec![Finding::problem("functions", problem, "give --api https://…")];
    }
    let url = api.join(&["api", "negotiate"]);
    let response = match send(http.post(url.clone())).await {
        Ok(response) => response,
        Err(error) => return vec![unreachable(api, error)],
    };
    let negotiate = evaluate_negotiate(&response, api);
    let is_deployed = !negotiate.is_problem() || matches!(response.status, 300..=399 | 401 | 403);
    if !is_deployed {
        return vec![negotiate];
    }
    let (cors, me, signed_in, user_ids, forged) = tokio::join!(
        check_cors(http, &url, options.page.as_ref()),
        send(http.get(api.join(&[".auth", "me"]))),
        sign_in::check(http, api, options.page.as_ref(), provider),
        sign_in::check_user_ids(http, api, env.get(IDENTITY_PROVIDER).is_some()),
        send(sign_in::with_forged_user(http.post(url.clone()))),
    );
    let signed_in =
        if sign_in::is_on(&me) { signed_in } else { Finding::skipped("sign-in", "turn on Easy Auth first") };
    let forged = match forged {
        Ok(response) => sign_in::check_forged_user(&response),
        Err(error) => unreachable(api, error),
    };
    let mut findings = vec![negotiate, cors, sign_in::check_easy_auth(&me, api), signed_in];
    findings.extend(user_ids);
    findings.push(forged);
    findings
}

fn unreachable(api: &Site, error: RequestError) -> Finding {
    let problem = format!("{api} cannot be reached: {error}");
    let fix = match error {
        _ if api.is_local() => "make run",
        RequestError::TimedOut => DEPLOY_COMMAND,
        _ => {
            "az functionapp show --name $api --resource-group $group --query \"{state: state, host: defaultHostName}\""
        }
    };
    Finding::problem("functions", problem, fix)
}

/// The error code in a response of the handler.
fn error_code(response: &HttpResponse) -> Option<String> {
    response.json()?["error"]["code"].as_str().map(str::to_owned)
}

/// Evaluates the response to `POST /api/negotiate` without a body: who sent it, and what that means.
fn evaluate_negotiate(response: &HttpResponse, api: &Site) -> Finding {
    let problem = |what: &str, fix: &str| Finding::problem("negotiate", what, fix);
    let restricted = "in the portal, function app, Authentication, Restrict access: Allow unauthenticated access";
    match (response.status, error_code(response).as_deref()) {
        (200, _) if response.access_token().is_some() => Finding::ok("negotiate", "allows guests"),
        (401, Some("unauthenticated")) => Finding::ok("negotiate", "requires sign-in"),
        (300..=399, _) if redirects_to_https(response, api) => problem("redirects to https", "give --api https://…"),
        (300..=399, _) => problem("redirects, which `fetch` cannot follow: browsers report a CORS error", restricted),
        (401 | 403, None) if response.header("www-authenticate").is_some() || response.status == 403 => {
            problem("App Service rejects callers who are not signed in, before the handler answers", restricted)
        }
        (401, _) => problem(
            "the host requires a function key, which the page does not have",
            "set \"authLevel\": \"anonymous\" in negotiate/function.json, then deploy",
        ),
        (404 | 405, _) => problem("no functions are deployed there, or under another route prefix", DEPLOY_COMMAND),
        (429, _) => problem("too many calls for the plan or the service", "docs/scale.md"),
        (500, Some("not_forwarded")) => problem(
            "the host sends JSON envelopes instead of requests",
            "set customHandler.enableForwardingHttpRequest to true in host.json, then deploy",
        ),
        (503, Some("not_configured")) => not_configured(response, api),
        (502..=504, Some(_)) => problem(
            "the handler cannot use the service: its identity lacks a role, or got it minutes ago, or keys are disabled",
            "docs/deploy.md, steps 4 and 5; then wait ten minutes",
        ),
        (503, None) => problem("the host is not running", "az functionapp start --name $api --resource-group $group"),
        (500.., _) => {
            problem("the host cannot start the handler: not executable, or built for another system", DEPLOY_COMMAND)
        }
        (status, _) => Finding::problem(
            "negotiate",
            format!("the server at {api} does not run these functions: it answers {status}"),
            "give the function app's address as --api",
        ),
    }
}

fn redirects_to_https(response: &HttpResponse, api: &Site) -> bool {
    let location = response.header("location").and_then(Site::parse);
    location.is_some_and(|to| {
        to.origin().starts_with("https:") && !api.origin().starts_with("https:") && host(&to) == host(api)
    })
}

fn host(site: &Site) -> Option<String> {
    site.join(&[]).host_str().map(str::to_owned)
}

/// The handler's message names the settings; only known names are repeated.
fn not_configured(response: &HttpResponse, api: &Site) -> Finding {
    let message =
        response.json().and_then(|body| body["error"]["message"].as_str().map(str::to_owned)).unwrap_or_default();
    let words: Vec<_> = message.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    let names: Vec<_> = REPORTED_SETTINGS.into_iter().filter(|name| words.contains(name)).collect();
    let problem = format!("settings of the app are missing or invalid: {}", names.join(", "));
    let first = names.first().copied().unwrap_or("NAME");
    let fix = if api.is_local() {
        format!("set {first} under Values in local.settings.json")
    } else {
        format!("az functionapp config appsettings set --name $api --resource-group $group --settings \"{first}=…\"")
    };
    Finding::problem("negotiate", problem, fix)
}

/// Checks that a browser lets the page call the functions, and no other page.
async fn check_cors(http: &Client, url: &Url, page: Option<&Site>) -> Finding {
    let Some(page) = page else {
        return Finding::skipped("CORS", "give --page, whose origin is checked");
    };
    let origin = page.origin();
    let access = async |origin: &str| {
        let response = send(preflight(http, url.clone(), origin, SESSION_HEADER)).await?;
        Ok::<_, RequestError>(cors_access(&response.headers, origin, SESSION_HEADER))
    };
    match tokio::join!(access(&origin), access(OTHER_ORIGIN)) {
        (Ok(page), Ok(other)) => evaluate_cors(&page, &other, &origin),
        (Err(error), _) | (_, Err(error)) => {
            Finding::problem("CORS", format!("cannot be checked: {error}"), "run it again")
        }
    }
}

/// Evaluates what `page` at `origin` and a page of another origin are allowed.
fn evaluate_cors(page: &CorsAccess, other: &CorsAccess, origin: &str) -> Finding {
    let command = |verb: &str, origin: &str| {
        format!("az functionapp cors {verb} --name $api --resource-group $group --allowed-origins \"{origin}\"")
    };
    let (problem, fix) = match (page, other) {
        (CorsAccess::AnyOrigin, _) | (CorsAccess::Allowed, CorsAccess::AnyOrigin | CorsAccess::Allowed) => (
            "allows every page of the web; allow the page's own origin only".to_owned(),
            format!("{} && {}", command("remove", "*"), command("add", origin)),
        ),
        (CorsAccess::Allowed, _) => {
            return Finding::ok("CORS", format!("allows {origin} and no other origin"));
        }
        (CorsAccess::Denied, _) => (format!("does not allow {origin}"), command("add", origin)),
        (CorsAccess::MisspelledOrigin, _) => (
            format!(
                "lists the page with a slash at its end or in capitals; browsers send {origin} and compare letter by letter"
            ),
            command("add", origin),
        ),
        (CorsAccess::DuplicateHeader, _) => (
            "Access-Control-Allow-Origin is there more than once, which browsers reject".to_owned(),
            "let only the platform send CORS headers: remove them from the app and from proxies".to_owned(),
        ),
        (CorsAccess::HeaderDenied(header), _) => (
            format!("the page may not send the header {header}, which carries the session token"),
            command("add", origin),
        ),
    };
    Finding::problem("CORS", problem, fix)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::doctor::http::test_response;

    const API: &str = "https://api.example";
    const PAGE: &str = "https://page.example";

    fn site(text: &str) -> Site {
        Site::parse(text).unwrap()
    }

    fn error(status: u16, code: &str, message: &str) -> HttpResponse {
        test_response(status, &[], &json!({"error": {"code": code, "message": message}}))
    }

    fn access() -> HttpResponse {
        test_response(200, &[], &json!({"url": "https://s/client/?hub=chat", "accessToken": "h.p.s"}))
    }

    #[test]
    fn negotiate_may_allow_guests_or_require_sign_in() {
        for response in [access(), error(401, "unauthenticated", "Sign in.")] {
            assert!(!evaluate_negotiate(&response, &site(API)).is_problem(), "{response:?}");
        }
    }

    #[test]
    fn every_other_response_of_negotiate_is_a_problem_with_a_cause() {
        let nothing = Value::Null;
        for (response, cause) in [
            (test_response(302, &[("location", "https://login.microsoftonline.com/x")], &nothing), "redirects, which"),
            (test_response(401, &[("www-authenticate", "Bearer realm=\"x\"")], &nothing), "App Service rejects"),
            (test_response(403, &[], &nothing), "App Service rejects"),
            (test_response(401, &[], &nothing), "function key"),
            (test_response(404, &[], &nothing), "no functions are deployed"),
            (test_response(429, &[], &nothing), "too many calls"),
            (error(500, "not_forwarded", "x"), "envelopes"),
            (test_response(500, &[], &nothing), "cannot start the handler"),
            (error(502, "upstream_rejected", "x"), "cannot use the service"),
            (error(503, "unavailable", "x"), "cannot use the service"),
            (error(503, "not_configured", "Set AzureSignalRHubName in the app's settings."), "AzureSignalRHubName"),
            (test_response(503, &[], &nothing), "the host is not running"),
            (test_response(200, &[], &json!({"hello": 1})), "does not run these functions"),
        ] {
            let finding = evaluate_negotiate(&response, &site(API));
            assert!(finding.is_problem() && format!("{finding:?}").contains(cause), "{cause}: {finding:?}");
        }
    }

    #[test]
    fn a_redirect_to_https_asks_for_an_https_address() {
        let response = test_response(307, &[("location", "https://localhost/api/negotiate")], &Value::Null);
        assert!(format!("{:?}", evaluate_negotiate(&response, &site("http://localhost"))).contains("give --api https"));
    }

    #[test]
    fn only_known_setting_names_of_a_message_are_repeated() {
        let message = "Set hush, AzureSignalRConnectionString__serviceUri and ChatAllowAnonymous=hush.";
        let response = error(503, "not_configured", message);
        let printed = format!("{:?}", evaluate_negotiate(&response, &site(API)));
        assert!(printed.contains("AzureSignalRConnectionString__serviceUri, ChatAllowAnonymous"), "{printed}");
        assert!(!printed.contains("hush") && !printed.contains("AzureSignalRConnectionString,"), "{printed}");
    }

    #[test]
    fn cors_allows_the_page_and_no_other_origin() {
        use CorsAccess::{Allowed, AnyOrigin, Denied, DuplicateHeader, HeaderDenied, MisspelledOrigin};
        assert!(!evaluate_cors(&Allowed, &Denied, PAGE).is_problem());
        for (page, other) in [
            (AnyOrigin, AnyOrigin),
            (Allowed, Allowed),
            (Denied, Denied),
            (MisspelledOrigin, Denied),
            (DuplicateHeader, Denied),
            (HeaderDenied(SESSION_HEADER), Denied),
        ] {
            assert!(evaluate_cors(&page, &other, PAGE).is_problem(), "{page:?} {other:?}");
        }
    }
}
