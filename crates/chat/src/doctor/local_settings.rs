//! Checks `local.settings.json` as `func start` reads it.
//!
//! Findings name the settings under `Values`, never their values.

use serde_json::Value;

use super::files::{json_at, parse_json};
use super::report::Finding;

/// The setting for the language of the functions.
const RUNTIME: &str = "FUNCTIONS_WORKER_RUNTIME";

/// Names that `func` sets itself; with one of them in the file it does not start.
const RESERVED: [&str; 3] = ["WEBSITE_HOSTNAME", "AzureWebJobsScriptRoot", "CONTAINER_NAME"];

/// Names and values.
pub(super) type Values = Vec<(String, String)>;

/// Reads the settings under `Values` and checks the file called `name`. A file that is not JSON has no values.
pub(super) fn check(name: &str, text: &str) -> (Option<Values>, Vec<Finding>) {
    let problem = |what: String, fix: String| Finding::problem(name, what, fix);
    let file = match parse_json(text) {
        Ok(file) => file,
        Err(reason) => {
            let fix = format!("cp local.settings.json.example {name}, and set your values again");
            return (None, vec![problem(reason, fix)]);
        }
    };
    let mut findings = Vec::new();
    if json_at(&file, &["IsEncrypted"]) != Some(&Value::Bool(false)) {
        let what = "lacks \"IsEncrypted\": false, so `func` fails with \"Failed to decrypt settings\"";
        findings.push(problem(what.to_owned(), format!("set \"IsEncrypted\": false in {name}")));
    }
    let (values, not_text) = values(&file);
    if !not_text.is_empty() {
        let what = format!("{} is not text, so `func` ignores the whole file", not_text.join(", "));
        findings.push(problem(what, format!("put quotes around the value under Values in {name}")));
    }
    let value_of =
        |wanted: &str| values.iter().find(|(known, _)| known.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    if value_of(RUNTIME).is_none_or(|runtime| !runtime.eq_ignore_ascii_case("custom")) {
        let what = format!("{RUNTIME} is not `custom`, so `func` asks for a language or starts another one's worker");
        findings.push(problem(what, format!("set \"{RUNTIME}\": \"custom\" under Values in {name}")));
    }
    for reserved in RESERVED.iter().filter(|reserved| value_of(reserved).is_some()) {
        let what = format!("{reserved} under Values keeps `func` from starting, because `func` sets it");
        findings.push(problem(what, format!("remove {reserved} from {name}")));
    }
    findings.extend(check_cors(&file).map(|(what, fix)| problem(what.to_owned(), format!("{fix} in {name}"))));
    (Some(values), findings)
}

/// The settings, and the names of those that are not text.
fn values(file: &Value) -> (Values, Vec<String>) {
    let (mut values, mut not_text) = (Vec::new(), Vec::new());
    for (name, value) in json_at(file, &["Values"]).and_then(Value::as_object).into_iter().flatten() {
        match value {
            Value::String(text) => values.push((name.clone(), text.clone())),
            Value::Null => {}
            _ => not_text.push(name.clone()),
        }
    }
    (values, not_text)
}

/// `func` splits the list at commas and compares each part with `Origin` byte by byte.
fn check_cors(file: &Value) -> Option<(&'static str, &'static str)> {
    let origins = json_at(file, &["Host", "CORS"]).and_then(Value::as_str)?;
    let credentials = json_at(file, &["Host", "CORSCredentials"]) == Some(&Value::Bool(true));
    let fix = "set Host.CORS to \"http://localhost:5500,http://127.0.0.1:5500\"";
    if origins.contains(char::is_whitespace) {
        return Some(("Host.CORS contains spaces, which `func` takes for parts of origins", fix));
    }
    if origins.split(',').any(|origin| origin.ends_with('/')) {
        return Some(("Host.CORS has an origin with a slash at its end, which no browser sends", fix));
    }
    (origins == "*" && credentials)
        .then_some(("Host.CORS is `*` with CORSCredentials, with which `func` does not start", fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../../local.settings.json.example");

    fn names_in_the_example() -> usize {
        let example: Value = serde_json::from_str(EXAMPLE).unwrap();
        example["Values"].as_object().unwrap().len()
    }

    #[test]
    fn the_example_has_no_problem_and_is_read_whole() {
        let (values, findings) = check("f", EXAMPLE);
        assert_eq!(findings, []);
        assert_eq!(values.unwrap().len(), names_in_the_example());
    }

    #[test]
    fn a_value_that_is_not_text_is_named_and_the_others_are_read() {
        let (values, findings) = check("f", &EXAMPLE.replacen("\"true\"", "[\"hush\"]", 1));
        assert_eq!((values.unwrap().len(), findings.len()), (names_in_the_example() - 1, 1));
        let printed = format!("{findings:?}");
        assert!(printed.contains("ChatAllowAnonymous") && !printed.contains("hush"), "{printed}");
    }

    #[test]
    fn each_mistake_is_one_finding() {
        for (right, wrong) in [
            ("\"IsEncrypted\": false", "\"IsEncrypted\": true"),
            ("\"IsEncrypted\": false,", ""),
            ("\"custom\"", "\"node\""),
            ("\"FUNCTIONS_WORKER_RUNTIME\": \"custom\",", ""),
            ("\"RUST_LOG\"", "\"WEBSITE_HOSTNAME\""),
            (":5500,", ":5500, "),
            (":5500,", ":5500/,"),
            ("\"http://localhost:5500,http://127.0.0.1:5500\"", "\"*\""),
        ] {
            assert!(EXAMPLE.contains(right), "{right}");
            let (_, findings) = check("f", &EXAMPLE.replace(right, wrong));
            assert_eq!(findings.len(), 1, "{right} to {wrong}: {findings:?}");
        }
    }
}
