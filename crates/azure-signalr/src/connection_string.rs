//! The connection string of a service, as the portal and the emulator print it.
//!
//! The grammar is that of the official SDK (`ConnectionStringParser.cs` of Azure/azure-signalr), with one addition: what is well-formed
//! there but cannot be used here is an error of its own instead of a failure of the first call.

use std::str::FromStr;

use azure_credentials::{CredentialSource, CredentialSourceError};
use azure_http::{ConnectionProperties, RootCertificates, Secret, is_encrypted_or_local, parse_base_url};
use url::Url;

/// The address of a service and the credential to call it with: an access key, or an identity of Microsoft Entra ID.
///
/// Parsed from `Endpoint=…;AccessKey=…;Version=1.0;`, or from `Endpoint=…;AuthType=azure…;Version=1.0;`, or
/// [made](Self::with_identity) of an address and an identity.
///
/// ```
/// let signalr: azure_signalr::ConnectionString = "Endpoint=http://localhost;Port=8888;AccessKey=k;Version=1.0;".parse()?;
/// assert_eq!(signalr.endpoint().as_str(), "http://localhost:8888/");
/// assert!(!format!("{signalr:?}").contains("AccessKey=k"));
/// # Ok::<(), azure_signalr::ConnectionStringError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionString {
    endpoint: Url,
    client_endpoint: Option<Url>,
    server_endpoint: Option<Url>,
    pub(crate) credential: Credential,
    roots: RootCertificates,
}

/// The credential of calls.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    AccessKey(Secret),
    Identity(CredentialSource),
}

impl ConnectionString {
    /// The service at `endpoint`, like `https://NAME.service.signalr.net`, called with an identity.
    ///
    /// # Errors
    ///
    /// When the endpoint is not an absolute http or https address, or would get the token unencrypted.
    pub fn with_identity(endpoint: &str, identity: CredentialSource) -> Result<Self, ConnectionStringError> {
        let endpoint = base_url(endpoint).ok_or(ConnectionStringError::InvalidEndpoint)?;
        let credential = Credential::Identity(identity);
        let (client_endpoint, server_endpoint, roots) = (None, None, RootCertificates::default());
        Self { endpoint, client_endpoint, server_endpoint, credential, roots }.checked()
    }

    /// Says whether this process runs on Azure, which it does not by default. There, `AuthType=azure` means the managed identity, elsewhere
    /// that of the developer's tools.
    #[must_use]
    pub fn on_azure(mut self, on_azure: bool) -> Self {
        if let Credential::Identity(identity) = self.credential {
            self.credential = Credential::Identity(identity.on_azure(on_azure));
        }
        self
    }

    /// Trusts servers with certificates of these authorities as well.
    #[must_use]
    pub fn with_roots(mut self, roots: RootCertificates) -> Self {
        self.roots = roots;
        self
    }

    /// The authorities that are trusted beside Mozilla's.
    pub fn roots(&self) -> &RootCertificates {
        &self.roots
    }

    /// The address of the service, with `Port` applied.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The address clients connect to: `ClientEndpoint` where there is one (a gateway in front of the service).
    pub fn client_endpoint(&self) -> &Url {
        self.client_endpoint.as_ref().unwrap_or(&self.endpoint)
    }

    /// The address REST calls go to: `ServerEndpoint` where there is one.
    pub fn server_endpoint(&self) -> &Url {
        self.server_endpoint.as_ref().unwrap_or(&self.endpoint)
    }

    /// The beginning of the audiences of tokens: scheme and host of the endpoint, without port and path.
    pub fn audience_base(&self) -> Url {
        let mut base = self.endpoint.clone();
        // Both calls fail only for addresses without a host, which `base_url` has refused.
        let _ = base.set_port(None);
        base.set_path("/");
        base
    }

    /// The key itself, if there is one, for an emulator of the service. It must not be logged.
    pub fn access_key(&self) -> Option<&str> {
        match &self.credential {
            Credential::AccessKey(key) => Some(key.expose()),
            Credential::Identity(_) => None,
        }
    }

    /// The identity, if there is no key.
    pub fn identity(&self) -> Option<&CredentialSource> {
        match &self.credential {
            Credential::AccessKey(_) => None,
            Credential::Identity(identity) => Some(identity),
        }
    }

    /// A key signs and is never sent. The token of an identity is sent, and is good for all that the identity may do: only encrypted, or
    /// on this machine.
    fn checked(self) -> Result<Self, ConnectionStringError> {
        let is_safe = self.identity().is_none() || is_encrypted_or_local(self.server_endpoint());
        is_safe.then_some(self).ok_or(ConnectionStringError::InsecureEndpoint)
    }
}

