//! Sign-in, from outside: Easy Auth is on, leads to the provider and back to the page, and keeps forged names out.
//!
//! Nobody is signed in by this. Where Easy Auth would send people afterwards shows in what it sends along to the provider.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;

use super::finding::Finding;
use super::http::{Answer, Silence, ask};
use super::negotiation::access_token;
use super::site::Site;

/// What nobody is called.
const FORGED: &str = "doctor-forged-this-name";

/// Where the choices about sign-in are.
const STEP: &str = "docs/deploy.md, step 6";

/// Whether what answered `/.auth/me` is Easy Auth. Where it is off, nothing is there.
pub(super) fn is_on(me: &Result<Answer, Silence>) -> bool {
    matches!(me, Ok(answer) if matches!(answer.status, 200 | 401 | 403))
}

/// What the answer of `/.auth/me` says.
pub(super) fn easy_auth(me: &Result<Answer, Silence>, api: &Site) -> Finding {
    let mend = format!("in the portal, function app, Authentication, Add identity provider ({STEP})");
    match me {
        _ if is_on(me) => Finding::ok("Easy Auth", "is on"),
        Ok(answer) if answer.status == 404 && api.is_local() => Finding::not_looked_at(
            "Easy Auth",
            "there is none under `func start`; `make run` brings a stand-in",
        ),
        Ok(answer) if answer.status == 404 => {
            Finding::wrong("Easy Auth", "is off: nobody can sign in, and names are not believed", mend)
        }
        Ok(answer) => Finding::wrong("Easy Auth", format!("/.auth/me answers {}", answer.status), mend),
        Err(silence) => {
            Finding::wrong("Easy Auth", format!("/.auth/me cannot be asked: {silence}"), "run it again")
        }
    }
}

/// Whether people can sign in with `provider` and get back to the page.
pub(super) async fn look(http: &Client, api: &Site, page: Option<&Site>, provider: &str) -> Finding {
    let Some(page) = page else {
        return Finding::not_looked_at("sign-in", "give --page, where people come back to");
    };
    let mut url = api.under(&[".auth", "login", provider]);
    // As the page asks: for a token, and to come back to where it lies.
    url.query_pairs_mut()
        .append_pair("session_mode", "token")
        .append_pair("post_login_redirect_url", page.under(&[""]).as_str());
    match ask(http.get(url)).await {
        Ok(answer) => sign_in(&answer, page, provider),
        Err(silence) => {
            Finding::wrong("sign-in", format!("with {provider} gives no answer: {silence}"), STEP)
        }
    }
}

/// Whether people get to `provider`, and from there back to the page.
fn sign_in(answer: &Answer, page: &Site, provider: &str) -> Finding {
    let wrong = |what: String, mend: &str| Finding::wrong("sign-in", what, mend);
    match (answer.status, leads_back(answer, page)) {
        (200 | 300..=399, Some(Way::Back)) => {
            Finding::ok("sign-in", format!("with {provider}, and back to {page}"))
        }
        (300..=399, Some(Way::NotShown)) => {
            Finding::ok("sign-in", format!("with {provider}; sign in once to see that you come back"))
        }
        (200 | 300..=399, Some(Way::Elsewhere)) | (400 | 403, _) => {
            let what = format!(
                "people would not come back to {page}: it is not among the allowed redirect addresses"
            );
            wrong(what, &format!("add {page} and {page}/ to Allowed external redirect URLs ({STEP})"))
        }
        (404, _) => {
            let mend =
                format!("add {provider} as an identity provider ({STEP}), or name another with --provider");
            wrong(format!("{provider} is not set up"), &mend)
        }
        (status, _) => wrong(format!("with {provider} answers {status} and leads nowhere"), STEP),
    }
}

/// Where people go once they have signed in.
enum Way {
    Back,
    Elsewhere,
    NotShown,
}

/// Where the answer to a sign-in leads in the end; `None` if it is no step of a sign-in.
fn leads_back(answer: &Answer, page: &Site) -> Option<Way> {
    let goes_back = |back: bool| if back { Way::Back } else { Way::Elsewhere };
    if answer.status == 200 {
        // The stand-in shows a page of its own, whose policy names where its form may lead.
        let policy = answer.header("content-security-policy")?;
        let (_, sources) = policy.split_once("form-action")?;
        return Some(goes_back(sources.split([' ', ';']).any(|source| source == page.origin())));
    }
    let provider = answer.header("location")?.parse::<Url>().ok()?;
    Some(returns_to(&provider, page).map_or(Way::NotShown, goes_back))
}

