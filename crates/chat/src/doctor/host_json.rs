//! Checks `host.json`: the host must start the handler and forward requests to it unchanged.
//!
//! The rules are those of Azure Functions 4 (`HttpWorkerOptionsSetup` and `DefaultHttpWorkerService` of Azure/azure-functions-host).
//! The host reports few of these mistakes: it falls back to its JSON protocol, or starts nothing.

use serde_json::Value;
use serverless_chat::config::{DEFAULT_ROUTE_PREFIX, ROUTE_PREFIX};

use super::files::{is_true, json_at, parse_json};
use super::report::{Finding, problems_or_ok};

/// The name of the file.
pub(super) const FILE: &str = "host.json";

/// The setting that overrides the executable in the file.
pub(super) const EXECUTABLE_SETTING: &str = "AzureFunctionsJobHost__customHandler__description__defaultExecutablePath";

const EXECUTABLE_PATH: [&str; 3] = ["customHandler", "description", "defaultExecutablePath"];

/// Checks the text of a `host.json`; `prefix` is the setting that overrides its `routePrefix`.
pub(super) fn check(text: &str, prefix: Option<&str>) -> Vec<Finding> {
    let host = match parse_json(text) {
        Ok(host) => host,
        Err(reason) => return vec![problem(reason, "git restore host.json")],
    };
    let unwanted = |path: &[&str], what| {
        json_at(&host, path).map(|_| problem(what, format!("remove customHandler.{} from host.json", path[1])))
    };
    let problems = [
        check_version(&host),
        check_handler(&host),
        unwanted(
            &["customHandler", "http", "routes"],
            "has routes beside the function folders; the host does not start with both",
        ),
        unwanted(&["customHandler", "port"], "fixes the handler's port, so a second host on this machine cannot start"),
        check_forwarding(&host),
        check_route_prefix(&host, prefix),
    ];
    problems_or_ok(problems.into_iter().flatten().collect(), || {
        let name = executable_path(text).unwrap_or_default();
        Finding::ok(FILE, format!("starts `{name}` and forwards requests to it"))
    })
}

fn problem(what: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::problem(FILE, what, fix)
}

/// The finding where there is no `host.json`.
pub(super) fn missing(folder: &str) -> Finding {
    let what = format!("there is none in {folder}, so this is not a function app");
    problem(what, "run the doctor in the project's folder, or give that as --folder")
}

/// The path of the file that the host starts.
pub(super) fn executable_path(text: &str) -> Option<String> {
    let host = parse_json(text).ok()?;
    json_at(&host, &EXECUTABLE_PATH)?.as_str().filter(|path| !path.is_empty()).map(str::to_owned)
}

fn check_version(host: &Value) -> Option<Finding> {
    let is_valid = json_at(host, &["version"]).and_then(Value::as_str) == Some("2.0");
    let what = "without version \"2.0\" the host does not start";
    (!is_valid).then(|| problem(what, "set \"version\": \"2.0\" in host.json"))
}

fn check_handler(host: &Value) -> Option<Finding> {
    if json_at(host, &["customHandler"]).is_none() {
        let what = "has no `customHandler`: the host fails with \"WorkerConfig for runtime: custom not found\"";
        return Some(problem(what, "git restore host.json"));
    }
    let path = json_at(host, &EXECUTABLE_PATH).and_then(Value::as_str).unwrap_or_default();
    let fix = "set customHandler.description.defaultExecutablePath to \"handler\" in host.json";
    if path.is_empty() {
        let what = "does not say what to start: customHandler.description.defaultExecutablePath is empty";
        return Some(problem(what, fix));
    }
    let what = "`func` makes only the file executable whose path in the package equals defaultExecutablePath exactly: no `./`, no `\\`";
    (path.starts_with("./") || path.contains('\\')).then(|| problem(what, fix))
}

fn check_forwarding(host: &Value) -> Option<Finding> {
    let switch = |name| json_at(host, &["customHandler", name]);
    // Without a handler nothing is forwarded; that is another finding.
    let _ = json_at(host, &["customHandler"])?;
    if is_true(switch("enableForwardingHttpRequest")) || is_true(switch("enableProxyingHttpRequest")) {
        return None;
    }
    let fix = "set customHandler.enableForwardingHttpRequest to true in host.json";
    let what = match switch("enableHttpProxyingRequest") {
        Some(_) => {
            "`enableHttpProxyingRequest` is not a setting; it is `enableProxyingHttpRequest`, and neither that nor forwarding is on"
        }
        None => "does not forward requests: the handler gets JSON envelopes, and answers not_forwarded",
    };
    Some(problem(what, fix))
}

/// The handler reads the prefix from the setting only; for the host the setting overrides the file.
fn check_route_prefix(host: &Value, setting: Option<&str>) -> Option<Finding> {
    let of_file = json_at(host, &["extensions", "http", "routePrefix"]).and_then(Value::as_str);
    let trimmed = |prefix: &str| prefix.trim_matches('/').to_ascii_lowercase();
    let of_handler = trimmed(setting.unwrap_or(DEFAULT_ROUTE_PREFIX));
    let of_host = trimmed(setting.or(of_file).unwrap_or(DEFAULT_ROUTE_PREFIX));
    (of_host != of_handler).then(|| {
        let what = format!("routePrefix is not `{of_handler}`, which handler and page use");
        let fix = format!(
            "set extensions.http.routePrefix to \"api\" in host.json, or change it by the setting {ROUTE_PREFIX}"
        );
        problem(what, fix)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = include_str!("../../../../host.json");

    fn has_problem(text: &str, part: &str) {
        let findings = check(text, None);
        assert!(findings.iter().all(Finding::is_problem), "{findings:?}");
        assert!(format!("{findings:?}").contains(part), "{part} in {findings:?}");
    }

    #[test]
    fn the_file_of_this_repository_has_no_problem() {
        assert!(!check(VALID, None)[0].is_problem());
        assert_eq!(executable_path(VALID).unwrap(), "handler");
    }

    #[test]
    fn one_of_the_two_forwarding_switches_is_enough_also_as_text() {
        for line in ["    \"enableForwardingHttpRequest\": true,\n", ",\n    \"enableProxyingHttpRequest\": true"] {
            assert!(VALID.contains(line.trim()), "{line}");
            assert!(!check(&VALID.replace(line, ""), None)[0].is_problem(), "{line}");
        }
        assert!(!check(&VALID.replace("Request\": true", "Request\": \"True\""), None)[0].is_problem());
        has_problem(&VALID.replace("Request\": true", "Request\": false"), "not_forwarded");
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let text = r#"{"version":"3.0","customHandler":{"port":1,"http":{"routes":[]},"description":{}}}"#;
        assert_eq!(check(text, None).len(), 5);
    }

    #[test]
    fn a_prefix_in_the_file_alone_is_unknown_to_the_handler() {
        let moved = VALID.replace("\"api\"", "\"v2\"");
        has_problem(&moved, "routePrefix");
        assert!(!check(&moved, Some("v2"))[0].is_problem());
        assert!(!check(VALID, Some("v2"))[0].is_problem());
    }
}
