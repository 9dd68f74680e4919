//! The settings of access tokens for Azure Communication Services: what they may allow, and where it is kept who has which identity.
//!
//! All of it is off without a resource; what else is set is looked at all the same, since it would be wrong later.

use std::fmt;

use azure_communication::{Grant, Lifetime, Scope, ValueError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};

use super::{
    CLIENT_ID, ConfigError, Env, IDENTITY_ENDPOINT, IDENTITY_STORE, IDENTITY_STORE_CLIENT_ID,
    IDENTITY_STORE_KEY, TOKEN_MINUTES, TOKEN_SCOPES, resource,
};

/// To talk where one was invited to, and nothing else.
const DEFAULT_SCOPES: [Scope; 2] = [Scope::CHAT_JOIN_LIMITED, Scope::VOIP_JOIN];

/// What access tokens allow, and who they are for.
#[derive(Clone, Debug)]
pub struct AccessTokens {
    /// The most that one may allow, and for how long.
    pub most: Grant,
    /// Where it is kept who has which identity; behind a host always there, if anybody gets tokens.
    pub container: Option<Container>,
}

/// A blob container, and as whom it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Where the account's containers are.
    pub endpoint: Url,
    /// The storage account.
    pub account: String,
    /// The container.
    pub name: String,
    /// As whom.
    pub caller: Caller,
}

/// As whom a container is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever has the account's key.
    Key(AccountKey),
    /// The app's managed identity.
    ManagedIdentity {
        /// Where the platform gives out its tokens.
        endpoint: String,
        /// Which one, where there may be several.
        client_id: Option<String>,
    },
    /// Whoever is signed in to `az`.
    AzureCli,
}

/// The key of a storage account. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountKey(String);

impl AccountKey {
    /// As the portal shows it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountKey(***)")
    }
}

/// What is said of tokens, all of it usable, or everything that is wrong with it.
pub(super) fn access_tokens(env: &Env, behind_host: bool) -> Result<AccessTokens, Vec<ConfigError>> {
    let is_needed = behind_host && resource::is_named(env);
    let mut problems = Vec::new();
    let container = container(env).and_then(|container| match container {
        None if is_needed => Err(problem(IDENTITY_STORE, NEEDED)),
        container => Ok(container),
    });
    let container = container.unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let scopes = scopes(env).map_err(|problem| problems.push(problem));
    let lifetime = lifetime(env).map_err(|problem| problems.push(problem));
    match (scopes, lifetime) {
        (Ok(scopes), Ok(lifetime)) if problems.is_empty() => {
            Ok(AccessTokens { most: scopes.lasting(lifetime), container })
        }
        _ => Err(problems),
    }
}

const NEEDED: &str = "is not set; it says where it is kept who has which identity, a private container: https://ACCOUNT.blob.core.windows.net/CONTAINER";

fn problem(name: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError { name, reason: reason.into() }
}

fn scopes(env: &Env) -> Result<Grant, ConfigError> {
    let scopes = match env.get(TOKEN_SCOPES) {
        None => Ok(DEFAULT_SCOPES.to_vec()),
        Some(names) => {
            names.split([' ', ',']).filter(|name| !name.is_empty()).map(str::parse::<Scope>).collect()
        }
    };
    let scopes: Vec<_> = scopes.map_err(|error: ValueError| problem(TOKEN_SCOPES, error.to_string()))?;
    Grant::of(scopes).ok_or_else(|| problem(TOKEN_SCOPES, "must name at least one scope"))
}

fn lifetime(env: &Env) -> Result<Lifetime, ConfigError> {
    let Some(text) = env.get(TOKEN_MINUTES) else { return Ok(Lifetime::SHORTEST) };
    let lifetime = text.parse().ok().and_then(|minutes| Lifetime::from_minutes(minutes).ok());
    lifetime.ok_or_else(|| problem(TOKEN_MINUTES, "must be a whole number from 60 to 1440"))
}

fn container(env: &Env) -> Result<Option<Container>, ConfigError> {
    let wrong = |reason: &str| problem(IDENTITY_STORE, reason);
    let key = env.get(IDENTITY_STORE_KEY).map(account_key).transpose()?;
    let Some(address) = env.get(IDENTITY_STORE) else { return Ok(None) };
    let (endpoint, account, name) = place(address).ok_or_else(|| {
        wrong("must be the address of a container, https://ACCOUNT.blob.core.windows.net/CONTAINER, and nothing more")
    })?;
    // A key is only ever used to sign; a token of an identity would travel.
    let may_be_plain = key.is_some() && is_this_machine(&endpoint);
    if endpoint.scheme() != "https" && !may_be_plain {
        return Err(wrong("must be https; http is for an account key and this machine only"));
    }
    let caller = match key {
        Some(key) => Caller::Key(key),
        None if !env.is_azure() => Caller::AzureCli,
        None => Caller::ManagedIdentity {
            endpoint: env.get(IDENTITY_ENDPOINT).map(str::to_owned).ok_or_else(|| {
                wrong("needs a managed identity, and this app has none; turn one on, in the portal under Identity")
            })?,
            // Mostly an app has one for everything.
            client_id: env.get(IDENTITY_STORE_CLIENT_ID).or(env.get(CLIENT_ID)).map(str::to_owned),
        },
    };
    Ok(Some(Container { endpoint, account, name, caller }))
}

fn account_key(text: &str) -> Result<AccountKey, ConfigError> {
    let wrong =
        || problem(IDENTITY_STORE_KEY, "is not base64; copy it from the storage account's Access keys page");
    STANDARD.decode(text).map(|_| AccountKey(text.to_owned())).map_err(|_| wrong())
}

