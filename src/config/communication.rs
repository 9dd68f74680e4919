//! The settings of the Azure Communication Services resource: its address, and a key or an identity.
//!
//! As with SignalR there are two forms, and setting both is an error. With an identity the address must be https, even on loopback.

use std::fmt::Display;

use azure_communication::{ConnectionString, ConnectionStringError, Endpoint};
use azure_credentials::CredentialSource;
use azure_http::RootCertificates;

use super::signalr::{NO_IDENTITY, NOT_A_CREDENTIAL, roots};
use super::{
    COMMUNICATION, COMMUNICATION_CLIENT_ID, COMMUNICATION_CREDENTIAL, COMMUNICATION_ENDPOINT, COMMUNICATION_ROOTS,
    ConfigError, Env,
};

/// The Azure Communication Services resource, and how requests to it are authorized.
#[derive(Clone, Debug)]
pub enum Communication {
    /// With an access key.
    Key(ConnectionString),
    /// With tokens of an identity; the address is https.
    Identity(Endpoint, CredentialSource),
}

impl Communication {
    /// The address of the resource.
    pub fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Key(connection) => connection.endpoint(),
            Self::Identity(endpoint, _) => endpoint,
        }
    }

    fn with_roots(self, roots: RootCertificates) -> Self {
        match self {
            Self::Key(connection) => Self::Key(connection.with_roots(roots)),
            Self::Identity(endpoint, identity) => Self::Identity(endpoint.with_roots(roots), identity),
        }
    }
}

/// Whether a resource is named, valid or not.
pub(super) fn is_named(env: &Env) -> bool {
    [COMMUNICATION, COMMUNICATION_ENDPOINT].into_iter().any(|name| env.get(name).is_some())
}

/// The resource, if there is one, with the roots to trust.
pub(super) fn read(env: &Env) -> Result<Option<Communication>, ConfigError> {
    let Some(resource) = named(env)? else { return Ok(None) };
    Ok(Some(match roots(env, COMMUNICATION_ROOTS)? {
        Some(roots) => resource.with_roots(roots),
        None => resource,
    }))
}

/// The resource, in either of the two forms.
fn named(env: &Env) -> Result<Option<Communication>, ConfigError> {
    let parts = [COMMUNICATION_ENDPOINT, COMMUNICATION_CREDENTIAL, COMMUNICATION_CLIENT_ID];
    match (env.get(COMMUNICATION), parts.into_iter().find(|name| env.get(name).is_some())) {
        (None, None) => Ok(None),
        (None, Some(_)) => with_identity(env).map(Some),
        (Some(text), None) => {
            let key = text.parse().map(|connection| Some(Communication::Key(connection)));
            key.map_err(|error: ConnectionStringError| ConfigError::new(COMMUNICATION, error))
        }
        // The second form means to replace the key; using the key silently would hide that.
        (Some(_), Some(part)) => {
            let reason = format!("is set, and so is {part}; take away the one you do not mean");
            Err(ConfigError::new(COMMUNICATION, reason))
        }
    }
}