impl FromStr for ConnectionString {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let properties = ConnectionProperties::parse(text).map_err(|_| ConnectionStringError::DuplicateProperty)?;
        let endpoint = properties.get("Endpoint").ok_or(ConnectionStringError::MissingEndpoint)?;
        let mut endpoint = base_url(endpoint).ok_or(ConnectionStringError::InvalidEndpoint)?;
        if let Some(port) = properties.get("Port") {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0);
            port.and_then(|port| endpoint.set_port(Some(port)).ok()).ok_or(ConnectionStringError::InvalidPort)?;
        }
        if properties.get("Version").is_some_and(|version| !is_version_1(version)) {
            return Err(ConnectionStringError::UnsupportedVersion);
        }
        let optional = |name, error| properties.get(name).map(|address| base_url(address).ok_or(error)).transpose();
        let client_endpoint = optional("ClientEndpoint", ConnectionStringError::InvalidClientEndpoint)?;
        let server_endpoint = optional("ServerEndpoint", ConnectionStringError::InvalidServerEndpoint)?;
        let credential = credential(&properties)?;
        let roots = RootCertificates::default();
        Self { endpoint, client_endpoint, server_endpoint, credential, roots }.checked()
    }
}

/// Any other `AuthType` means a key, as it does to the official parser.
fn credential(properties: &ConnectionProperties<'_>) -> Result<Credential, ConnectionStringError> {
    let auth_type = properties.get("AuthType").unwrap_or_default().to_ascii_lowercase();
    let client_id = properties.get("ClientId");
    let identity = match auth_type.as_str() {
        "azure" => CredentialSource::automatic(None, None)?,
        "azure.msi" => CredentialSource::managed_identity(client_id)?,
        "azure.app" => application(properties)?,
        "aad" if client_id.is_some() && properties.get("TenantId").is_some() => application(properties)?,
        "aad" => CredentialSource::managed_identity(client_id)?,
        _ => {
            let key = properties.get("AccessKey").ok_or(ConnectionStringError::MissingAccessKey)?;
            return Ok(Credential::AccessKey(Secret::new(key)));
        }
    };
    Ok(Credential::Identity(identity))
}

fn application(properties: &ConnectionProperties<'_>) -> Result<CredentialSource, ConnectionStringError> {
    let client_id = properties.get("ClientId").ok_or(ConnectionStringError::MissingClientId)?;
    let tenant_id = properties.get("TenantId").ok_or(ConnectionStringError::MissingTenantId)?;
    let certificate = properties.get("ClientCert").or_else(|| properties.get("ClientCertPath"));
    let client_secret = properties.get("ClientSecret").ok_or(match certificate {
        Some(_) => ConnectionStringError::CertificateNotSupported,
        None => ConnectionStringError::MissingClientSecret,
    })?;
    Ok(CredentialSource::application(client_id, tenant_id, client_secret)?)
}

/// The official parser takes trailing slashes off.
fn base_url(text: &str) -> Option<Url> {
    parse_base_url(text.trim_end_matches('/'))
}

/// `1.` and digits, then perhaps letters, digits, `_`, `-` and `.`: `1.0`, `1.1-preview`.
fn is_version_1(version: &str) -> bool {
    version.strip_prefix("1.").is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_digit())
            && rest.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    })
}

