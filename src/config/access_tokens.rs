//! The settings of access tokens for Azure Communication Services: what they may allow, and the container of the identity store.
//!
//! Without a resource no tokens are issued; the settings are checked all the same.

use azure_communication::{Grant, Lifetime, Scope, ValueError};
use jiff::Timestamp;

use super::container::{Container, ContainerSettings};
use super::{
    ConfigError, Env, IDENTITY_STORE, IDENTITY_STORE_CLIENT_ID, IDENTITY_STORE_ROOTS, Problems, TOKEN_MINUTES,
    TOKEN_SCOPES, communication,
};

/// Not supported any more: the account key of the identity store.
pub const IDENTITY_STORE_KEY: &str = "ChatIdentityStoreKey";

/// To take part in conversations a user was invited to, and nothing else.
const DEFAULT_SCOPES: [Scope; 2] = [Scope::CHAT_JOIN_LIMITED, Scope::VOIP_JOIN];

/// The settings of the identity store. It reads, creates, writes and deletes blobs.
pub(super) const CONTAINER: ContainerSettings = ContainerSettings {
    address: IDENTITY_STORE,
    client_id: IDENTITY_STORE_CLIENT_ID,
    roots: IDENTITY_STORE_ROOTS,
    permissions: "rcwd",
    lacks_permission: "has a SAS that lacks a permission; it must allow to read, create, write and delete (sp=rcwd)",
};

/// What access tokens allow, and where the identities they are for are stored.
#[derive(Clone, Debug)]
pub struct AccessTokens {
    /// The scopes that an access token may have, and its longest lifetime.
    pub max_grant: Grant,
    /// The container of the identity store. Behind a host it is present if tokens are issued.
    pub container: Option<Container>,
}

/// Reads the settings of access tokens. `None` if there is a problem with what tokens may allow.
pub(super) fn read(env: &Env, problems: &mut Problems) -> Option<AccessTokens> {
    if env.get(IDENTITY_STORE_KEY).is_some() {
        problems.0.push(ConfigError::new(IDENTITY_STORE_KEY, KEY_REMOVED));
    }
    let container = problems.value(container(env, Timestamp::now())).flatten();
    let (scopes, lifetime) = (problems.value(scopes(env)), problems.value(lifetime(env)));
    Some(AccessTokens { max_grant: scopes?.with_lifetime(lifetime?), container })
}

const KEY_REMOVED: &str = "is no longer used; delete it, and give the app's identity the role Storage Blob Data Contributor on the container, or set ChatIdentityStore to a SAS URL of the container";
const NEEDED: &str = "is not set; it is the private container where people's identities are stored: https://ACCOUNT.blob.core.windows.net/CONTAINER";

fn scopes(env: &Env) -> Result<Grant, ConfigError> {
    let scopes = match env.get(TOKEN_SCOPES) {
        None => Ok(DEFAULT_SCOPES.to_vec()),
        Some(names) => names.split([' ', ',']).filter(|name| !name.is_empty()).map(str::parse::<Scope>).collect(),
    };
    let scopes: Vec<_> = scopes.map_err(|error: ValueError| ConfigError::new(TOKEN_SCOPES, error))?;
    Grant::new(scopes).ok_or_else(|| ConfigError::new(TOKEN_SCOPES, "must name at least one scope"))
}

fn lifetime(env: &Env) -> Result<Lifetime, ConfigError> {
    let Some(text) = env.get(TOKEN_MINUTES) else { return Ok(Lifetime::MIN) };
    let lifetime = text.parse().ok().and_then(|minutes| Lifetime::from_minutes(minutes).ok());
    lifetime.ok_or_else(|| ConfigError::new(TOKEN_MINUTES, "must be a whole number from 60 to 1440"))
}

