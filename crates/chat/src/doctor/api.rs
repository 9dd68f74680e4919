//! The functions as they are deployed: there, set up, and open to the page but to no other.
//!
//! Everything is asked from outside, as a browser or a stranger would; that is all a judgement here can know.

use reqwest::{Client, Url};

use super::Options;
use super::cors::{Admission, STRANGER, admission, preflight};
use super::finding::Finding;
use super::http::{Answer, Silence, ask};
use super::negotiation::access_token;
use super::settings::TOLD;
use super::sign_in;
use super::site::Site;

/// The header that carries a person's session, and that a preflight therefore asks for.
const SESSION: &str = "x-zumo-auth";

/// The package, sent again.
const DEPLOY: &str = "make package && az functionapp deployment source config-zip --name $api --resource-group $group --src target/package/handler.zip";

/// What is wrong with the functions `options` name, where `provider` signs people in.
pub(super) async fn look(http: &Client, options: &Options, provider: &str) -> Vec<Finding> {
    let Some(api) = &options.api else {
        return vec![Finding::not_looked_at("functions", "give --api https://APP.azurewebsites.net")];
    };
    if api.is_in_clear() {
        let what = format!("{api} is asked in clear, and sign-in tokens go there");
        return vec![Finding::wrong("functions", what, "give --api https://…")];
    }
    let url = api.under(&["api", "negotiate"]);
    let answer = match ask(http.post(url.clone())).await {
        Ok(answer) => answer,
        Err(silence) => return vec![unreachable(api, silence)],
    };
    let answered = negotiate(&answer, api);
    let is_there = !answered.is_wrong() || matches!(answer.status, 300..=399 | 401 | 403);
    if !is_there {
        return vec![answered];
    }
    let (cors, me, signed_in, forged) = tokio::join!(
        look_at_cors(http, &url, options.page.as_ref()),
        ask(http.get(api.under(&[".auth", "me"]))),
        sign_in::look(http, api, options.page.as_ref(), provider),
        ask(sign_in::forge(http.post(url.clone()))),
    );
    let mut findings = vec![answered];
    findings.extend(cors);
    findings.push(sign_in::easy_auth(&me, api));
    let off = || Finding::not_looked_at("sign-in", "first Easy Auth has to be on");
    findings.push(if sign_in::is_on(&me) { signed_in } else { off() });
    findings
        .push(forged.map_or_else(|silence| unreachable(api, silence), |answer| sign_in::forgery(&answer)));
    findings
}

fn unreachable(api: &Site, silence: Silence) -> Finding {
    let what = format!("{api} cannot be reached: {silence}");
    let mend = match silence {
        _ if api.is_local() => "make run",
        Silence::TooSlow => DEPLOY,
        _ => {
            "az functionapp show --name $api --resource-group $group --query \"{state: state, host: defaultHostName}\""
        }
    };
    Finding::wrong("functions", what, mend)
}

/// The code of the error in an answer of ours.
fn code(answer: &Answer) -> Option<String> {
    answer.json()?["error"]["code"].as_str().map(str::to_owned)
}

/// What the answer to a plain `POST /api/negotiate` says about all that is in front of the handler, and about the handler.
fn negotiate(answer: &Answer, api: &Site) -> Finding {
    let wrong = |what: &str, mend: &str| Finding::wrong("negotiate", what, mend);
    let restricted =
        "in the portal, function app, Authentication, Restrict access: Allow unauthenticated access";
    match (answer.status, code(answer).as_deref()) {
        (200, _) if access_token(answer).is_some() => Finding::ok("negotiate", "lets guests in"),
        (401, Some("unauthenticated")) => Finding::ok("negotiate", "asks people to sign in"),
        (300..=399, _) if leads_to_https(answer, api) => wrong("redirects to https", "give --api https://…"),
        (300..=399, _) => {
            wrong("redirects, which `fetch` cannot follow: browsers report a CORS error", restricted)
        }
        (401 | 403, None) if answer.header("www-authenticate").is_some() || answer.status == 403 => {
            wrong("App Service refuses whoever has not signed in, before the handler can say so", restricted)
        }
        (401, _) => wrong(
            "the host wants a function key, which the page has not",
            "set \"authLevel\": \"anonymous\" in negotiate/function.json, then deploy",
        ),
        (404 | 405, _) => wrong("no functions are deployed there, or under another route prefix", DEPLOY),
        (429, _) => wrong("too many calls for the plan or the service", "docs/scale.md"),
        (500, Some("not_forwarded")) => wrong(
            "the host sends envelopes instead of requests",
            "set customHandler.enableForwardingHttpRequest to true in host.json, then deploy",
        ),
        (503, Some("not_configured")) => not_configured(answer, api),
        (502..=504, Some(_)) => wrong(
            "the handler cannot use the service: its identity lacks a role, or has had it for minutes only, or keys are switched off",
            "docs/deploy.md, steps 4 and 5; then wait ten minutes",
        ),
        (503, None) => {
            wrong("the host is not running", "az functionapp start --name $api --resource-group $group")
        }
        (500.., _) => {
            wrong("the host cannot start the handler: not executable, or built for another system", DEPLOY)
        }
        (status, _) => Finding::wrong(
            "negotiate",
            format!("what answers at {api} are not these functions: {status}"),
            "give the function app's address as --api",
        ),
    }
}

