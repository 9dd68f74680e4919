//! Reads the settings from all sources and reports what `Config` says about them. Findings name the source, never a value.
//!
//! The environment wins over a file, as it does for `func` and for most programs that read a `.env` file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serverless_chat::config::{
    ALLOW_ANONYMOUS, CLIENT_ID, CLIENT_SECRET, COMMUNICATION, COMMUNICATION_CLIENT_ID, COMMUNICATION_CREDENTIAL,
    COMMUNICATION_ENDPOINT, COMMUNICATION_ROOTS, CREDENTIAL, Config, ConfigError, ENTRA_AUDIENCE, ENTRA_CLIENT_ID,
    ENTRA_INSTANCE, ENTRA_TENANT_ID, Env, HISTORY, HISTORY_CLIENT_ID, HISTORY_PRIVATE, HISTORY_ROOTS, HOST_PORT, HUB,
    IDENTITY_PROVIDER, IDENTITY_STORE, IDENTITY_STORE_CLIENT_ID, IDENTITY_STORE_KEY, IDENTITY_STORE_ROOTS, ROOMS,
    ROOTS, SERVICE_URI, SIGNALR, TENANT_ID, TOKEN_MINUTES, TOKEN_SCOPES,
};

use super::files::{is_in_git, parse_env_file, read_text};
use super::history;
use super::local_settings;
use super::options::Options;
use super::report::Finding;

/// The settings that findings name, in the order of the README.
pub(super) const REPORTED_SETTINGS: [&str; 30] = [
    SIGNALR, SERVICE_URI, CREDENTIAL, CLIENT_ID, TENANT_ID, CLIENT_SECRET, ROOTS, HUB, COMMUNICATION,
    COMMUNICATION_ENDPOINT, COMMUNICATION_CREDENTIAL, COMMUNICATION_CLIENT_ID, COMMUNICATION_ROOTS, TOKEN_SCOPES,
    TOKEN_MINUTES, IDENTITY_STORE, IDENTITY_STORE_KEY, IDENTITY_STORE_CLIENT_ID, IDENTITY_STORE_ROOTS, ENTRA_TENANT_ID,
    ENTRA_CLIENT_ID, ENTRA_INSTANCE, ENTRA_AUDIENCE, ALLOW_ANONYMOUS, IDENTITY_PROVIDER, ROOMS, HISTORY,
    HISTORY_PRIVATE, HISTORY_CLIENT_ID, HISTORY_ROOTS,
];

/// The settings of all sources, valid or not.
pub(super) struct Settings {
    /// All sources, merged.
    pub(super) env: Env,
    /// The configuration, if all settings are valid.
    pub(super) config: Option<Config>,
    pub(super) findings: Vec<Finding>,
    sources: Vec<Source>,
}

impl Settings {
    /// The name of the source that a setting's value is from.
    pub(super) fn source_of(&self, name: &str) -> Option<&str> {
        source_of(name, &self.sources)
    }
}

/// A place with settings, and its name in findings.
struct Source {
    name: String,
    env: Env,
}

/// Reads the files that `options` name, below `process`.
pub(super) fn read(options: &Options, process: Env) -> Settings {
    let mut findings = Vec::new();
    let mut sources = vec![Source { name: "the environment".to_owned(), env: process }];
    sources.extend(options.env_file.as_deref().and_then(|path| read_env_file(path, &mut findings)));
    sources.extend(read_local_settings(options, &mut findings));
    // A settings file is for a Functions host, where the service must be set. Without one `chat` starts its own.
    let behind_host = sources.len() > 1;
    let mut env = sources.iter().fold(Env::default(), |env, source| env.over(&source.env));
    if behind_host {
        env = env.over(&[(HOST_PORT, "1")].into_iter().collect());
    }
    let config = match Config::read(&env) {
        Ok(config) => {
            findings.extend(REPORTED_SETTINGS.iter().filter_map(|name| report_source(name, &sources)));
            Some(config)
        }
        Err(unusable) => {
            findings.extend(unusable.problems.iter().map(|problem| invalid_setting(problem, &env, &sources)));
            None
        }
    };
    if !behind_host && env.get(SIGNALR).or_else(|| env.get(SERVICE_URI)).is_none() {
        findings.push(Finding::skipped(SIGNALR, "not set; `chat` starts its own service"));
    }
    findings.extend(check_plausible(&env, config.as_ref(), &sources));
    Settings { env, config, findings, sources }
}

fn read_env_file(path: &Path, findings: &mut Vec<Finding>) -> Option<Source> {
    let name = path.display().to_string();
    let Ok(text) = read_text(path) else {
        let fix = "give another file as --env-file, or omit that";
        findings.push(Finding::problem(&name, "cannot be read", fix));
        return None;
    };
    findings.extend(check_not_in_git(path, &name));
    match parse_env_file(&text) {
        Ok(settings) => {
            findings.push(Finding::ok(&name, "can be read"));
            Some(Source { name, env: settings.into_iter().collect() })
        }
        Err(line) => {
            let problem = format!("line {line} is not a setting");
            let fix = format!("write NAME=value in line {line} of {name}, or NAME=\"value\"");
            findings.push(Finding::problem(&name, problem, fix));
            None
        }
    }
}

