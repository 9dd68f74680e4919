//! The page: there, safe on its way, and told where its functions are. What it is told is judged as the page itself judges it.

use reqwest::Client;
use serde_json::Value;

use super::Options;
use super::finding::{Finding, wrongs_or_ok};
use super::http::{Answer, Silence, ask};
use super::site::Site;

const CONFIG: &str = "config.json";

/// The page, as far as it was looked at.
pub(super) struct Page {
    pub(super) findings: Vec<Finding>,
    /// Who signs people in, as its `config.json` says.
    pub(super) provider: Option<String>,
}

/// What is wrong with the page `options` name.
pub(super) async fn look(http: &Client, options: &Options) -> Page {
    let Some(page) = &options.page else {
        let findings =
            vec![Finding::not_looked_at("page", "give --page https://ACCOUNT.z6.web.core.windows.net")];
        return Page { findings, provider: None };
    };
    let (index, config) =
        tokio::join!(ask(http.get(page.under(&[""]))), ask(http.get(page.under(&[CONFIG]))));
    let mut findings = index_document(index, page);
    if findings.iter().any(Finding::is_wrong) && config.is_err() {
        return Page { findings, provider: None };
    }
    let said = config.ok().and_then(|answer| read(&answer));
    let provider = said.as_ref().and_then(|said| said["authProvider"].as_str()).map(str::to_owned);
    findings.extend(judge(said.as_ref(), page, options.api.as_ref(), options.provider.as_deref()));
    Page { findings, provider }
}

fn upload(options: &str) -> String {
    format!("npm --prefix content run upload -- --account $page {options}")
}

fn index_document(index: Result<Answer, Silence>, page: &Site) -> Vec<Finding> {
    let wrong = |what: String, mend: String| vec![Finding::wrong("page", what, mend)];
    if page.is_in_clear() {
        return wrong(
            format!("{page} is served in clear, and sign-in tokens pass through it"),
            "give --page https://…, and point people there".to_owned(),
        );
    }
    match index {
        Err(silence) if page.is_local() => {
            wrong(format!("{page} cannot be reached: {silence}"), "make run".to_owned())
        }
        Err(silence) => {
            let mend = "az storage account show --name $page --query primaryEndpoints.web --output tsv";
            wrong(format!("{page} cannot be reached: {silence}"), mend.to_owned())
        }
        Ok(answer) if answer.status == 200 && is_html(&answer) => {
            vec![Finding::ok("page", format!("{page} is there"))]
        }
        Ok(_) if page.is_local() => wrong(format!("{page} shows no page"), "make page".to_owned()),
        Ok(answer) => {
            let what = format!(
                "{page} answers {} and no page: it was not uploaded, or the static website is off",
                answer.status
            );
            wrong(what, upload("--api $apiUrl"))
        }
    }
}

fn is_html(answer: &Answer) -> bool {
    answer.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
}

/// The object in `config.json`; a site that answers every path with its page has none.
fn read(answer: &Answer) -> Option<Value> {
    answer.json().filter(|value| answer.status == 200 && value.is_object())
}