fn container(env: &Env, now: Timestamp) -> Result<Option<Container>, ConfigError> {
    match env.get(IDENTITY_STORE) {
        Some(address) => CONTAINER.read(env, address, now).map(Some),
        None if env.is_behind_host() && communication::is_named(env) => Err(ConfigError::new(IDENTITY_STORE, NEEDED)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use azure_credentials::CredentialSource;
    use azure_http::Secret;

    use super::*;
    use crate::config::tests::{problems, read};
    use crate::config::{
        CLIENT_ID, COMMUNICATION, COMMUNICATION_ENDPOINT, ContainerAccess, HOST_PORT, IDENTITY_ENDPOINT, SERVICE_URI,
        SIGNALR, SITE_NAME,
    };

    const ON: (&str, &str) = (COMMUNICATION, "endpoint=https://h/;accesskey=aHVzaA==");
    const STORE: (&str, &str) = (IDENTITY_STORE, "https://account.blob.core.windows.net/chat-identities");
    const SAS: &str = "sv=2026-06-06&sr=c&sp=racwdl&se=2999-01-01T00%3A00%3A00Z&sig=hush";

    fn container(variables: &[(&str, &str)]) -> Container {
        read(variables).unwrap().tokens.container.unwrap()
    }

    fn with_sas(container: &str, sas: &str) -> String {
        format!("{container}?{sas}")
    }

    #[test]
    fn a_token_has_minimal_scopes_and_lifetime_by_default() {
        let most = read(&[]).unwrap().tokens.max_grant;
        assert_eq!(most.scopes(), [Scope::CHAT_JOIN_LIMITED, Scope::VOIP_JOIN]);
        assert_eq!(most.lifetime(), Some(Lifetime::MIN));
        let most = read(&[(TOKEN_SCOPES, "chat, voip chat"), (TOKEN_MINUTES, "1440")]).unwrap().tokens.max_grant;
        assert_eq!(most.scopes(), [Scope::CHAT, Scope::VOIP]);
        assert_eq!(most.lifetime(), Some(Lifetime::MAX));
    }

    #[test]
    fn a_container_is_called_with_a_sas_with_the_apps_identity_or_with_the_developers() {
        let developers = container(&[ON, STORE]);
        assert_eq!(developers.url.as_str(), STORE.1);
        let automatic = |client_id| CredentialSource::automatic(client_id, None).unwrap();
        assert_eq!(developers.access, ContainerAccess::Identity(automatic(None).on_azure(false)));
        let with_sas = container(&[ON, (IDENTITY_STORE, &with_sas(STORE.1, SAS))]);
        assert_eq!(with_sas.url.as_str(), STORE.1);
        assert_eq!(with_sas.access, ContainerAccess::Sas(Secret::new(SAS)));
        let identity = (IDENTITY_ENDPOINT, "http://localhost:1/token");
        let managed = |client_id| ContainerAccess::Identity(automatic(client_id).on_azure(true));
        let (own, signalrs) = ((IDENTITY_STORE_CLIENT_ID, "c"), (CLIENT_ID, "d"));
        let uri = (SERVICE_URI, "https://h");
        assert_eq!(container(&[ON, STORE, identity]).access, managed(None));
        assert_eq!(container(&[ON, STORE, identity, uri, signalrs]).access, managed(Some("d")));
        assert_eq!(container(&[ON, STORE, identity, uri, signalrs, own]).access, managed(Some("c")));
    }

    #[test]
    fn an_account_on_this_machine_is_in_the_path_or_in_the_host_name() {
        let azurite = "http://127.0.0.1:10000/devstoreaccount1/chat-identities";
        for (address, expected) in [
            (with_sas(azurite, SAS), azurite),
            (with_sas(&format!("{azurite}/"), SAS), azurite),
            (with_sas("http://account.localhost:1/chat", SAS), "http://account.localhost:1/chat"),
        ] {
            assert_eq!(container(&[ON, (IDENTITY_STORE, &address)]).url.as_str(), expected);
        }
    }

    #[test]
    fn an_account_key_is_a_problem_that_names_its_replacement() {
        let errors = read(&[ON, STORE, (IDENTITY_STORE_KEY, "aHVzaA==")]).unwrap_err();
        let [problem] = errors.problems.as_slice() else { panic!("{errors:?}") };
        assert_eq!(problem.name, IDENTITY_STORE_KEY);
        assert!(problem.reason.contains("Storage Blob Data Contributor") && problem.reason.contains("SAS URL"));
    }

    #[test]
    fn each_mistake_is_named_and_no_value_is_repeated() {
        let host = [(HOST_PORT, "1"), (SIGNALR, "Endpoint=https://h;AccessKey=k")];
        let plain = with_sas("http://account.blob.core.windows.net/chat", SAS);
        let blob = with_sas("https://hush.blob.core.windows.net/chat/blob", SAS);
        for (variables, expected) in [
            (&[(COMMUNICATION, "endpoint=https://h/;accesskey=hush!")][..], COMMUNICATION),
            (&[(COMMUNICATION, "hush")], COMMUNICATION),
            (&[(TOKEN_SCOPES, "hush!")], TOKEN_SCOPES),
            (&[(TOKEN_SCOPES, ",")], TOKEN_SCOPES),
            (&[(TOKEN_MINUTES, "hush")], TOKEN_MINUTES),
            (&[(TOKEN_MINUTES, "59")], TOKEN_MINUTES),
            (&[(TOKEN_MINUTES, "1441")], TOKEN_MINUTES),
            (&[(IDENTITY_STORE_KEY, "hush!")], IDENTITY_STORE_KEY),
            (&[(IDENTITY_STORE, "hush")], IDENTITY_STORE),
            (&[(IDENTITY_STORE, "https://hush.blob.core.windows.net/")], IDENTITY_STORE),
            (&[(IDENTITY_STORE, "https://hush.blob.core.windows.net/a/b")], IDENTITY_STORE),
            (&[(IDENTITY_STORE, "https://hush.blob.core.windows.net/HUSH")], IDENTITY_STORE),
            (&[(IDENTITY_STORE, "https://hush.blob.core.windows.net/chat?sig=hush")], IDENTITY_STORE),
            (&[(IDENTITY_STORE, "https://ann:hush@account.blob.core.windows.net/chat")], IDENTITY_STORE),
            (&[(IDENTITY_STORE, "https://10.0.0.1/account/chat")], IDENTITY_STORE),
            (&[(IDENTITY_STORE, &plain)], IDENTITY_STORE),
            (&[(IDENTITY_STORE, &blob)], IDENTITY_STORE),
            (&[(IDENTITY_STORE, "http://127.0.0.1:1/account/chat")], IDENTITY_STORE),
            (&[STORE, (IDENTITY_STORE_CLIENT_ID, "hush/")], IDENTITY_STORE_CLIENT_ID),
            (&[STORE, (IDENTITY_STORE_ROOTS, "hush")], IDENTITY_STORE_ROOTS),
            (&[host[0], host[1], ON], IDENTITY_STORE),
            (&[host[0], host[1], (COMMUNICATION_ENDPOINT, "https://h")], IDENTITY_STORE),
            (&[host[0], host[1], ON, STORE, (SITE_NAME, "app")], IDENTITY_STORE),
        ] {
            assert_eq!(problems(variables), [expected]);
        }
    }

    #[test]
    fn neither_key_nor_sas_is_printed() {
        let config = read(&[ON, (IDENTITY_STORE, &with_sas(STORE.1, SAS))]).unwrap();
        let printed = format!("{config:?}");
        assert!(!printed.contains("aHVzaA") && !printed.contains("hush"), "{printed}");
    }
}
