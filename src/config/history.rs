//! The settings of the history: where messages are kept, and whether private ones are.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::container::{Container, ContainerSettings};
use super::{
    ConfigError, Env, HISTORY, HISTORY_CLIENT_ID, HISTORY_PRIVATE, HISTORY_ROOTS, Problems, SITE_NAME, parse_switch,
};
use crate::text::is_visible;

/// The place without a host, if the setting names no other.
const DEFAULT_FOLDER: &str = ".chat/history";
/// The setting's value for a chat without a history.
const OFF: &str = "off";

/// The history reads, appends, creates, writes, deletes and lists blobs.
const CONTAINER: ContainerSettings = ContainerSettings {
    address: HISTORY,
    client_id: HISTORY_CLIENT_ID,
    roots: HISTORY_ROOTS,
    permissions: "racwdl",
    lacks_permission: "has a SAS that lacks a permission; it must allow to read, add, create, write, delete and list (sp=racwdl)",
};

const RULE: &str = "must be a folder, the address of a private container, https://ACCOUNT.blob.core.windows.net/CONTAINER, a SAS URL of it, or off";
const OWN_NAME: &str = "is its own name; set it to a folder, to the address of a private container, or to off";
const NOT_RESOLVED: &str = "is a Key Vault reference that was not resolved; give the app's identity access to the secret, or set the address itself";
const PLACEHOLDER: &str = "is a placeholder between % signs; set the address itself";
const QUOTED: &str = "is in quotes; take them away";
const INVISIBLE: &str = "begins with an invisible character; type the value again";
const CONNECTION_STRING: &str =
    "is a connection string; set the address of the container, https://ACCOUNT.blob.core.windows.net/CONTAINER";
const NO_SCHEME: &str = "is an address without https:// in front";
const NOT_ON_AZURE: &str = "must be a container on Azure, where instances share no folder; a share that is mounted for all of them has an absolute path";

/// Where messages are kept, and which.
#[derive(Clone, Debug)]
pub struct HistoryConfig {
    /// The place.
    pub place: HistoryPlace,
    /// Whether private messages are kept too.
    pub is_private_kept: bool,
}

/// A place for messages.
#[derive(Clone, Debug)]
pub enum HistoryPlace {
    /// A folder, created if it is missing.
    Folder(PathBuf),
    /// A private blob container, which exists.
    Container(Container),
}

/// Reads the settings. Behind a host there is no history by default: a deployment names its container.
pub(super) fn read(env: &Env, problems: &mut Problems) -> Option<HistoryConfig> {
    let place = problems.value(place(env, Timestamp::now())).flatten();
    let is_private_kept = env.get(HISTORY_PRIVATE).map_or(Some(true), parse_switch);
    let is_private_kept = is_private_kept.ok_or_else(|| ConfigError::new(HISTORY_PRIVATE, "must be true or false"));
    let is_private_kept = problems.value(is_private_kept)?;
    Some(HistoryConfig { place: place?, is_private_kept })
}

fn place(env: &Env, now: Timestamp) -> Result<Option<HistoryPlace>, ConfigError> {
    let Some(text) = env.get(HISTORY) else {
        return Ok((!env.is_behind_host()).then(|| HistoryPlace::Folder(DEFAULT_FOLDER.into())));
    };
    let wrong = |reason: &str| ConfigError::new(HISTORY, reason);
    if text.eq_ignore_ascii_case(OFF) {
        return Ok(None);
    }
    if let Some(mistake) = mistake(text) {
        return Err(wrong(mistake));
    }
    if text.contains("://") {
        return CONTAINER.read(env, text, now).map(|container| Some(HistoryPlace::Container(container)));
    }
    if env.get(SITE_NAME).is_some() && !Path::new(text).is_absolute() {
        return Err(wrong(NOT_ON_AZURE));
    }
    Ok(Some(HistoryPlace::Folder(text.into())))
}

