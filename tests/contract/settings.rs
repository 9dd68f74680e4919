//! Compares the names of settings in `src/config/mod.rs`, `docs/settings.md` and `local.settings.json.example`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Has a table row for each setting.
const PAGE: &str = "docs/settings.md";

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The constants that are not defaults; a declaration can span lines.
fn settings_of_the_code() -> BTreeSet<String> {
    let source = read("src/config/mod.rs");
    let (code, _) = source.split_once("#[cfg(test)]").unwrap();
    let constants = code.split("const ").filter_map(|constant| {
        let (name, value) = constant.split_once(": &str =")?;
        let is_setting =
            name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') && !name.starts_with("DEFAULT_");
        is_setting.then(|| value.split('"').nth(1).unwrap().to_owned())
    });
    constants.collect()
}

/// The first cells of the tables that hold one name in backticks.
fn settings_of_the_docs() -> BTreeSet<String> {
    let page = read(PAGE);
    let cells = page.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    cells.filter_map(|cell| Some(cell.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned())).collect()
}

fn settings_of_the_example() -> BTreeSet<String> {
    let example: Value = serde_json::from_str(&read("local.settings.json.example")).unwrap();
    example["Values"].as_object().unwrap().keys().cloned().collect()
}

/// Set by Azure, the Functions host or its tools, not by people.
fn is_the_platforms(name: &str) -> bool {
    ["FUNCTIONS_", "IDENTITY_", "WEBSITE_", "AzureFunctionsJobHost__"].iter().any(|prefix| name.starts_with(prefix))
}

/// OpenTelemetry's own names: who has a collector has them from there, and an example without one has no use for them.
fn is_opentelemetrys(name: &str) -> bool {
    name.starts_with("OTEL_")
}

/// `X__part` instead of `X`: an example can have only one of them.
fn is_another_form_of_one_of(settings: &BTreeSet<String>, name: &str) -> bool {
    name.split_once("__").is_some_and(|(setting, _)| settings.contains(setting))
}

#[test]
fn the_settings_of_the_code_are_found() {
    let settings = settings_of_the_code();
    for name in ["AzureSignalRConnectionString", "ChatAllowAnonymous", "RUST_LOG", "WEBSITE_AUTH_ENABLED"] {
        assert!(settings.contains(name), "{settings:?}");
    }
    assert!(settings.iter().all(|name| name.len() > 7), "{settings:?}");
}

#[test]
fn the_docs_explain_every_setting_and_no_other() {
    assert_eq!(settings_of_the_docs(), settings_of_the_code());
}

#[test]
fn the_example_has_every_setting_of_ours_and_no_other() {
    let code = settings_of_the_code();
    let ours = code
        .iter()
        .filter(|name| !is_the_platforms(name) && !is_opentelemetrys(name) && !is_another_form_of_one_of(&code, name));
    let example = settings_of_the_example();
    let shown = example.iter().filter(|name| !is_the_platforms(name));
    assert_eq!(shown.collect::<Vec<_>>(), ours.collect::<Vec<_>>());
}
