//! The settings, from wherever they are, and what `Config` says about them. It says which source a setting is from, never its value.
//!
//! What is set in the environment wins over a file, as it does for `func` and for most that reads an `.env` file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Options;
use super::finding::Finding;
use super::project::{is_in_git, read_text};
use super::{env_file, local_settings};
use crate::loopback;
use serverless_chat::config::{
    ALLOW_ANONYMOUS, CLIENT_ID, CLIENT_SECRET, COMMUNICATION, COMMUNICATION_CLIENT_ID,
    COMMUNICATION_CREDENTIAL, COMMUNICATION_ENDPOINT, COMMUNICATION_ROOTS, CREDENTIAL, Config, ConfigError,
    ENTRA_AUDIENCE, ENTRA_CLIENT_ID, ENTRA_INSTANCE, ENTRA_TENANT_ID, Env, HOST_PORT, HUB, IDENTITY_STORE,
    IDENTITY_STORE_CLIENT_ID, IDENTITY_STORE_KEY, IDENTITY_STORE_ROOTS, ROOTS, SERVICE_URI, SIGNALR,
    TENANT_ID, TOKEN_MINUTES, TOKEN_SCOPES,
};

/// What may be told about, in the order of the README.
pub(super) const TOLD: [&str; 24] = [
    SIGNALR,
    SERVICE_URI,
    CREDENTIAL,
    CLIENT_ID,
    TENANT_ID,
    CLIENT_SECRET,
    ROOTS,
    HUB,
    COMMUNICATION,
    COMMUNICATION_ENDPOINT,
    COMMUNICATION_CREDENTIAL,
    COMMUNICATION_CLIENT_ID,
    COMMUNICATION_ROOTS,
    TOKEN_SCOPES,
    TOKEN_MINUTES,
    IDENTITY_STORE,
    IDENTITY_STORE_KEY,
    IDENTITY_STORE_CLIENT_ID,
    IDENTITY_STORE_ROOTS,
    ENTRA_TENANT_ID,
    ENTRA_CLIENT_ID,
    ENTRA_INSTANCE,
    ENTRA_AUDIENCE,
    ALLOW_ANONYMOUS,
];

/// Settings that were read, whether they can be used or not.
pub(super) struct Settings {
    /// All sources over one another.
    pub(super) env: Env,
    /// What they say, if all of it can be used.
    pub(super) config: Option<Config>,
    pub(super) findings: Vec<Finding>,
}

/// A place where settings are, and how to call it.
struct Source {
    name: String,
    env: Env,
}

/// Reads the files `options` name, under `process`.
pub(super) fn look(options: &Options, process: Env) -> Settings {
    let mut findings = Vec::new();
    let mut sources = vec![Source { name: "the environment".to_owned(), env: process }];
    sources.extend(options.env_file.as_deref().and_then(|path| read_env_file(path, &mut findings)));
    sources.extend(read_local_settings(options, &mut findings));
    // A file of settings is for a host, behind which the service must be named. Without one there may be nothing to name.
    let behind_host = sources.len() > 1;
    let mut env = sources.iter().fold(Env::default(), |env, source| env.over(&source.env));
    if behind_host {
        env = env.over(&[(HOST_PORT, "1")].into_iter().collect());
    }
    let config = match Config::read(&env) {
        Ok(config) => {
            findings.extend(TOLD.iter().filter_map(|name| said_by(name, &sources)));
            Some(config)
        }
        Err(unusable) => {
            findings.extend(unusable.problems.iter().map(|problem| cannot_be_used(problem, &sources)));
            None
        }
    };
    if !behind_host && env.get(SIGNALR).or_else(|| env.get(SERVICE_URI)).is_none() {
        findings.push(Finding::not_looked_at(SIGNALR, "set nowhere; `chat` brings its own service"));
    }
    findings.extend(suspicions(&env, config.as_ref(), &sources));
    Settings { env, config, findings }
}