/// What is wrong with what `config.json` says, to a person who gave `api` and `provider`.
fn judge(said: Option<&Value>, page: &Site, api: Option<&Site>, provider: Option<&str>) -> Vec<Finding> {
    let better = api.map_or_else(|| "--api $apiUrl".to_owned(), |api| format!("--api {api}"));
    let wrong = |what: String, option: &str| {
        let mend =
            if page.is_local() { "make page, and let make run serve it".to_owned() } else { upload(option) };
        Finding::wrong(CONFIG, what, mend)
    };
    let Some(said) = said else {
        return vec![wrong(
            "is not there, or is no JSON object: the page cannot know where its functions are".to_owned(),
            &better,
        )];
    };
    let named = said["apiBaseUrl"].as_str().and_then(Site::parse);
    let mut wrongs = Vec::new();
    match (&named, api) {
        (None, _) => wrongs.push(wrong("apiBaseUrl is no web address".to_owned(), &better)),
        (Some(named), _) if named.is_in_clear() => {
            wrongs.push(wrong(
                format!("apiBaseUrl is {named}, and the page itself allows http on this machine only"),
                &better,
            ));
        }
        (Some(named), _) if named.is_local() && !page.is_local() => {
            wrongs.push(wrong(
                format!("apiBaseUrl is {named}: every visitor would ask their own machine"),
                &better,
            ));
        }
        (Some(named), Some(api)) if named != api => {
            wrongs.push(wrong(format!("apiBaseUrl is {named}, and --api is {api}"), &better));
        }
        (Some(_), _) => {}
    }
    let of_page = said["authProvider"].as_str().filter(|name| is_provider(name));
    match (of_page, provider) {
        (None, _) => wrongs.push(wrong("authProvider is no name of a provider".to_owned(), "--provider aad")),
        (Some(of_page), Some(provider)) if of_page != provider => {
            wrongs.push(wrong(
                format!("authProvider is {of_page}, and --provider is {provider}"),
                &format!("--provider {provider}"),
            ));
        }
        (Some(_), _) => {}
    }
    wrongs_or_ok(wrongs, || {
        let (api, provider) =
            (named.map_or_else(String::new, |named| named.to_string()), of_page.unwrap_or_default());
        Finding::ok(CONFIG, format!("functions at {api}, sign-in with {provider}"))
    })
}

/// The page takes these, too.
fn is_provider(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;

    fn site(text: &str) -> Site {
        Site::parse(text).unwrap()
    }

    fn wrongs(said: &Value, page: &str, api: Option<&str>, provider: Option<&str>) -> Vec<String> {
        let findings = judge(Some(said), &site(page), api.map(site).as_ref(), provider);
        findings.iter().filter(|finding| finding.is_wrong()).map(|finding| format!("{finding:?}")).collect()
    }

    #[test]
    fn what_the_page_is_told_has_to_be_what_was_meant() {
        let said = json!({"apiBaseUrl": "https://api.example/", "authProvider": "aad"});
        assert_eq!(wrongs(&said, "https://p.example", None, None), [""; 0]);
        assert_eq!(wrongs(&said, "https://p.example", Some("https://api.example"), Some("aad")), [""; 0]);
        assert!(
            wrongs(&said, "https://p.example", Some("https://other.example"), None)[0]
                .contains("other.example")
        );
        assert!(wrongs(&said, "https://p.example", None, Some("github"))[0].contains("--provider github"));
    }

    #[test]
    fn addresses_nobody_else_can_use_and_no_addresses_are_wrong() {
        for (address, part) in [
            ("http://localhost:7071", "their own machine"),
            ("http://api.example", "http on this machine only"),
            ("api.example", "no web address"),
        ] {
            let said = json!({"apiBaseUrl": address, "authProvider": "aad"});
            assert!(wrongs(&said, "https://p.example", None, None)[0].contains(part), "{address}");
        }
        let local = json!({"apiBaseUrl": "http://localhost:7071", "authProvider": "aad"});
        assert_eq!(wrongs(&local, "http://localhost:5500", None, None), [""; 0]);
        assert_eq!(wrongs(&json!({}), "https://p.example", None, None).len(), 2);
    }

    #[test]
    fn a_page_is_html_over_https_or_on_this_machine() {
        let answer = |status, kind| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(kind));
            Ok(Answer { status, headers, body: Vec::new() })
        };
        let is_wrong = |answer, page| index_document(answer, &site(page))[0].is_wrong();
        assert!(!is_wrong(answer(200, "text/html; charset=utf-8"), "https://p.example"));
        assert!(!is_wrong(answer(200, "text/html"), "http://localhost:5500"));
        assert!(is_wrong(answer(200, "text/html"), "http://p.example"));
        assert!(is_wrong(answer(200, "application/xml"), "https://p.example"));
        assert!(is_wrong(answer(404, "text/html"), "https://p.example"));
        assert!(is_wrong(Err(Silence::NoSuchName), "https://p.example"));
    }
}