/// Endpoint, account and container. An account is the first part of a host name, or, on this machine, of the path.
fn place(address: &str) -> Option<(Url, String, String)> {
    let url = Url::parse(address).ok()?;
    let bare = url.username().is_empty() && url.password().is_none();
    if !bare || url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    let mut path: Vec<_> = url.path_segments()?.collect();
    if path.last() == Some(&"") {
        path.pop();
    }
    let mut endpoint = url.clone();
    let (account, name) = match (path.as_slice(), is_this_machine(&url), url.host()?) {
        ([account, name], true, _) => {
            endpoint.set_path(account);
            (*account, *name)
        }
        ([name], false, Host::Domain(host)) => {
            endpoint.set_path("");
            (host.split('.').next()?, *name)
        }
        _ => return None,
    };
    let right = is_account(account) && is_container(name);
    right.then(|| (endpoint, account.to_owned(), name.to_owned()))
}

fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn is_container(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (3..=63).contains(&name.len()) && name.bytes().all(plain)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        COMMUNICATION, COMMUNICATION_ENDPOINT, Config, ConfigErrors, HOST_PORT, SIGNALR, SITE_NAME,
    };

    const ON: (&str, &str) = (COMMUNICATION, "endpoint=https://h/;accesskey=aHVzaA==");
    const STORE: (&str, &str) = (IDENTITY_STORE, "https://account.blob.core.windows.net/chat-identities");
    const KEY: (&str, &str) = (IDENTITY_STORE_KEY, "aHVzaA==");

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        Config::read(&variables.iter().copied().collect())
    }

    fn container(variables: &[(&str, &str)]) -> Container {
        read(variables).unwrap().tokens.container.unwrap()
    }

    #[test]
    fn a_token_may_do_as_little_as_possible_for_as_short_as_possible_unless_it_is_said_otherwise() {
        let most = read(&[]).unwrap().tokens.most;
        assert_eq!(most.scopes(), [Scope::CHAT_JOIN_LIMITED, Scope::VOIP_JOIN]);
        assert_eq!(most.lifetime(), Some(Lifetime::SHORTEST));
        let most = read(&[(TOKEN_SCOPES, "chat, voip chat"), (TOKEN_MINUTES, "1440")]).unwrap().tokens.most;
        assert_eq!(most.scopes(), [Scope::CHAT, Scope::VOIP]);
        assert_eq!(most.lifetime(), Some(Lifetime::LONGEST));
    }

    #[test]
    fn a_container_is_called_with_a_key_with_the_apps_identity_or_with_the_developers() {
        let developers = container(&[ON, STORE]);
        assert_eq!(developers.endpoint.as_str(), "https://account.blob.core.windows.net/");
        assert_eq!((developers.account.as_str(), developers.name.as_str()), ("account", "chat-identities"));
        assert_eq!(developers.caller, Caller::AzureCli);
        assert_eq!(container(&[ON, STORE, KEY]).caller, Caller::Key(AccountKey(KEY.1.to_owned())));
        let identity = (IDENTITY_ENDPOINT, "http://localhost:1/token");
        let managed = |client_id: Option<&str>| Caller::ManagedIdentity {
            endpoint: identity.1.to_owned(),
            client_id: client_id.map(str::to_owned),
        };
        let (own, signalrs) = ((IDENTITY_STORE_CLIENT_ID, "c"), (CLIENT_ID, "d"));
        let uri = (crate::config::SERVICE_URI, "https://h");
        assert_eq!(container(&[ON, STORE, identity]).caller, managed(None));
        assert_eq!(container(&[ON, STORE, identity, uri, signalrs]).caller, managed(Some("d")));
        assert_eq!(container(&[ON, STORE, identity, uri, signalrs, own]).caller, managed(Some("c")));
    }

    #[test]
    fn an_account_on_this_machine_is_in_the_path() {
        let azurite = container(&[
            ON,
            KEY,
            (IDENTITY_STORE, "http://127.0.0.1:10000/devstoreaccount1/chat-identities/"),
        ]);
        assert_eq!(azurite.endpoint.as_str(), "http://127.0.0.1:10000/devstoreaccount1");
        assert_eq!(
            (azurite.account.as_str(), azurite.name.as_str()),
            ("devstoreaccount1", "chat-identities")
        );
    }

    #[test]
    fn each_mistake_is_named_and_no_value_is_told() {
        let host = [(HOST_PORT, "1"), (SIGNALR, "Endpoint=https://h;AccessKey=k")];
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
            (&[(IDENTITY_STORE, "http://account.blob.core.windows.net/chat"), KEY], IDENTITY_STORE),
            (&[(IDENTITY_STORE, "http://127.0.0.1:1/account/chat")], IDENTITY_STORE),
            (&[host[0], host[1], ON], IDENTITY_STORE),
            (&[host[0], host[1], (COMMUNICATION_ENDPOINT, "https://h")], IDENTITY_STORE),
            (&[host[0], host[1], ON, STORE, (SITE_NAME, "app")], IDENTITY_STORE),
        ] {
            let told = read(variables).unwrap_err();
            assert_eq!(told.problems.iter().map(|problem| problem.name).collect::<Vec<_>>(), [expected]);
            assert!(!format!("{told:?}").contains("hush"), "{told:?}");
        }
    }

    #[test]
    fn neither_key_prints() {
        assert!(!format!("{:?}", read(&[ON, STORE, KEY]).unwrap()).contains("aHVzaA"));
    }
}