fn read_local_settings(options: &Options, findings: &mut Vec<Finding>) -> Option<Source> {
    let default = options.folder.join("local.settings.json");
    let path: &PathBuf = options.settings.as_ref().unwrap_or(&default);
    let name = path.strip_prefix(&options.folder).unwrap_or(path).display().to_string();
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) if options.settings.is_none() && error.kind() == ErrorKind::NotFound => {
            let reason = "does not exist; `func start` needs it: cp local.settings.json.example local.settings.json";
            findings.push(Finding::skipped(name, reason));
            return None;
        }
        Err(_) => {
            let fix = "give another file as --settings, or omit that";
            findings.push(Finding::problem(name, "cannot be read", fix));
            return None;
        }
    };
    findings.extend(check_not_in_git(path, &name));
    let (values, problems) = local_settings::check(&name, &text);
    if problems.is_empty() {
        findings.push(Finding::ok(&name, "`func start` can use it"));
    }
    findings.extend(problems);
    Some(Source { name, env: values?.into_iter().collect() })
}

fn check_not_in_git(path: &Path, name: &str) -> Option<Finding> {
    let problem = "is tracked by git, with every key in it";
    is_in_git(path).then(|| Finding::problem(name, problem, format!("git rm --cached {name}, and create new keys")))
}

/// The name of the source that a setting's value is from.
fn source_of<'a>(name: &str, sources: &'a [Source]) -> Option<&'a str> {
    sources.iter().find(|source| source.env.get(name).is_some()).map(|source| source.name.as_str())
}

fn report_source(name: &str, sources: &[Source]) -> Option<Finding> {
    source_of(name, sources).map(|source| Finding::ok(name, format!("from {source}")))
}

fn invalid_setting(problem: &ConfigError, env: &Env, sources: &[Source]) -> Finding {
    let name = problem.name;
    // Says which permissions are missing, and how to get them.
    if name == HISTORY
        && problem.reason.contains("SAS")
        && let (Some(value), Some(source)) = (env.get(name), source_of(name, sources))
        && let Some((problem, fix)) = history::sas_problem(value, source, SystemTime::now())
    {
        return Finding::problem(name, problem, fix);
    }
    let fix = match (name, source_of(name, sources)) {
        (SIGNALR, Some(source)) => format!("{LIST_KEYS_COMMAND}, and put its output into {source}"),
        (SIGNALR, None) => format!("{LIST_KEYS_COMMAND}, and set {SIGNALR} to its output"),
        (IDENTITY_STORE_KEY, Some(source)) => format!("remove {name} from {source}"),
        (_, Some(source)) => format!("correct {name} in {source}, or remove it"),
        (_, None) => format!("set {name}"),
    };
    Finding::problem(name, &problem.reason, fix)
}

/// Prints the connection string of a service.
const LIST_KEYS_COMMAND: &str =
    "az signalr key list --name $signalr --resource-group $group --query primaryConnectionString --output tsv";

/// Checks the address of the service for values that are valid but never intended.
fn check_plausible(env: &Env, config: Option<&Config>, sources: &[Source]) -> Option<Finding> {
    let name = [SIGNALR, SERVICE_URI].into_iter().find(|name| env.get(name).is_some())?;
    let source = source_of(name, sources)?;
    let replace = |problem: &str| {
        Finding::problem(name, problem, format!("{LIST_KEYS_COMMAND}, and put its output into {source}"))
    };
    if env.get(name).is_some_and(is_placeholder) {
        return Some(replace("contains a placeholder in place of a name or a key"));
    }
    let signalr = config?.signalr.as_ref()?;
    if azure_http::is_loopback(signalr.server_endpoint()) {
        return None;
    }
    if signalr.access_key().is_some_and(is_official_key) {
        return Some(replace(
            "has the published key of the official emulator, for a service that is not on this machine",
        ));
    }
    (signalr.server_endpoint().scheme() == "http").then(|| {
        let problem = "is an http address: tokens for the service would be sent unencrypted";
        Finding::problem(name, problem, format!("write https:// in {name}, in {source}"))
    })
}

fn is_official_key(key: &str) -> bool {
    azure_signalr_emulator::AccessKey::new(key)
        .is_ok_and(|key| key == azure_signalr_emulator::AccessKey::official_emulator())
}

/// Whether `text` contains what examples write in place of a name or a key.
fn is_placeholder(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["<", ">", "…", "...", "://name.", "accesskey=key;", "your-", "your_", "xxxx"]
        .iter()
        .any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_recognized_and_real_settings_are_not() {
        for text in [
            "<connection string>",
            "Endpoint=https://NAME.service.signalr.net;AccessKey=abc=;",
            "Endpoint=https://chat.service.signalr.net;AccessKey=KEY;Version=1.0;",
            "Endpoint=…;AuthType=azure;",
            "https://your-service.service.signalr.net",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            "Endpoint=https://chat.service.signalr.net;AccessKey=a0+/b=;Version=1.0;",
            "Endpoint=http://localhost;Port=8888;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;Version=1.0;",
            "https://chat.service.signalr.net",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
