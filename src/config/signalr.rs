//! The settings of the SignalR service: its address, and a key or an identity.
//!
//! There are two forms, a connection string and a setting for each part; both at once are an error.

use azure_http::{RootCertificates, RootCertificatesError};
use azure_signalr::{ConnectionString, ConnectionStringError, CredentialSource};

use super::{CLIENT_ID, CLIENT_SECRET, CREDENTIAL, ConfigError, Env, ROOTS, SERVICE_URI, SIGNALR, TENANT_ID};

pub(super) const NO_IDENTITY: &str =
    "asks for a managed identity, and this app has none; turn one on, in the portal under Identity";
pub(super) const NOT_A_CREDENTIAL: &str =
    "must be managedidentity; left out, it is the managed identity on Azure and `az login` elsewhere";

/// The service with its additional root certificates. Behind a host there must be one.
pub(super) fn read(env: &Env) -> Result<Option<ConnectionString>, ConfigError> {
    let Some(connection) = named(env)? else { return Ok(None) };
    Ok(Some(match roots(env, ROOTS)? {
        Some(roots) => connection.with_roots(roots),
        None => connection,
    }))
}

/// The service, in either of the two forms.
fn named(env: &Env) -> Result<Option<ConnectionString>, ConfigError> {
    let parts = [SERVICE_URI, CREDENTIAL, CLIENT_ID, TENANT_ID, CLIENT_SECRET];
    let part = parts.into_iter().find(|name| env.get(name).is_some());
    let wrong = |reason: String| ConfigError::new(SIGNALR, reason);
    let (name, connection) = match (env.get(SIGNALR), part) {
        (None, None) if env.is_behind_host() => {
            let keys = "is not set; copy the connection string from the service's Keys page";
            return Err(wrong(format!("{keys}, or set {SERVICE_URI} to use an identity")));
        }
        (None, None) => return Ok(None),
        (None, Some(_)) => (SERVICE_URI, service_with_identity(env)?),
        (Some(text), None) => {
            let connection = text.parse::<ConnectionString>();
            (SIGNALR, connection.map_err(|error| wrong(error.to_string()))?)
        }
        // With a precedence, a key could stay in use unnoticed.
        (Some(_), Some(part)) => {
            return Err(wrong(format!("is set, and so is {part}; take away the one you do not mean")));
        }
    };
    let connection = connection.on_azure(env.is_azure());
    if connection.identity().is_some_and(CredentialSource::is_managed_identity) && env.lacks_identity() {
        return Err(ConfigError::new(name, NO_IDENTITY));
    }
    Ok(Some(connection))
}

/// The certificates in a setting, if it is there.
pub(super) fn roots(env: &Env, name: &'static str) -> Result<Option<RootCertificates>, ConfigError> {
    // In settings of one line, line feeds are written as `\\n`.
    let roots = env.get(name).map(|pem| pem.replace("\\n", "\n").parse()).transpose();
    roots.map_err(|error: RootCertificatesError| ConfigError::new(name, error))
}