/// The form that has a setting for each part.
fn with_identity(env: &Env) -> Result<Communication, ConfigError> {
    let wrong = |reason: &dyn Display| ConfigError::new(COMMUNICATION_ENDPOINT, reason);
    let endpoint = env
        .get(COMMUNICATION_ENDPOINT)
        .ok_or_else(|| wrong(&"is not set; it is the address of the resource, https://NAME.communication.azure.com"))?;
    let endpoint = endpoint.parse::<Endpoint>().map_err(|error| wrong(&error))?;
    if !endpoint.as_str().starts_with("https:") {
        return Err(wrong(&ConnectionStringError::InsecureEndpoint));
    }
    let client_id = env.get(COMMUNICATION_CLIENT_ID);
    let identity = match env.get(COMMUNICATION_CREDENTIAL) {
        None => CredentialSource::automatic(client_id, None),
        Some(credential) if credential.eq_ignore_ascii_case("managedidentity") => {
            CredentialSource::managed_identity(client_id)
        }
        Some(_) => return Err(ConfigError::new(COMMUNICATION_CREDENTIAL, NOT_A_CREDENTIAL)),
    };
    let identity = identity.map_err(|error| ConfigError::new(COMMUNICATION_CLIENT_ID, error))?;
    let identity = identity.on_azure(env.is_azure());
    if identity.is_managed_identity() && env.lacks_identity() {
        return Err(wrong(&NO_IDENTITY));
    }
    Ok(Communication::Identity(endpoint, identity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::problems;
    use crate::config::{CLIENT_ID, IDENTITY_ENDPOINT, SITE_NAME};

    const KEY: (&str, &str) = (COMMUNICATION, "endpoint=https://h/;accesskey=aHVzaA==");
    const ENDPOINT: (&str, &str) = (COMMUNICATION_ENDPOINT, "https://contoso.communication.azure.com");

    fn resource(variables: &[(&str, &str)]) -> Result<Option<Communication>, ConfigError> {
        read(&variables.iter().copied().collect())
    }

    fn identity(variables: &[(&str, &str)]) -> CredentialSource {
        match resource(variables).unwrap().unwrap() {
            Communication::Identity(_, identity) => identity,
            Communication::Key(_) => panic!("there is a key"),
        }
    }

    #[test]
    fn a_key_or_an_identity_says_where_it_is() {
        assert!(resource(&[]).unwrap().is_none());
        let with_key = resource(&[KEY]).unwrap().unwrap();
        assert_eq!(with_key.endpoint().as_str(), "https://h/");
        let keyless = resource(&[ENDPOINT]).unwrap().unwrap();
        assert_eq!(keyless.endpoint().as_str(), "https://contoso.communication.azure.com/");
    }

    #[test]
    fn an_identity_is_the_apps_on_azure_and_the_developers_elsewhere_unless_it_is_said() {
        let client = (COMMUNICATION_CLIENT_ID, "c");
        let azure = (IDENTITY_ENDPOINT, "http://localhost:1");
        let credential = ("azurecommunicationservicesconnectionstring__CREDENTIAL", "ManagedIdentity");
        let managed = |client_id| CredentialSource::managed_identity(client_id).unwrap();
        assert_eq!(identity(&[ENDPOINT, azure]), managed(None));
        assert_eq!(identity(&[ENDPOINT, azure, client]), managed(Some("c")));
        assert_eq!(identity(&[ENDPOINT, credential, client]), managed(Some("c")));
        assert_eq!(identity(&[ENDPOINT, client]), CredentialSource::automatic(None, None).unwrap().on_azure(false));
        // The identity that SignalR is called with is not meant.
        assert_eq!(identity(&[ENDPOINT, azure, (CLIENT_ID, "d")]), managed(None));
    }

    #[test]
    fn each_mistake_is_named_and_no_value_is_told() {
        for (variables, expected) in [
            (&[KEY, ENDPOINT][..], COMMUNICATION),
            (&[KEY, (COMMUNICATION_CREDENTIAL, "managedidentity")], COMMUNICATION),
            (&[KEY, (COMMUNICATION_CLIENT_ID, "hush")], COMMUNICATION),
            (&[KEY, (COMMUNICATION_ROOTS, "hush")], COMMUNICATION_ROOTS),
            (&[(COMMUNICATION_CREDENTIAL, "managedidentity")], COMMUNICATION_ENDPOINT),
            (&[(COMMUNICATION_CLIENT_ID, "hush")], COMMUNICATION_ENDPOINT),
            (&[(COMMUNICATION_ENDPOINT, "hush")], COMMUNICATION_ENDPOINT),
            (&[(COMMUNICATION_ENDPOINT, "https://h/hush")], COMMUNICATION_ENDPOINT),
            (&[(COMMUNICATION_ENDPOINT, "http://hush")], COMMUNICATION_ENDPOINT),
            (&[(COMMUNICATION_ENDPOINT, "http://127.0.0.1:1")], COMMUNICATION_ENDPOINT),
            (&[ENDPOINT, (COMMUNICATION_CREDENTIAL, "hush")], COMMUNICATION_CREDENTIAL),
            (&[ENDPOINT, (COMMUNICATION_CLIENT_ID, "hush/")], COMMUNICATION_CLIENT_ID),
            (&[ENDPOINT, (COMMUNICATION_ROOTS, "hush")], COMMUNICATION_ROOTS),
            (&[ENDPOINT, (SITE_NAME, "app")], COMMUNICATION_ENDPOINT),
        ] {
            assert_eq!(problems(variables), [expected], "{variables:?}");
        }
    }
}
