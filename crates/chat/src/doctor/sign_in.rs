//! Checks sign-in from outside: Easy Auth is on, leads to the provider and back to the page, and removes forged principal headers.
//!
//! The checks sign in no user. The address after sign-in is in the redirect to the provider.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;
use serverless_chat::config::{IDENTITY_PROVIDER, ProviderName};

use super::http::{HttpResponse, RequestError, send};
use super::options::Site;
use super::report::Finding;

/// A user id that no user has.
const FORGED_USER: &str = "doctor-forged-this-name";

/// The step of the guide about sign-in.
const GUIDE_STEP: &str = "docs/deploy.md, step 6";

/// Whether the response to `/.auth/me` is from Easy Auth. Where that is off, the path does not exist.
pub(super) fn is_on(me: &Result<HttpResponse, RequestError>) -> bool {
    matches!(me, Ok(response) if matches!(response.status, 200 | 401 | 403))
}

/// Evaluates the response to `/.auth/me`.
pub(super) fn check_easy_auth(me: &Result<HttpResponse, RequestError>, api: &Site) -> Finding {
    let fix = format!("in the portal, function app, Authentication, Add identity provider ({GUIDE_STEP})");
    match me {
        _ if is_on(me) => Finding::ok("Easy Auth", "is on"),
        Ok(response) if response.status == 404 && api.is_local() => {
            Finding::skipped("Easy Auth", "`func start` has none; `make run` emulates it")
        }
        Ok(response) if response.status == 404 => {
            Finding::problem("Easy Auth", "is off: users cannot sign in, and principal headers are not trusted", fix)
        }
        Ok(response) => Finding::problem("Easy Auth", format!("/.auth/me answers {}", response.status), fix),
        Err(error) => Finding::problem("Easy Auth", format!("/.auth/me cannot be checked: {error}"), "run it again"),
    }
}

/// Checks that users can sign in with `provider` and return to the page.
pub(super) async fn check(http: &Client, api: &Site, page: Option<&Site>, provider: &str) -> Finding {
    let Some(page) = page else {
        return Finding::skipped("sign-in", "give --page, to which users return");
    };
    let mut url = api.join(&[".auth", "login", provider]);
    // The page's own request: for a token, with a redirect back to its address.
    url.query_pairs_mut()
        .append_pair("session_mode", "token")
        .append_pair("post_login_redirect_url", page.join(&[""]).as_str());
    match send(http.get(url)).await {
        Ok(response) => evaluate(&response, page, provider),
        Err(error) => Finding::problem("sign-in", format!("with {provider} gives no response: {error}"), GUIDE_STEP),
    }
}

fn evaluate(response: &HttpResponse, page: &Site, provider: &str) -> Finding {
    let problem = |what: String, fix: &str| Finding::problem("sign-in", what, fix);
    match (response.status, return_target(response, page)) {
        (200 | 300..=399, Some(ReturnTarget::Page)) => {
            Finding::ok("sign-in", format!("with {provider}, and back to {page}"))
        }
        (300..=399, Some(ReturnTarget::Hidden)) => {
            Finding::ok("sign-in", format!("with {provider}; sign in once to see that you return to the page"))
        }
        (200 | 300..=399, Some(ReturnTarget::Other)) | (400 | 403, _) => {
            let what = format!("users would not return to {page}: it is not among the allowed redirect addresses");
            problem(what, &format!("add {page} and {page}/ to Allowed external redirect URLs ({GUIDE_STEP})"))
        }
        (404, _) => {
            let fix = format!("add {provider} as an identity provider ({GUIDE_STEP}), or name another with --provider");
            problem(format!("{provider} is not set up"), &fix)
        }
        (status, _) => problem(format!("with {provider} answers {status}, which is not a redirect"), GUIDE_STEP),
    }
}

/// The providers that Easy Auth has by itself. An app can have others, under names of its own, which do not show from outside.
const PROVIDERS: [&str; 7] = ["aad", "apple", "facebook", "github", "google", "twitter", "x"];

/// Checks that users of several providers cannot have the same user id; `None` with fewer providers. Whether the app has the setting that
/// keeps them apart does not show from outside: `has_setting` is about the settings that the doctor reads.
pub(super) async fn check_user_ids(http: &Client, api: &Site, has_setting: bool) -> Option<Finding> {
    let redirects = PROVIDERS.map(async |provider| {
        let response = send(http.get(api.join(&[".auth", "login", provider]))).await;
        // The local Easy Auth shows a page instead.
        response.is_ok_and(|response| (300..=399).contains(&response.status)).then_some(provider)
    });
    let found: Vec<_> = join_all(redirects).await.into_iter().flatten().collect();
    evaluate_providers(&found, has_setting)
}

/// Evaluates the providers that users can sign in with.
fn evaluate_providers(found: &[&str], has_setting: bool) -> Option<Finding> {
    let mut names: Vec<_> = found.iter().filter_map(|name| name.parse::<ProviderName>().ok()).collect();
    names.dedup();
    let [first, _, ..] = names.as_slice() else { return None };
    let listed = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if has_setting {
        return Some(Finding::ok("user ids", format!("of {listed} are kept apart by {IDENTITY_PROVIDER}")));
    }
    let problem = format!(
        "users can sign in with {listed}: two of them with the same name share their private messages unless the app has {IDENTITY_PROVIDER}, and no settings here have it"
    );
    let setting = format!("{IDENTITY_PROVIDER}={first}");
    let fix = format!(
        "az functionapp config appsettings set --name $api --resource-group $group --settings {setting}; then run the doctor with {setting} in the environment"
    );
    Some(Finding::problem("user ids", problem, fix))
}