/// What is wrong with a connection string. `Display` names the property and never repeats a value, since it may be a key.
///
/// The words are those of the official SDK where it has some, so that they can be searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionStringError {
    /// There is no `Endpoint=…`.
    #[error(
        "Connection string missing required properties endpoint. It looks like Endpoint=https://NAME.service.signalr.net;AccessKey=KEY;Version=1.0;"
    )]
    MissingEndpoint,
    /// `Endpoint` is not an absolute http or https address.
    #[error("Invalid value for endpoint property, it must be a valid URI (http or https).")]
    InvalidEndpoint,
    /// `ClientEndpoint` is not an absolute http or https address.
    #[error("Invalid value for clientEndpoint property, it must be a valid URI (http or https).")]
    InvalidClientEndpoint,
    /// `ServerEndpoint` is not an absolute http or https address.
    #[error("ServerEndpoint property in connection string is not a valid URI (http or https).")]
    InvalidServerEndpoint,
    /// `Port` is not a number from 1 to 65535.
    #[error("Invalid value for port property, it must be a positive integer between (0, 65536).")]
    InvalidPort,
    /// `Version` is not `1.…`.
    #[error("This version property is not supported, it must be 1.x.")]
    UnsupportedVersion,
    /// A property occurs twice.
    #[error("Duplicate properties found in connection string; give each one once.")]
    DuplicateProperty,
    /// There is no `AccessKey=…` and no known `AuthType=…`.
    #[error("accesskey is required. Copy the whole connection string from the service's Keys page.")]
    MissingAccessKey,
    /// `AuthType=azure.app` without `ClientId`.
    #[error("Connection string missing required properties clientId.")]
    MissingClientId,
    /// `AuthType=azure.app` without `TenantId`.
    #[error("Connection string missing required properties tenantId.")]
    MissingTenantId,
    /// `AuthType=azure.app` without `ClientSecret`.
    #[error("Connection string missing required properties clientSecret.")]
    MissingClientSecret,
    /// `ClientId` is not an id.
    #[error("clientId must be the id of an identity or application: letters, digits and dashes.")]
    InvalidClientId,
    /// `TenantId` is neither an id nor a domain name.
    #[error("tenantId must be the id or the domain name of a tenant.")]
    InvalidTenantId,
    /// `AuthType=azure.app` with a certificate, which needs OpenSSL.
    #[error(
        "clientCert is not supported, since it needs OpenSSL; use clientSecret or, better, AuthType=azure.msi, which needs no secret."
    )]
    CertificateNotSupported,
    /// The token of an identity would be sent unencrypted.
    #[error(
        "With an identity the endpoint must be https, or its token would travel in clear; http is for this machine only."
    )]
    InsecureEndpoint,
}