fn read_env_file(path: &Path, findings: &mut Vec<Finding>) -> Option<Source> {
    let name = path.display().to_string();
    let text = match read_text(path) {
        Ok(text) => text,
        Err(_) => {
            findings.push(Finding::wrong(
                &name,
                "cannot be read",
                "name another with --env-file, or leave that out",
            ));
            return None;
        }
    };
    findings.extend(kept_secret(path, &name));
    match env_file::parse(&text) {
        Ok(settings) => {
            findings.push(Finding::ok(&name, "can be read"));
            Some(Source { name, env: settings.into_iter().collect() })
        }
        Err(line) => {
            let what = format!("line {line} is no setting");
            findings.push(Finding::wrong(
                &name,
                what,
                format!("write NAME=value in line {line} of {name}, or NAME=\"value\""),
            ));
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
            findings.push(Finding::not_looked_at(
                name,
                "there is none; `func start` wants one: cp local.settings.json.example local.settings.json",
            ));
            return None;
        }
        Err(_) => {
            findings.push(Finding::wrong(
                name,
                "cannot be read",
                "name another with --settings, or leave that out",
            ));
            return None;
        }
    };
    findings.extend(kept_secret(path, &name));
    let (values, wrongs) = local_settings::judge(&name, &text);
    if wrongs.is_empty() {
        findings.push(Finding::ok(&name, "`func start` can use it"));
    }
    findings.extend(wrongs);
    Some(Source { name, env: values?.into_iter().collect() })
}

fn kept_secret(path: &Path, name: &str) -> Option<Finding> {
    let what = "is kept in git, and with it every key in it";
    is_in_git(path).then(|| Finding::wrong(name, what, format!("git rm --cached {name}, and make new keys")))
}

/// Where the value of a setting is from.
fn source_of<'a>(name: &str, sources: &'a [Source]) -> Option<&'a str> {
    sources.iter().find(|source| source.env.get(name).is_some()).map(|source| source.name.as_str())
}

fn said_by(name: &str, sources: &[Source]) -> Option<Finding> {
    source_of(name, sources).map(|source| Finding::ok(name, format!("from {source}")))
}

fn cannot_be_used(problem: &ConfigError, sources: &[Source]) -> Finding {
    let name = problem.name;
    let mend = match (name, source_of(name, sources)) {
        (SIGNALR, Some(source)) => format!("{KEY_LINE}, and put what it prints into {source}"),
        (SIGNALR, None) => format!("{KEY_LINE}, and set {SIGNALR} to what it prints"),
        (_, Some(source)) => format!("set {name} anew in {source}, or take it away"),
        (_, None) => format!("set {name}"),
    };
    Finding::wrong(name, &problem.reason, mend)
}

/// What prints the connection string of a service.
pub(super) const KEY_LINE: &str = "az signalr key list --name $signalr --resource-group $group --query primaryConnectionString --output tsv";

/// What is well-formed and surely not meant.
fn suspicions(env: &Env, config: Option<&Config>, sources: &[Source]) -> Option<Finding> {
    let name = [SIGNALR, SERVICE_URI].into_iter().find(|name| env.get(name).is_some())?;
    let source = source_of(name, sources)?;
    if env.get(name).is_some_and(is_placeholder) {
        let what = "still has a placeholder in it where a name or a key belongs";
        return Some(Finding::wrong(name, what, format!("{KEY_LINE}, and put what it prints into {source}")));
    }
    let signalr = config?.signalr.as_ref()?;
    let is_local = signalr.server_endpoint().host_str().is_some_and(loopback::is_loopback);
    if is_local {
        return None;
    }
    if signalr.access_key().is_some_and(is_official_key) {
        let what = "has the key of the official emulator, which everybody knows, for a service that is not on this machine";
        return Some(Finding::wrong(name, what, format!("{KEY_LINE}, and put what it prints into {source}")));
    }
    (signalr.server_endpoint().scheme() == "http").then(|| {
        let what = "says http: tokens for the service would travel in clear";
        Finding::wrong(name, what, format!("write https:// in {name}, in {source}"))
    })
}

fn is_official_key(key: &str) -> bool {
    azure_signalr_emulator::AccessKey::new(key)
        .is_ok_and(|key| key == azure_signalr_emulator::AccessKey::official_emulator())
}

/// What examples say instead of a name or a key.
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
    fn placeholders_are_known_and_real_settings_are_none() {
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