fn leads_to_https(answer: &Answer, api: &Site) -> bool {
    let location = answer.header("location").and_then(Site::parse);
    location.is_some_and(|to| {
        to.origin().starts_with("https:") && !api.origin().starts_with("https:") && host(&to) == host(api)
    })
}

fn host(site: &Site) -> Option<String> {
    site.under(&[]).host_str().map(str::to_owned)
}

/// The handler names what is missing; only names we know are repeated.
fn not_configured(answer: &Answer, api: &Site) -> Finding {
    let told = answer
        .json()
        .and_then(|body| body["error"]["message"].as_str().map(str::to_owned))
        .unwrap_or_default();
    let words: Vec<_> = told.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    let names: Vec<_> = TOLD.into_iter().filter(|name| words.contains(name)).collect();
    let what = format!("settings of the app are missing or cannot be used: {}", names.join(", "));
    let first = names.first().copied().unwrap_or("NAME");
    let mend = if api.is_local() {
        format!("set {first} under Values in local.settings.json")
    } else {
        format!(
            "az functionapp config appsettings set --name $api --resource-group $group --settings \"{first}=…\""
        )
    };
    Finding::wrong("negotiate", what, mend)
}

/// Whether a browser lets the page call the functions, and no other page.
async fn look_at_cors(http: &Client, url: &Url, page: Option<&Site>) -> Vec<Finding> {
    let Some(page) = page else {
        return vec![Finding::not_looked_at("CORS", "give --page, whose origin it is about")];
    };
    let origin = page.origin();
    let admitted = async |origin: &str| {
        let answer = ask(preflight(http, url.clone(), origin, SESSION)).await?;
        Ok::<_, Silence>(admission(&answer.headers, origin, SESSION))
    };
    let (own, strangers) = tokio::join!(admitted(&origin), admitted(STRANGER));
    match (own, strangers) {
        (Ok(own), Ok(strangers)) => vec![cors(&own, &strangers, &origin)],
        (Err(silence), _) | (_, Err(silence)) => {
            vec![Finding::wrong("CORS", format!("cannot be asked: {silence}"), "run it again")]
        }
    }
}

