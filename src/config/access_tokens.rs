//! The settings of access tokens for Azure Communication Services: what they may allow, and the container of the identity store.
//!
//! Without a resource no tokens are issued; the settings are checked all the same.

use azure_communication::{Grant, Lifetime, Scope, ValueError};
use azure_credentials::CredentialSource;
use azure_http::{RootCertificates, Secret, is_loopback};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use url::{Host, Url, form_urlencoded};

use super::signalr::roots;
use super::{
    CLIENT_ID, ConfigError, Env, IDENTITY_STORE, IDENTITY_STORE_CLIENT_ID, IDENTITY_STORE_ROOTS, Problems,
    TOKEN_MINUTES, TOKEN_SCOPES, communication,
};

/// Not supported any more: the account key of the identity store.
pub const IDENTITY_STORE_KEY: &str = "ChatIdentityStoreKey";

/// To take part in conversations a user was invited to, and nothing else.
const DEFAULT_SCOPES: [Scope; 2] = [Scope::CHAT_JOIN_LIMITED, Scope::VOIP_JOIN];

/// What the store does with blobs: read, create, write, delete.
const SAS_PERMISSIONS: [char; 4] = ['r', 'c', 'w', 'd'];

/// What access tokens allow, and where the identities they are for are stored.
#[derive(Clone, Debug)]
pub struct AccessTokens {
    /// The scopes that an access token may have, and its longest lifetime.
    pub max_grant: Grant,
    /// The container of the identity store. Behind a host it is present if tokens are issued.
    pub container: Option<Container>,
}

/// The blob container of the identity store.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its address, without a query.
    pub url: Url,
    /// How requests to it are authorized.
    pub access: ContainerAccess,
    /// Trusted beside Mozilla's roots.
    pub roots: RootCertificates,
}

/// How requests to a container are authorized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerAccess {
    /// With a shared access signature: the query of a SAS URL.
    Sas(Secret),
    /// With tokens of an identity; the address is https.
    Identity(CredentialSource),
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
const NOT_A_CONTAINER: &str = "must be the address of a container, https://ACCOUNT.blob.core.windows.net/CONTAINER, or a SAS URL of it, and nothing more";

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
    let wrong = |reason: &str| ConfigError::new(IDENTITY_STORE, reason);
    let Some(address) = env.get(IDENTITY_STORE) else {
        let is_needed = env.is_behind_host() && communication::is_named(env);
        return if is_needed { Err(wrong(NEEDED)) } else { Ok(None) };
    };
    let (url, sas) = parse_container(address).ok_or_else(|| wrong(NOT_A_CONTAINER))?;
    let roots = roots(env, IDENTITY_STORE_ROOTS)?.unwrap_or_default();
    if let Some(sas) = sas {
        check_sas(&sas, now).map_err(wrong)?;
        if url.scheme() != "https" && !is_loopback(&url) {
            return Err(wrong("must be https; http is for this machine only"));
        }
        let access = ContainerAccess::Sas(Secret::new(sas));
        return Ok(Some(Container { url, access, roots }));
    }
    if url.scheme() != "https" {
        return Err(wrong("must be https; http is for a SAS URL and this machine only"));
    }
    // Most apps have one identity for everything.
    let name = [IDENTITY_STORE_CLIENT_ID, CLIENT_ID].into_iter().find(|name| env.get(name).is_some());
    let source = CredentialSource::automatic(name.and_then(|name| env.get(name)), None);
    let source = source
        .map_err(|error| ConfigError::new(name.unwrap_or(IDENTITY_STORE_CLIENT_ID), error))?
        .on_azure(env.is_azure());
    if source.is_managed_identity() && env.lacks_identity() {
        return Err(wrong(
            "needs a managed identity, and this app has none; turn one on, in the portal under Identity",
        ));
    }
    Ok(Some(Container { url, access: ContainerAccess::Identity(source), roots }))
}

