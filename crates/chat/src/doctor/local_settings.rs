//! `local.settings.json`, which `func start` reads: whether it does, and what it makes of it.
//!
//! Nothing from under `Values` is ever repeated: names are told, values are not.

use serde_json::Value;

use super::finding::Finding;
use super::json::{at, parse};

/// What says which language the functions are in.
const RUNTIME: &str = "FUNCTIONS_WORKER_RUNTIME";

/// Names that `func` sets itself; from the file they keep it from starting.
const RESERVED: [&str; 3] = ["WEBSITE_HOSTNAME", "AzureWebJobsScriptRoot", "CONTAINER_NAME"];

/// Names and values.
pub(super) type Values = Vec<(String, String)>;

/// What is under `Values`, as far as `func` takes it, and what is wrong with the file called `name`. One that is no JSON has no values
/// to miss anything among.
pub(super) fn judge(name: &str, text: &str) -> (Option<Values>, Vec<Finding>) {
    let wrong = |what: String, mend: String| Finding::wrong(name, what, mend);
    let file = match parse(text) {
        Ok(file) => file,
        Err(reason) => {
            return (
                None,
                vec![wrong(reason, format!("cp local.settings.json.example {name}, and set yours anew"))],
            );
        }
    };
    let mut findings = Vec::new();
    if at(&file, &["IsEncrypted"]) != Some(&Value::Bool(false)) {
        let what = "does not say that it is not encrypted, and `func` says \"Failed to decrypt settings\"";
        findings.push(wrong(what.to_owned(), format!("set \"IsEncrypted\": false in {name}")));
    }
    let (values, unusable) = values(&file);
    if !unusable.is_empty() {
        let what = format!("{} is no text, and `func` drops the whole file for it", unusable.join(", "));
        findings.push(wrong(what, format!("put quotes around it under Values in {name}")));
    }
    let given = |wanted: &str| {
        values.iter().find(|(known, _)| known.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    if given(RUNTIME).is_none_or(|runtime| !runtime.eq_ignore_ascii_case("custom")) {
        let what = format!(
            "{RUNTIME} is not `custom`, so `func` asks for a language or looks for another one's worker"
        );
        findings.push(wrong(what, format!("set \"{RUNTIME}\": \"custom\" under Values in {name}")));
    }
    for reserved in RESERVED.iter().filter(|reserved| given(reserved).is_some()) {
        let what = format!("{reserved} under Values keeps `func` from starting; it sets that itself");
        findings.push(wrong(what, format!("take {reserved} out of {name}")));
    }
    findings.extend(cors(&file).map(|(what, mend)| wrong(what.to_owned(), format!("{mend} in {name}"))));
    (Some(values), findings)
}

/// The settings, and the names of those that are no text.
fn values(file: &Value) -> (Values, Vec<String>) {
    let (mut values, mut unusable) = (Vec::new(), Vec::new());
    for (name, value) in at(file, &["Values"]).and_then(Value::as_object).into_iter().flatten() {
        match value {
            Value::String(text) => values.push((name.clone(), text.clone())),
            Value::Null => {}
            _ => unusable.push(name.clone()),
        }
    }
    (values, unusable)
}

/// `func` splits at commas and compares what is between them with `Origin`, letter by letter.
fn cors(file: &Value) -> Option<(&'static str, &'static str)> {
    let origins = at(file, &["Host", "CORS"]).and_then(Value::as_str)?;
    let credentials = at(file, &["Host", "CORSCredentials"]) == Some(&Value::Bool(true));
    let mend = "set Host.CORS to \"http://localhost:5500,http://127.0.0.1:5500\"";
    if origins.contains(char::is_whitespace) {
        return Some(("Host.CORS has spaces in it, and `func` takes them for parts of origins", mend));
    }
    if origins.split(',').any(|origin| origin.ends_with('/')) {
        return Some(("Host.CORS has an origin with a slash at its end, which no browser sends", mend));
    }
    (origins == "*" && credentials)
        .then_some(("Host.CORS is `*` with CORSCredentials, which `func` does not start with", mend))
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
    fn the_example_is_fine_and_all_of_it_is_read() {
        let (values, findings) = judge("f", EXAMPLE);
        assert_eq!(findings, []);
        assert_eq!(values.unwrap().len(), names_in_the_example());
    }

    #[test]
    fn a_value_that_is_no_text_is_told_by_name_and_the_others_are_read() {
        let (values, findings) = judge("f", &EXAMPLE.replace("\"true\"", "[\"hush\"]"));
        assert_eq!((values.unwrap().len(), findings.len()), (names_in_the_example() - 1, 1));
        let told = format!("{findings:?}");
        assert!(told.contains("ChatAllowAnonymous") && !told.contains("hush"), "{told}");
    }

    #[test]
    fn each_of_its_mistakes_is_one_finding() {
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
            let (_, findings) = judge("f", &EXAMPLE.replace(right, wrong));
            assert_eq!(findings.len(), 1, "{right} to {wrong}: {findings:?}");
        }
    }
}