fn cors(own: &Admission, strangers: &Admission, origin: &str) -> Finding {
    let line = |verb: &str, origin: &str| {
        format!(
            "az functionapp cors {verb} --name $api --resource-group $group --allowed-origins \"{origin}\""
        )
    };
    let wrong = |what: String, mend: String| Finding::wrong("CORS", what, mend);
    let everybody = || {
        let mend = format!("{} && {}", line("remove", "*"), line("add", origin));
        wrong("lets every page of the web in; only the page's own origin is wanted".to_owned(), mend)
    };
    match (own, strangers) {
        (Admission::Everybody, _) | (Admission::ByName, Admission::Everybody | Admission::ByName) => {
            everybody()
        }
        (Admission::ByName, _) => Finding::ok("CORS", format!("lets {origin} in, and no other page")),
        (Admission::Refused, _) => wrong(format!("does not let {origin} in"), line("add", origin)),
        (Admission::OtherSpelling, _) => {
            let what = format!(
                "lists the page with a slash at its end or in capitals; browsers send {origin} and compare letter by letter"
            );
            wrong(what, line("add", origin))
        }
        (Admission::Twice, _) => {
            let what = "Access-Control-Allow-Origin is there more than once, which browsers take for none";
            wrong(
                what.to_owned(),
                "let only the platform send CORS headers: take them out of whatever else does".to_owned(),
            )
        }
        (Admission::HeaderRefused(header), _) => wrong(
            format!("the page may not send the header {header}, with which people are signed in"),
            line("add", origin),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::doctor::http::answer;

    const API: &str = "https://api.example";
    const PAGE: &str = "https://page.example";

    fn site(text: &str) -> Site {
        Site::parse(text).unwrap()
    }

    fn error(status: u16, code: &str, message: &str) -> Answer {
        answer(status, &[], &json!({"error": {"code": code, "message": message}}))
    }

    fn access() -> Answer {
        answer(200, &[], &json!({"url": "https://s/client/?hub=chat", "accessToken": "h.p.s"}))
    }

    #[test]
    fn negotiate_is_well_where_guests_come_in_and_where_people_have_to_sign_in() {
        for answer in [access(), error(401, "unauthenticated", "Sign in.")] {
            assert!(!negotiate(&answer, &site(API)).is_wrong(), "{answer:?}");
        }
    }

    #[test]
    fn every_other_answer_of_negotiate_has_a_cause_and_a_cure() {
        let nothing = Value::Null;
        for (answer, cause) in [
            (
                answer(302, &[("location", "https://login.microsoftonline.com/x")], &nothing),
                "redirects, which",
            ),
            (answer(401, &[("www-authenticate", "Bearer realm=\"x\"")], &nothing), "App Service refuses"),
            (answer(403, &[], &nothing), "App Service refuses"),
            (answer(401, &[], &nothing), "function key"),
            (answer(404, &[], &nothing), "no functions are deployed"),
            (answer(429, &[], &nothing), "too many calls"),
            (error(500, "not_forwarded", "x"), "envelopes"),
            (answer(500, &[], &nothing), "cannot start the handler"),
            (error(502, "upstream_rejected", "x"), "cannot use the service"),
            (error(503, "unavailable", "x"), "cannot use the service"),
            (
                error(503, "not_configured", "Set AzureSignalRHubName in the app's settings."),
                "AzureSignalRHubName",
            ),
            (answer(503, &[], &nothing), "the host is not running"),
            (answer(200, &[], &json!({"hello": 1})), "not these functions"),
        ] {
            let told = negotiate(&answer, &site(API));
            assert!(told.is_wrong() && format!("{told:?}").contains(cause), "{cause}: {told:?}");
        }
    }

    #[test]
    fn a_redirect_to_https_is_the_arguments_mistake() {
        let answer = answer(307, &[("location", "https://localhost/api/negotiate")], &Value::Null);
        assert!(format!("{:?}", negotiate(&answer, &site("http://localhost"))).contains("give --api https"));
    }

    #[test]
    fn of_a_message_only_names_of_settings_are_repeated() {
        let told = error(
            503,
            "not_configured",
            "Set hush, AzureSignalRConnectionString__serviceUri and ChatAllowAnonymous=hush.",
        );
        let told = format!("{:?}", negotiate(&told, &site(API)));
        assert!(
            told.contains("AzureSignalRConnectionString__serviceUri, ChatAllowAnonymous")
                && !told.contains("hush"),
            "{told}"
        );
        assert!(!told.contains("AzureSignalRConnectionString,"), "{told}");
    }

    #[test]
    fn cors_is_for_the_page_and_for_nobody_else() {
        use Admission::{ByName, Everybody, HeaderRefused, OtherSpelling, Refused, Twice};
        assert!(!cors(&ByName, &Refused, PAGE).is_wrong());
        for (own, strangers) in [
            (Everybody, Everybody),
            (ByName, ByName),
            (Refused, Refused),
            (OtherSpelling, Refused),
            (Twice, Refused),
            (HeaderRefused(SESSION), Refused),
        ] {
            assert!(cors(&own, &strangers, PAGE).is_wrong(), "{own:?} {strangers:?}");
        }
    }
}