/// What is wrong with a value that is a common mistake and would be taken for a folder.
fn mistake(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let is_between = |quote: char| text.starts_with(quote) || text.ends_with(quote);
    Some(match text {
        _ if text.eq_ignore_ascii_case(HISTORY) => OWN_NAME,
        _ if lower.starts_with("@microsoft.keyvault") => NOT_RESOLVED,
        _ if text.starts_with('%') && text.ends_with('%') => PLACEHOLDER,
        _ if is_between('"') || is_between('\'') => QUOTED,
        _ if text.chars().next().is_some_and(|first| !is_visible(first.encode_utf8(&mut [0; 4]))) => INVISIBLE,
        _ if lower.contains("accountkey=") || lower.contains("accesskey=") || lower.starts_with("endpoint=") => {
            CONNECTION_STRING
        }
        _ if !text.contains("://") && lower.contains(".blob.core.") => NO_SCHEME,
        _ if text.chars().any(char::is_control) => RULE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use azure_credentials::CredentialSource;
    use azure_http::Secret;

    use super::*;
    use crate::config::tests::{KEY, problems, read};
    use crate::config::{CLIENT_ID, ContainerAccess, HOST_PORT, IDENTITY_ENDPOINT, SERVICE_URI, SIGNALR};

    const STORE: (&str, &str) = (HISTORY, "https://account.blob.core.windows.net/chat-history");
    const SAS: &str = "sv=2026-06-06&sr=c&sp=racwdl&se=2999-01-01T00%3A00%3A00Z&sig=hush";
    const HOST: [(&str, &str); 2] = [(HOST_PORT, "1"), (SIGNALR, KEY)];

    fn folder(variables: &[(&str, &str)]) -> Option<PathBuf> {
        match read(variables).unwrap().history.map(|history| history.place) {
            Some(HistoryPlace::Folder(folder)) => Some(folder),
            Some(HistoryPlace::Container(container)) => panic!("{container:?}"),
            None => None,
        }
    }

    fn container(variables: &[(&str, &str)]) -> Container {
        match read(variables).unwrap().history.unwrap().place {
            HistoryPlace::Container(container) => container,
            HistoryPlace::Folder(folder) => panic!("{folder:?}"),
        }
    }

    #[test]
    fn there_is_a_history_by_default_without_a_host_only() {
        assert_eq!(folder(&[]), Some(".chat/history".into()));
        assert_eq!(folder(&HOST), None);
        for off in ["off", "Off"] {
            assert_eq!(folder(&[(HISTORY, off)]), None);
        }
    }

    #[test]
    fn a_value_without_a_scheme_is_a_folder() {
        for name in ["messages", "./off", "/var/chat", "../a b", "C:\\chat"] {
            assert_eq!(folder(&[HOST[0], HOST[1], (HISTORY, name)]), Some(name.into()));
        }
        assert_eq!(folder(&[(HISTORY, "/mounts/chat"), (SITE_NAME, "app")]), Some("/mounts/chat".into()));
    }

    #[test]
    fn a_container_is_called_with_a_sas_or_an_identity() {
        let with_sas = container(&[(HISTORY, &format!("{}?{SAS}", STORE.1))]);
        assert_eq!(with_sas.url.as_str(), STORE.1);
        assert_eq!(with_sas.access, ContainerAccess::Sas(Secret::new(SAS)));
        let local = format!("http://127.0.0.1:10000/devstoreaccount1/chat-history?{SAS}");
        assert_eq!(container(&[(HISTORY, &local)]).url.path(), "/devstoreaccount1/chat-history");
        let endpoint = (IDENTITY_ENDPOINT, "http://localhost:1/token");
        let managed = |id| ContainerAccess::Identity(CredentialSource::managed_identity(id).unwrap());
        let [signalrs, own] = [(CLIENT_ID, "d"), (HISTORY_CLIENT_ID, "c")];
        let uri = (SERVICE_URI, "https://h");
        assert_eq!(container(&[STORE, endpoint]).access, managed(None));
        assert_eq!(container(&[STORE, endpoint, uri, signalrs]).access, managed(Some("d")));
        assert_eq!(container(&[STORE, endpoint, uri, signalrs, own]).access, managed(Some("c")));
    }

    #[test]
    fn private_messages_are_kept_unless_the_setting_says_no() {
        for (value, expected) in [("", true), ("true", true), ("1", true), ("false", false), ("False", false)] {
            assert_eq!(read(&[(HISTORY_PRIVATE, value)]).unwrap().history.unwrap().is_private_kept, expected);
        }
        assert_eq!(problems(&[(HISTORY_PRIVATE, "hush")]), [HISTORY_PRIVATE]);
    }

    #[test]
    fn each_mistake_is_named_and_no_value_is_repeated() {
        let plain = format!("http://account.blob.core.windows.net/chat-history?{SAS}");
        let short = SAS.replace("racwdl", "racwd");
        for (value, expected) in [
            ("chathistory", "its own name"),
            ("@Microsoft.KeyVault(SecretUri=https://hush.vault.azure.net/secrets/hush)", "Key Vault"),
            ("%HUSH%", "placeholder"),
            ("\"https://hush.blob.core.windows.net/chat-history\"", "quotes"),
            ("'hush", "quotes"),
            ("\u{feff}https://hush.blob.core.windows.net/chat-history", "invisible"),
            ("\u{200b}hush", "invisible"),
            ("DefaultEndpointsProtocol=https;AccountName=hush;AccountKey=hush", "connection string"),
            ("Endpoint=https://hush.service.signalr.net;AccessKey=hush;Version=1.0;", "connection string"),
            ("hush.blob.core.windows.net/chat-history", "without https://"),
            ("hu\nsh", "must be a folder"),
            ("file:///hush", "must be the address"),
            ("https://hush.blob.core.windows.net/", "must be the address"),
            ("https://hush.blob.core.windows.net/a/b", "must be the address"),
            ("https://hush.blob.core.windows.net/HUSH", "must be the address"),
            ("https://hush.blob.core.windows.net/chat-history?sig=hush", "no SAS"),
            ("http://127.0.0.1:1/account/chat-history", "must be https"),
            (&plain, "must be https"),
            (&format!("{}?{short}", STORE.1), "sp=racwdl"),
        ] {
            let errors = read(&[(HISTORY, value)]).unwrap_err();
            let [problem] = errors.problems.as_slice() else { panic!("{errors:?}") };
            assert_eq!(problem.name, HISTORY);
            assert!(problem.reason.contains(expected) && !problem.reason.contains("hush"), "{value}: {problem}");
        }
        assert_eq!(problems(&[(HISTORY, "hush"), (SITE_NAME, "app")]), [HISTORY]);
        assert_eq!(problems(&[STORE, (SITE_NAME, "app")]), [HISTORY]);
        assert_eq!(problems(&[STORE, (HISTORY_CLIENT_ID, "hush/")]), [HISTORY_CLIENT_ID]);
        assert_eq!(problems(&[STORE, (HISTORY_ROOTS, "hush")]), [HISTORY_ROOTS]);
    }

    #[test]
    fn a_sas_is_not_printed() {
        let config = read(&[(HISTORY, &format!("{}?{SAS}", STORE.1))]).unwrap();
        assert!(!format!("{config:?}").contains("hush"));
    }
}
