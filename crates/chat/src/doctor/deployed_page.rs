//! Checks the deployed page: reachable over TLS, and with a `config.json` that the page itself accepts.

use reqwest::Client;
use serde_json::Value;

use super::http::{HttpResponse, RequestError, send};
use super::options::{Options, Site};
use super::report::{Finding, problems_or_ok};

const CONFIG: &str = "config.json";

/// The result of checking the page.
pub(super) struct Page {
    pub(super) findings: Vec<Finding>,
    /// The identity provider in its `config.json`.
    pub(super) provider: Option<String>,
}

/// Checks the page that `options` name.
pub(super) async fn check(http: &Client, options: &Options) -> Page {
    let Some(page) = &options.page else {
        let findings = vec![Finding::skipped("page", "give --page https://ACCOUNT.z6.web.core.windows.net")];
        return Page { findings, provider: None };
    };
    let (index, config) = tokio::join!(send(http.get(page.join(&[""]))), send(http.get(page.join(&[CONFIG]))));
    let index = evaluate_index(index, page);
    if index.is_problem() && config.is_err() {
        return Page { findings: vec![index], provider: None };
    }
    let config = config.ok().and_then(|response| json_object(&response));
    let provider = config.as_ref().and_then(|config| config["authProvider"].as_str()).map(str::to_owned);
    let mut findings = vec![index];
    findings.extend(evaluate_config(config.as_ref(), page, options.api.as_ref(), options.provider.as_deref()));
    Page { findings, provider }
}

fn upload_command(options: &str) -> String {
    format!("npm --prefix content run upload -- --account $page {options}")
}

fn evaluate_index(index: Result<HttpResponse, RequestError>, page: &Site) -> Finding {
    let problem = |what: String, fix: String| Finding::problem("page", what, fix);
    if page.is_unencrypted() {
        return problem(
            format!("{page} is served unencrypted, and sign-in tokens pass through it"),
            "give --page https://…, and use that address in links to the page".to_owned(),
        );
    }
    match index {
        Err(error) => {
            let fix = if page.is_local() {
                "make run"
            } else {
                "az storage account show --name $page --query primaryEndpoints.web --output tsv"
            };
            problem(format!("{page} cannot be reached: {error}"), fix.to_owned())
        }
        Ok(response) if response.status == 200 && is_html(&response) => Finding::ok("page", format!("{page} responds")),
        Ok(_) if page.is_local() => problem(format!("{page} serves no page"), "make page".to_owned()),
        Ok(response) => {
            let what = format!(
                "{page} answers {} without a page: it was not uploaded, or the static website is off",
                response.status
            );
            problem(what, upload_command("--api $apiUrl"))
        }
    }
}

fn is_html(response: &HttpResponse) -> bool {
    response.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
}

/// The JSON object in a response. A site that answers every path with its page has none.
fn json_object(response: &HttpResponse) -> Option<Value> {
    response.json().filter(|value| response.status == 200 && value.is_object())
}

/// Compares `config.json` with the `api` and `provider` given on the command line.
fn evaluate_config(config: Option<&Value>, page: &Site, api: Option<&Site>, provider: Option<&str>) -> Vec<Finding> {
    let api_option = api.map_or_else(|| "--api $apiUrl".to_owned(), |api| format!("--api {api}"));
    let problem = |what: String, option: &str| {
        let fix =
            if page.is_local() { "make page, then make run to serve it".to_owned() } else { upload_command(option) };
        Finding::problem(CONFIG, what, fix)
    };
    let Some(config) = config else {
        return vec![problem(
            "does not exist, or is not a JSON object: the page cannot find its functions".to_owned(),
            &api_option,
        )];
    };
    let page_api = config["apiBaseUrl"].as_str().and_then(Site::parse);
    let mut problems = Vec::new();
    let api_problem = match (&page_api, api) {
        (None, _) => Some("apiBaseUrl is not a web address".to_owned()),
        (Some(page_api), _) if page_api.is_unencrypted() => {
            Some(format!("apiBaseUrl is {page_api}, and the page allows http on this machine only"))
        }
        (Some(page_api), _) if page_api.is_local() && !page.is_local() => {
            Some(format!("apiBaseUrl is {page_api}: every visitor would call their own machine"))
        }
        (Some(page_api), Some(api)) if page_api != api => Some(format!("apiBaseUrl is {page_api}, and --api is {api}")),
        (Some(_), _) => None,
    };
    problems.extend(api_problem.map(|what| problem(what, &api_option)));
    let page_provider = config["authProvider"].as_str().filter(|name| is_provider(name));
    match (page_provider, provider) {
        (None, _) => {
            problems.push(problem("authProvider is not the name of a provider".to_owned(), "--provider aad"));
        }
        (Some(page_provider), Some(provider)) if page_provider != provider => {
            problems.push(problem(
                format!("authProvider is {page_provider}, and --provider is {provider}"),
                &format!("--provider {provider}"),
            ));
        }
        (Some(_), _) => {}
    }
    problems_or_ok(problems, || {
        let api = page_api.map_or_else(String::new, |api| api.to_string());
        Finding::ok(CONFIG, format!("functions at {api}, sign-in with {}", page_provider.unwrap_or_default()))
    })
}

/// Whether the page accepts `name` as a provider.
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

    fn problems(config: &Value, page: &str, api: Option<&str>, provider: Option<&str>) -> Vec<String> {
        let findings = evaluate_config(Some(config), &site(page), api.map(site).as_ref(), provider);
        findings.iter().filter(|finding| finding.is_problem()).map(|finding| format!("{finding:?}")).collect()
    }

    #[test]
    fn config_json_has_to_match_the_options() {
        let config = json!({"apiBaseUrl": "https://api.example/", "authProvider": "aad"});
        assert_eq!(problems(&config, "https://p.example", None, None), [""; 0]);
        assert_eq!(problems(&config, "https://p.example", Some("https://api.example"), Some("aad")), [""; 0]);
        assert!(
            problems(&config, "https://p.example", Some("https://other.example"), None)[0].contains("other.example")
        );
        assert!(problems(&config, "https://p.example", None, Some("github"))[0].contains("--provider github"));
    }

    #[test]
    fn an_address_that_visitors_cannot_use_is_a_problem() {
        for (address, part) in [
            ("http://localhost:7071", "their own machine"),
            ("http://api.example", "http on this machine only"),
            ("api.example", "not a web address"),
        ] {
            let config = json!({"apiBaseUrl": address, "authProvider": "aad"});
            assert!(problems(&config, "https://p.example", None, None)[0].contains(part), "{address}");
        }
        let local = json!({"apiBaseUrl": "http://localhost:7071", "authProvider": "aad"});
        assert_eq!(problems(&local, "http://localhost:5500", None, None), [""; 0]);
        assert_eq!(problems(&json!({}), "https://p.example", None, None).len(), 2);
    }

    #[test]
    fn a_page_is_html_over_https_or_on_this_machine() {
        let response = |status, kind| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(kind));
            Ok(HttpResponse { status, headers, body: Vec::new() })
        };
        let is_problem = |response, page| evaluate_index(response, &site(page)).is_problem();
        assert!(!is_problem(response(200, "text/html; charset=utf-8"), "https://p.example"));
        assert!(!is_problem(response(200, "text/html"), "http://localhost:5500"));
        assert!(is_problem(response(200, "text/html"), "http://p.example"));
        assert!(is_problem(response(200, "application/xml"), "https://p.example"));
        assert!(is_problem(response(404, "text/html"), "https://p.example"));
        assert!(is_problem(Err(RequestError::UnknownHost), "https://p.example"));
    }
}