/// The form that has a setting for each part. The values of `credential` are those of other Azure Functions connections.
fn service_with_identity(env: &Env) -> Result<ConnectionString, ConfigError> {
    let endpoint = env.get(SERVICE_URI).ok_or_else(|| {
        ConfigError::new(SERVICE_URI, "is not set; it is the address of the service, https://NAME.service.signalr.net")
    })?;
    let (client_id, tenant_id) = (env.get(CLIENT_ID), env.get(TENANT_ID));
    let credential = env.get(CREDENTIAL).map(str::to_ascii_lowercase);
    let identity = match (credential.as_deref(), env.get(CLIENT_SECRET)) {
        (Some("managedidentity"), None) => CredentialSource::managed_identity(client_id),
        (Some("managedidentity"), Some(_)) => {
            return Err(ConfigError::new(
                CLIENT_SECRET,
                "is not for a managed identity, which needs no secret; take it away",
            ));
        }
        (Some(_), _) => return Err(ConfigError::new(CREDENTIAL, NOT_A_CREDENTIAL)),
        (None, None) => CredentialSource::automatic(client_id, tenant_id),
        (None, Some(secret)) => CredentialSource::application(
            client_id.ok_or_else(|| ConfigError::new(CLIENT_ID, "is not set; it is the id of the application"))?,
            tenant_id.ok_or_else(|| ConfigError::new(TENANT_ID, "is not set; it is the tenant of the application"))?,
            secret,
        ),
    };
    let identity = identity.map_err(ConnectionStringError::from);
    let connection = identity.and_then(|identity| ConnectionString::with_identity(endpoint, identity));
    connection.map_err(|error| match error {
        ConnectionStringError::InvalidClientId => ConfigError::new(CLIENT_ID, error),
        ConnectionStringError::InvalidTenantId => ConfigError::new(TENANT_ID, error),
        ConnectionStringError::InvalidEndpoint => {
            ConfigError::new(SERVICE_URI, "must be the address of the service, https://NAME.service.signalr.net")
        }
        error => ConfigError::new(SERVICE_URI, error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{KEY, problems, read};
    use crate::config::{IDENTITY_ENDPOINT, SITE_NAME};

    fn identity(variables: &[(&str, &str)]) -> CredentialSource {
        read(variables).unwrap().signalr.unwrap().identity().unwrap().clone()
    }

    #[test]
    fn an_identity_instead_of_a_key_is_read_in_any_letter_case() {
        let config = read(&[
            ("AZURESIGNALRCONNECTIONSTRING__SERVICEURI", "https://h/"),
            ("azuresignalrconnectionstring__CREDENTIAL", "ManagedIdentity"),
            ("AzureSignalRConnectionString__ClientID", "c"),
        ]);
        let signalr = config.unwrap().signalr.unwrap();
        assert_eq!(signalr.endpoint().as_str(), "https://h/");
        assert_eq!(
            (signalr.identity(), signalr.access_key()),
            (Some(&CredentialSource::managed_identity(Some("c")).unwrap()), None)
        );
    }

    #[test]
    fn an_identity_that_is_left_open_is_the_apps_on_azure_and_the_developers_elsewhere() {
        let uri = (SERVICE_URI, "https://h");
        let (managed, developer) =
            (CredentialSource::managed_identity(None).unwrap(), CredentialSource::automatic(None, None).unwrap());
        let [on_azure, elsewhere] = [true, false].map(|azure| {
            let open = ConnectionString::with_identity("https://h", developer.clone()).unwrap();
            open.on_azure(azure).identity().unwrap().clone()
        });
        assert_eq!(on_azure, managed);
        let (site, endpoint) = ((SITE_NAME, "app"), (IDENTITY_ENDPOINT, "http://localhost:1"));
        let open = (SIGNALR, "Endpoint=https://h;AuthType=azure");
        for variables in [&[uri, site, endpoint][..], &[uri, endpoint], &[open, site, endpoint]] {
            assert_eq!(identity(variables), on_azure);
        }
        assert_eq!(identity(&[uri]), elsewhere);
        assert_eq!(identity(&[(SIGNALR, "Endpoint=https://h;AuthType=azure")]), elsewhere);
    }

    #[test]
    fn an_application_needs_its_ids_and_its_secret() {
        let (uri, secret) = ((SERVICE_URI, "https://h"), (CLIENT_SECRET, "hush"));
        let (client, tenant) = ((CLIENT_ID, "c"), (TENANT_ID, "t"));
        assert_eq!(identity(&[uri, client, tenant, secret]), CredentialSource::application("c", "t", "hush").unwrap());
        assert_eq!(problems(&[uri, secret, tenant]), [CLIENT_ID]);
        assert_eq!(problems(&[uri, secret, client]), [TENANT_ID]);
    }

    #[test]
    fn each_mistake_of_an_identity_is_named() {
        let uri = (SERVICE_URI, "https://h");
        for (variables, expected) in [
            (&[(SERVICE_URI, "h")][..], SERVICE_URI),
            (&[(SERVICE_URI, "http://h")], SERVICE_URI),
            (&[(CREDENTIAL, "managedidentity")], SERVICE_URI),
            (&[(CLIENT_ID, "c")], SERVICE_URI),
            (&[uri, (CREDENTIAL, "hush")], CREDENTIAL),
            (&[uri, (CLIENT_ID, "a/b")], CLIENT_ID),
            (&[uri, (TENANT_ID, "a/b")], TENANT_ID),
            (&[uri, (CREDENTIAL, "managedidentity"), (CLIENT_SECRET, "hush")], CLIENT_SECRET),
            (&[uri, (SIGNALR, KEY)], SIGNALR),
            (&[uri, (SITE_NAME, "app")], SERVICE_URI),
            (&[(SIGNALR, "Endpoint=https://h;AuthType=azure.msi"), (SITE_NAME, "app")], SIGNALR),
        ] {
            assert_eq!(problems(variables), [expected]);
        }
    }

    #[test]
    fn further_roots_are_certificates_or_a_problem() {
        assert_eq!(problems(&[(SIGNALR, KEY), (ROOTS, "nonsense")]), [ROOTS]);
    }
}
