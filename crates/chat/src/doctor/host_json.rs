//! `host.json`: whether the host starts the handler, and hands it requests instead of envelopes.
//!
//! The rules are those of Azure Functions 4 (`HttpWorkerOptionsSetup` and `DefaultHttpWorkerService` of Azure/azure-functions-host).
//! Most mistakes here are silent: the host falls back to its JSON protocol, or to nothing.

use serde_json::Value;

use super::finding::{Finding, wrongs_or_ok};
use super::json::{at, is_on, parse};
use serverless_chat::config::{DEFAULT_ROUTE_PREFIX, ROUTE_PREFIX};

const FILE: &str = "host.json";
const DESCRIPTION: [&str; 3] = ["customHandler", "description", "defaultExecutablePath"];

/// What is wrong with the text of a `host.json`; `prefix` is the setting that overrides its `routePrefix`.
pub(super) fn judge(text: &str, prefix: Option<&str>) -> Vec<Finding> {
    let host = match parse(text) {
        Ok(host) => host,
        Err(reason) => return vec![Finding::wrong(FILE, reason, "git restore host.json")],
    };
    let judged = [
        version(&host),
        handler(&host),
        routes(&host),
        port(&host),
        forwarding(&host),
        route_prefix(&host, prefix),
    ];
    wrongs_or_ok(judged.into_iter().flatten().collect(), || {
        let name = executable(text).unwrap_or_default();
        Finding::ok(FILE, format!("starts `{name}` and forwards requests to it"))
    })
}

/// There is no `host.json`.
pub(super) fn missing(folder: &str) -> Finding {
    let what = format!("there is none in {folder}, so this is no function app");
    Finding::wrong(FILE, what, "run it in the project's folder, or name that with --folder")
}

/// The file the host starts, as `text` says.
pub(super) fn executable(text: &str) -> Option<String> {
    let host = parse(text).ok()?;
    at(&host, &DESCRIPTION)?.as_str().filter(|path| !path.is_empty()).map(str::to_owned)
}

fn version(host: &Value) -> Option<Finding> {
    let right = at(host, &["version"]).and_then(Value::as_str) == Some("2.0");
    (!right).then(|| {
        Finding::wrong(
            FILE,
            "without version \"2.0\" the host does not start",
            "set \"version\": \"2.0\" in host.json",
        )
    })
}

fn handler(host: &Value) -> Option<Finding> {
    if at(host, &["customHandler"]).is_none() {
        let what = "has no `customHandler`: the host says \"WorkerConfig for runtime: custom not found\"";
        return Some(Finding::wrong(FILE, what, "git restore host.json"));
    }
    let path = at(host, &DESCRIPTION).and_then(Value::as_str).unwrap_or_default();
    let mend = "set customHandler.description.defaultExecutablePath to \"handler\" in host.json";
    if path.is_empty() {
        let what = "does not say what to start: customHandler.description.defaultExecutablePath is empty";
        return Some(Finding::wrong(FILE, what, mend));
    }
    let what = "`func` makes only that file executable whose path in the package is defaultExecutablePath, letter by letter: no `./`, no `\\`";
    (path.starts_with("./") || path.contains('\\')).then(|| Finding::wrong(FILE, what, mend))
}

fn routes(host: &Value) -> Option<Finding> {
    let what =
        "has routes in customHandler.http beside the function folders; the host does not start with both";
    at(host, &["customHandler", "http", "routes"])
        .map(|_| Finding::wrong(FILE, what, "take customHandler.http out of host.json"))
}

fn port(host: &Value) -> Option<Finding> {
    let what = "fixes the handler's port, on which two hosts of one machine would collide";
    at(host, &["customHandler", "port"])
        .map(|_| Finding::wrong(FILE, what, "take customHandler.port out of host.json"))
}

fn forwarding(host: &Value) -> Option<Finding> {
    let switch = |name| at(host, &["customHandler", name]);
    // Without a handler there is nothing to forward to, and that has been told.
    let _ = at(host, &["customHandler"])?;
    if is_on(switch("enableForwardingHttpRequest")) || is_on(switch("enableProxyingHttpRequest")) {
        return None;
    }
    let mend = "set customHandler.enableForwardingHttpRequest to true in host.json";
    let what = match switch("enableHttpProxyingRequest") {
        Some(_) => {
            "`enableHttpProxyingRequest` is no setting; it is `enableProxyingHttpRequest`, and neither that nor forwarding is on"
        }
        None => "does not forward requests: the handler would get envelopes, and answers not_forwarded",
    };
    Some(Finding::wrong(FILE, what, mend))
}

/// The handler learns of another prefix from the setting alone.
fn route_prefix(host: &Value, setting: Option<&str>) -> Option<Finding> {
    let of_file = at(host, &["extensions", "http", "routePrefix"]).and_then(Value::as_str);
    let trimmed = |prefix: &str| prefix.trim_matches('/').to_ascii_lowercase();
    let of_handler = trimmed(setting.unwrap_or(DEFAULT_ROUTE_PREFIX));
    // The setting overrides the file for the host, too.
    let of_host = trimmed(setting.or(of_file).unwrap_or(DEFAULT_ROUTE_PREFIX));
    (of_host != of_handler).then(|| {
        let what = format!("routePrefix is not `{of_handler}`, which is where handler and page look");
        let mend = format!("set extensions.http.routePrefix to \"api\" in host.json, or change it by the setting {ROUTE_PREFIX}");
        Finding::wrong(FILE, what, mend)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../../../host.json");

    fn wrong(text: &str, part: &str) {
        let told = judge(text, None);
        assert!(told.iter().all(Finding::is_wrong), "{told:?}");
        assert!(format!("{told:?}").contains(part), "{part} in {told:?}");
    }

    #[test]
    fn the_file_of_this_repository_is_fine() {
        assert!(!judge(GOOD, None)[0].is_wrong());
        assert_eq!(executable(GOOD).unwrap(), "handler");
    }

    #[test]
    fn one_of_the_two_ways_to_forward_is_enough_also_as_text() {
        for line in
            ["    \"enableForwardingHttpRequest\": true,\n", ",\n    \"enableProxyingHttpRequest\": true"]
        {
            assert!(GOOD.contains(line.trim()), "{line}");
            assert!(!judge(&GOOD.replace(line, ""), None)[0].is_wrong(), "{line}");
        }
        assert!(!judge(&GOOD.replace("Request\": true", "Request\": \"True\""), None)[0].is_wrong());
        wrong(&GOOD.replace("Request\": true", "Request\": false"), "not_forwarded");
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let text = r#"{"version":"3.0","customHandler":{"port":1,"http":{"routes":[]},"description":{}}}"#;
        assert_eq!(judge(text, None).len(), 5);
    }

    #[test]
    fn a_prefix_by_the_setting_is_known_to_both_and_one_by_the_file_only_to_the_host() {
        let moved = GOOD.replace("\"api\"", "\"v2\"");
        wrong(&moved, "routePrefix");
        assert!(!judge(&moved, Some("v2"))[0].is_wrong());
        assert!(!judge(GOOD, Some("v2"))[0].is_wrong());
    }
}