/// The address of a container and its SAS. The account is the first label of the host name, or, on this machine, of the path.
fn parse_container(address: &str) -> Option<(Url, Option<String>)> {
    let mut url = Url::parse(address).ok()?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return None;
    }
    let sas = url.query().map(str::to_owned);
    url.set_query(None);
    url.path_segments_mut().ok()?.pop_if_empty();
    let path: Vec<_> = url.path_segments()?.collect();
    let (account, name) = match (path.as_slice(), is_loopback(&url), url.host()?) {
        ([account, name], true, _) => (*account, *name),
        ([name], _, Host::Domain(host)) => (host.split('.').next()?, *name),
        _ => return None,
    };
    (is_account(account) && is_container(name)).then_some((url, sas))
}

/// Checks the parts of a SAS that it shows: <https://learn.microsoft.com/rest/api/storageservices/create-service-sas>.
///
/// Times and permissions are missing if a stored access policy has them.
fn check_sas(sas: &str, now: Timestamp) -> Result<(), &'static str> {
    let part = |name: &str| {
        let mut parts = form_urlencoded::parse(sas.as_bytes());
        parts.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
    };
    if part("sv").is_none() || part("sig").is_none() {
        return Err("has a query that is no SAS: sv or sig is missing; copy the SAS URL of the container");
    }
    if part("sr").is_some_and(|resource| resource != "c") {
        return Err("has a SAS that is not for the container (sr=c); create one for the container");
    }
    let has_policy = part("si").is_some();
    match part("se").map(|expiry| parse_sas_time(&expiry)) {
        None if has_policy => {}
        Some(Some(expiry)) if expiry > now => {}
        Some(Some(_)) => return Err("has a SAS that has expired; create a new one"),
        None | Some(None) => return Err("has a SAS without an expiry (se); copy the SAS URL of the container"),
    }
    match part("sp") {
        None if has_policy => Ok(()),
        Some(granted) if SAS_PERMISSIONS.iter().all(|needed| granted.contains(*needed)) => Ok(()),
        _ => Err("has a SAS that lacks a permission; it must allow to read, create, write and delete (sp=rcwd)"),
    }
}

/// The forms that Azure Storage accepts: a date, or a time of day in UTC with or without seconds.
fn parse_sas_time(text: &str) -> Option<Timestamp> {
    let date = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    text.parse().ok().or_else(date)
}

fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn is_container(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (3..=63).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{problems, read};
    use crate::config::{
        COMMUNICATION, COMMUNICATION_ENDPOINT, HOST_PORT, IDENTITY_ENDPOINT, SERVICE_URI, SIGNALR, SITE_NAME,
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
    fn a_sas_that_cannot_work_is_named_at_start() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        for sas in [
            "sv=1&sig=x&se=2026-11-26T12:00:01Z&sp=rcwd",
            "sv=1&sig=x&se=2026-11-26T12:01Z&sp=dwcr&sr=c",
            "sv=1&sig=x&se=2026-11-27&sp=rcwdlacup&ss=b&srt=sco",
            "sv=1&sig=x&si=policy&sr=c",
        ] {
            assert_eq!(check_sas(sas, now), Ok(()), "{sas}");
        }
        for (sas, expected) in [
            ("", "no SAS"),
            ("sig=x&se=2999-01-01&sp=rcwd", "no SAS"),
            ("sv=1&sig=&se=2999-01-01&sp=rcwd", "no SAS"),
            ("sv=1&sig=x&se=2999-01-01&sp=rcwd&sr=b", "not for the container"),
            ("sv=1&sig=x&sp=rcwd", "without an expiry"),
            ("sv=1&sig=x&se=soon&sp=rcwd", "without an expiry"),
            ("sv=1&sig=x&se=2026-11-26T12:00:00Z&sp=rcwd", "has expired"),
            ("sv=1&sig=x&se=2026-11-26&sp=rcwd", "has expired"),
            ("sv=1&sig=x&se=2999-01-01&sp=r", "lacks a permission"),
            ("sv=1&sig=x&se=2999-01-01&sp=cwd", "lacks a permission"),
            ("sv=1&sig=x&se=2999-01-01", "lacks a permission"),
        ] {
            assert!(check_sas(sas, now).unwrap_err().contains(expected), "{sas}");
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