impl From<CredentialSourceError> for ConnectionStringError {
    fn from(error: CredentialSourceError) -> Self {
        match error {
            CredentialSourceError::InvalidTenantId => Self::InvalidTenantId,
            CredentialSourceError::MissingClientSecret => Self::MissingClientSecret,
            _ => Self::InvalidClientId,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionStringError as E;
    use super::*;

    fn parse(text: &str) -> Result<ConnectionString, E> {
        text.parse()
    }

    #[test]
    fn case_1_the_emulators_string_has_its_port_apart_and_its_audience_without() {
        let parsed = parse("Endpoint=http://localhost;Port=8888;AccessKey=k;Version=1.0;").unwrap();
        assert_eq!(parsed.endpoint().as_str(), "http://localhost:8888/");
        assert_eq!(parsed.audience_base().as_str(), "http://localhost/");
    }

    #[test]
    fn case_2_names_are_found_in_any_case_and_keys_keep_their_equals_signs() {
        let parsed = parse("endpoint=https://h/;accesskey=a==").unwrap();
        assert_eq!(parsed.endpoint().as_str(), "https://h/");
        assert_eq!(parsed.access_key(), Some("a=="));
    }

    #[test]
    fn case_3_each_mistake_is_named() {
        for (text, expected) in [
            ("", E::MissingEndpoint),
            ("nonsense", E::MissingEndpoint),
            ("AccessKey=k", E::MissingEndpoint),
            ("Endpoint=;AccessKey=k", E::MissingEndpoint),
            ("Endpoint=https://h", E::MissingAccessKey),
            ("Endpoint=https://h;AccessKey=", E::MissingAccessKey),
            ("Endpoint=ftp://h;AccessKey=k", E::InvalidEndpoint),
            ("Endpoint=h;AccessKey=k", E::InvalidEndpoint),
            ("Endpoint=https://user:word@h;AccessKey=k", E::InvalidEndpoint),
            ("Endpoint=https://h;AccessKey=k;Port=0", E::InvalidPort),
            ("Endpoint=https://h;AccessKey=k;Port=70000", E::InvalidPort),
            ("Endpoint=https://h;AccessKey=k;Port=http", E::InvalidPort),
            ("Endpoint=https://h;AccessKey=k;Version=2.0", E::UnsupportedVersion),
            ("Endpoint=https://h;AccessKey=k;Version=1.", E::UnsupportedVersion),
            ("Endpoint=https://h;AccessKey=k;accesskey=k", E::DuplicateProperty),
            ("Endpoint=https://h;AccessKey=k;ClientEndpoint=b", E::InvalidClientEndpoint),
            ("Endpoint=https://h;AccessKey=k;ServerEndpoint=b", E::InvalidServerEndpoint),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn versions_with_a_suffix_are_fine_and_unknown_properties_are_ignored() {
        parse("Endpoint=https://h;AccessKey=k;Version=1.1-preview;Colour=blue;;").unwrap();
    }

    #[test]
    fn case_4_port_overrides_the_endpoints_port_only() {
        let parsed = parse("Endpoint=http://a:500;Port=400;AccessKey=k;ClientEndpoint=http://b").unwrap();
        assert_eq!(parsed.endpoint().port(), Some(400));
        assert_eq!(parsed.client_endpoint().as_str(), "http://b/");
        assert_eq!(parsed.server_endpoint().port(), Some(400));
    }

    #[test]
    fn case_5_each_mistake_of_an_identity_is_named() {
        for (auth, expected) in [
            ("AuthType=azure.msi;ClientId=a/b", E::InvalidClientId),
            ("AuthType=aad;ClientId=c;TenantId=t", E::MissingClientSecret),
            ("AuthType=azure.app;TenantId=t", E::MissingClientId),
            ("AuthType=azure.app;ClientId=c", E::MissingTenantId),
            ("AuthType=azure.app;ClientId=c;TenantId=t", E::MissingClientSecret),
            ("AuthType=azure.app;ClientId=c;TenantId=../t;ClientSecret=s", E::InvalidTenantId),
            ("AuthType=azure.app;ClientId=c;TenantId=t;ClientCert=/c.pfx", E::CertificateNotSupported),
            ("AuthType=azure.app;ClientId=c;TenantId=t;ClientCertPath=/c.pfx", E::CertificateNotSupported),
            ("AuthType=azure;ServerEndpoint=http://h", E::InsecureEndpoint),
            ("AuthType=nonsense", E::MissingAccessKey),
        ] {
            assert_eq!(parse(&format!("Endpoint=https://h;{auth}")).unwrap_err(), expected, "{auth}");
        }
        parse("Endpoint=https://h;AuthType=nonsense;AccessKey=k").unwrap();
    }

    #[test]
    fn case_5_each_way_to_name_an_identity_is_understood() {
        let managed = |client_id| CredentialSource::managed_identity(client_id).unwrap();
        for (auth, expected) in [
            ("AuthType=azure;ClientId=not/looked/at", CredentialSource::automatic(None, None).unwrap()),
            ("AuthType=Azure.MSI", managed(None)),
            ("authtype=azure.msi;CLIENTID=c;TenantId=not/looked/at", managed(Some("c"))),
            ("AuthType=aad", managed(None)),
            ("AuthType=aad;ClientId=c", managed(Some("c"))),
            ("AuthType=aad;TenantId=t;ClientSecret=s", managed(None)),
            (
                "AuthType=aad;ClientId=c;TenantId=t;ClientSecret=s==",
                CredentialSource::application("c", "t", "s==").unwrap(),
            ),
            (
                "AuthType=azure.app;ClientId=c;TenantId=t;ClientSecret=s;ClientCert=/c",
                CredentialSource::application("c", "t", "s").unwrap(),
            ),
        ] {
            let parsed = parse(&format!("Endpoint=https://h;{auth};AccessKey=unused")).unwrap();
            assert_eq!((parsed.identity(), parsed.access_key()), (Some(&expected), None), "{auth}");
        }
    }

    #[test]
    fn the_token_of_an_identity_does_not_leave_the_machine_unencrypted() {
        for address in ["http://localhost", "http://127.0.0.1:8888", "http://[::1]", "https://h"] {
            ConnectionString::with_identity(address, CredentialSource::managed_identity(None).unwrap()).unwrap();
        }
        for address in ["http://h", "http://localhost.h", "http://10.0.0.1"] {
            let refused = ConnectionString::with_identity(address, CredentialSource::managed_identity(None).unwrap());
            assert_eq!(refused.unwrap_err(), E::InsecureEndpoint, "{address}");
        }
        parse("Endpoint=http://h;AccessKey=k").unwrap();
    }

    #[test]
    fn neither_a_parsed_string_nor_a_mistake_shows_the_key() {
        let parsed = parse("Endpoint=https://h;AccessKey=hush").unwrap();
        assert!(!format!("{parsed:?}").contains("hush"));
        let mistake = parse("Endpoint=hush;AccessKey=hush").unwrap_err();
        assert!(!format!("{mistake} {mistake:?}").contains("hush"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(Endpoint|Port|AccessKey|Version|AuthType|azure.app|[ -~]{0,5}|=|;|http://h|é){0,12}") {
            let _ = parse(&text);
        }
    }
}