/// The address that a browser reaches after sign-in.
enum ReturnTarget {
    Page,
    Other,
    /// The response does not show it.
    Hidden,
}

/// Where a sign-in returns to; `None` if `response` does not start one.
fn return_target(response: &HttpResponse, page: &Site) -> Option<ReturnTarget> {
    let target = |is_page: bool| if is_page { ReturnTarget::Page } else { ReturnTarget::Other };
    if response.status == 200 {
        // The local Easy Auth shows a page of its own, whose policy names the origin that its form leads to.
        let policy = response.header("content-security-policy")?;
        let (_, sources) = policy.split_once("form-action")?;
        return Some(target(sources.split([' ', ';']).any(|source| source == page.origin())));
    }
    let provider = response.header("location")?.parse::<Url>().ok()?;
    Some(returns_to(&provider, page).map_or(ReturnTarget::Hidden, target))
}

/// Easy Auth puts the return address into `state`, as `redir=`. `None` if it is not there.
fn returns_to(provider: &Url, page: &Site) -> Option<bool> {
    let (_, state) = provider.query_pairs().find(|(name, _)| name == "state")?;
    let mut fields = state.split('&').filter_map(|field| field.split_once('='));
    let (_, to) = fields.find(|(name, _)| *name == "redir")?;
    let to = percent_encoding::percent_decode_str(to).decode_utf8().ok()?;
    Some(Site::parse(&to).as_ref() == Some(page))
}

/// Adds forged principal headers to `request`.
pub(super) fn with_forged_user(request: RequestBuilder) -> RequestBuilder {
    request.header("x-ms-client-principal-name", FORGED_USER).header("x-ms-client-principal-id", FORGED_USER)
}

/// Checks that the response to a request with forged headers is not for the forged user.
pub(super) fn check_forged_user(response: &HttpResponse) -> Finding {
    let user = response.access_token().and_then(|token| user_of(&token));
    match user {
        Some(user) if user == FORGED_USER => {
            let problem = "is accepted: callers can use any name, since principal headers are trusted and forged ones are not removed";
            let fix = format!("turn Easy Auth on ({GUIDE_STEP}), and do not set WEBSITE_AUTH_ENABLED by hand");
            Finding::problem("a forged name", problem, fix)
        }
        _ => Finding::ok("a forged name", "is not accepted"),
    }
}

/// The user id in an access token.
fn user_of(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    ["asrs.s.uid", "nameid", "sub"].iter().find_map(|name| claims[*name].as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::http::test_response;

    const API: &str = "https://api.example";
    const PAGE: &str = "https://page.example";

    fn site(text: &str) -> Site {
        Site::parse(text).unwrap()
    }

    fn token(claims: &Value) -> HttpResponse {
        let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
        test_response(200, &[], &json!({"url": "https://s/client/?hub=chat", "accessToken": token}))
    }

    #[test]
    fn easy_auth_is_a_problem_only_when_it_is_off_in_azure() {
        let me = |status, api| check_easy_auth(&Ok(test_response(status, &[], &Value::Null)), &site(api));
        assert!(!me(401, API).is_problem() && !me(200, API).is_problem());
        assert!(me(404, API).is_problem() && me(500, API).is_problem());
        assert!(!me(404, "http://localhost:7071").is_problem() && me(500, "http://localhost:7071").is_problem());
    }

    #[test]
    fn sign_in_returns_to_the_page() {
        let redirect = |state: &str| {
            let mut to = Url::parse("https://login.microsoftonline.com/authorize").unwrap();
            to.query_pairs_mut().append_pair("state", state);
            evaluate(&test_response(302, &[("location", to.as_str())], &Value::Null), &site(PAGE), "aad")
        };
        assert!(!redirect("redir=https%3A%2F%2Fpage.example%2F&nonce=1").is_problem());
        assert!(!redirect("opaque").is_problem());
        assert!(redirect("redir=%2F.auth%2Flogin%2Fdone").is_problem());
        assert!(redirect("redir=https%3A%2F%2Fpage.example.evil.example%2F").is_problem());
        for status in [400, 403, 404, 500] {
            assert!(evaluate(&test_response(status, &[], &Value::Null), &site(PAGE), "aad").is_problem(), "{status}");
        }
    }

    #[test]
    fn several_providers_need_the_setting_that_keeps_their_users_apart() {
        for found in [&[][..], &["aad"], &["twitter", "x"], &["x"]] {
            assert_eq!(evaluate_providers(found, false), None, "{found:?}");
        }
        for found in [&["aad", "github"][..], &["github", "twitter", "x"], &["facebook", "google"]] {
            let printed = format!("{:?}", evaluate_providers(found, false).unwrap());
            assert!(printed.contains(&found[..1].join("")) && printed.contains("ChatIdentityProvider="), "{printed}");
            assert!(!evaluate_providers(found, true).unwrap().is_problem());
        }
    }

    #[test]
    fn a_forged_user_is_found_in_every_claim() {
        for claim in ["asrs.s.uid", "nameid", "sub"] {
            assert!(check_forged_user(&token(&json!({claim: FORGED_USER}))).is_problem(), "{claim}");
        }
        for response in [
            token(&json!({})),
            token(&json!({"asrs.s.uid": "ann"})),
            test_response(401, &[], &json!({"error": {"code": "unauthenticated"}})),
        ] {
            assert!(!check_forged_user(&response).is_problem());
        }
    }
}