/// Where Easy Auth will go after sign-in is in the `state` it sends along, as `redir=`. One that shows nothing says nothing.
fn returns_to(provider: &Url, page: &Site) -> Option<bool> {
    let (_, state) = provider.query_pairs().find(|(name, _)| name == "state")?;
    let mut fields = state.split('&').filter_map(|field| field.split_once('='));
    let (_, to) = fields.find(|(name, _)| *name == "redir")?;
    let to = percent_encoding::percent_decode_str(to).decode_utf8().ok()?;
    Some(Site::parse(&to).as_ref() == Some(page))
}

/// `request`, as somebody sends it who claims to be somebody else.
pub(super) fn forge(request: RequestBuilder) -> RequestBuilder {
    request.header("x-ms-client-principal-name", FORGED).header("x-ms-client-principal-id", FORGED)
}

/// Whether a stranger got in under a name of their choice.
pub(super) fn forgery(answer: &Answer) -> Finding {
    let user = access_token(answer).and_then(|token| user_of(&token));
    match user {
        Some(user) if user == FORGED => {
            let what =
                "is believed: anyone can be anyone, since names are trusted and nobody takes forged ones off";
            let mend = format!("turn Easy Auth on ({STEP}), and set no WEBSITE_AUTH_ENABLED by hand");
            Finding::wrong("a forged name", what, mend)
        }
        _ => Finding::ok("a forged name", "is nobody's"),
    }
}

/// Who a token says its holder is.
fn user_of(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    ["asrs.s.uid", "nameid", "sub"].iter().find_map(|name| claims[*name].as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::http::answer;

    const API: &str = "https://api.example";
    const PAGE: &str = "https://page.example";

    fn site(text: &str) -> Site {
        Site::parse(text).unwrap()
    }

    fn token(claims: &Value) -> Answer {
        let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
        answer(200, &[], &json!({"url": "https://s/client/?hub=chat", "accessToken": token}))
    }

    #[test]
    fn easy_auth_is_on_where_it_answers_and_is_not_missed_under_func_start() {
        let me = |status, api| easy_auth(&Ok(answer(status, &[], &Value::Null)), &site(api));
        assert!(!me(401, API).is_wrong() && !me(200, API).is_wrong());
        assert!(me(404, API).is_wrong() && me(500, API).is_wrong());
        assert!(!me(404, "http://localhost:7071").is_wrong() && me(500, "http://localhost:7071").is_wrong());
    }

    #[test]
    fn sign_in_leads_to_the_provider_and_back_to_the_page() {
        let redirect = |state: &str| {
            let mut to = Url::parse("https://login.microsoftonline.com/authorize").unwrap();
            to.query_pairs_mut().append_pair("state", state);
            sign_in(&answer(302, &[("location", to.as_str())], &Value::Null), &site(PAGE), "aad")
        };
        assert!(!redirect("redir=https%3A%2F%2Fpage.example%2F&nonce=1").is_wrong());
        assert!(!redirect("opaque").is_wrong());
        assert!(redirect("redir=%2F.auth%2Flogin%2Fdone").is_wrong());
        assert!(redirect("redir=https%3A%2F%2Fpage.example.evil.example%2F").is_wrong());
        for status in [400, 403, 404, 500] {
            assert!(sign_in(&answer(status, &[], &Value::Null), &site(PAGE), "aad").is_wrong(), "{status}");
        }
    }

    #[test]
    fn a_forged_name_in_a_token_is_found_wherever_a_name_can_be() {
        for claim in ["asrs.s.uid", "nameid", "sub"] {
            assert!(forgery(&token(&json!({claim: FORGED}))).is_wrong(), "{claim}");
        }
        for answer in [
            token(&json!({})),
            token(&json!({"asrs.s.uid": "ann"})),
            answer(401, &[], &json!({"error": {"code": "unauthenticated"}})),
        ] {
            assert!(!forgery(&answer).is_wrong());
        }
    }
}
