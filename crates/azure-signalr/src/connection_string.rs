//! The connection string of a service, as the portal and the emulator print it.
//!
//! The grammar is that of the official SDK (`ConnectionStringParser.cs` of Azure/azure-signalr), with one addition: what is
//! well-formed there but cannot be used here is an error of its own instead of a surprise at the first call.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::secret::Secret;

/// Where a service is and how to sign for it. Parsed from `Endpoint=…;AccessKey=…;Version=1.0;`.
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
    access_key: Secret,
}

impl ConnectionString {
    /// The address of the service, with `Port` applied.
    #[must_use]
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The address clients connect to: `ClientEndpoint` where there is one (a gateway in front of the service).
    #[must_use]
    pub fn client_endpoint(&self) -> &Url {
        self.client_endpoint.as_ref().unwrap_or(&self.endpoint)
    }

    /// The address REST calls go to: `ServerEndpoint` where there is one.
    #[must_use]
    pub fn server_endpoint(&self) -> &Url {
        self.server_endpoint.as_ref().unwrap_or(&self.endpoint)
    }

    /// What audiences of tokens begin with: scheme and host of the endpoint, never a port, never a path.
    #[must_use]
    pub fn audience_base(&self) -> Url {
        let mut base = self.endpoint.clone();
        // Both calls fail only for addresses without a host, which `web_address` has refused.
        let _ = base.set_port(None);
        base.set_path("/");
        base
    }

    /// The key itself, for whoever stands in for the service. It must not be logged.
    #[must_use]
    pub fn access_key(&self) -> &str {
        self.access_key.expose()
    }
}

impl FromStr for ConnectionString {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let properties = Properties::split(text)?;
        let endpoint = properties.get("endpoint").ok_or(ConnectionStringError::MissingEndpoint)?;
        let mut endpoint = web_address(endpoint).ok_or(ConnectionStringError::InvalidEndpoint)?;
        if let Some(port) = properties.get("port") {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0);
            port.and_then(|port| endpoint.set_port(Some(port)).ok())
                .ok_or(ConnectionStringError::InvalidPort)?;
        }
        if properties.get("version").is_some_and(|version| !is_version_1(version)) {
            return Err(ConnectionStringError::UnsupportedVersion);
        }
        let optional =
            |name, error| properties.get(name).map(|address| web_address(address).ok_or(error)).transpose();
        let client_endpoint = optional("clientendpoint", ConnectionStringError::InvalidClientEndpoint)?;
        let server_endpoint = optional("serverendpoint", ConnectionStringError::InvalidServerEndpoint)?;
        let access_key = properties.access_key()?;
        Ok(Self { endpoint, client_endpoint, server_endpoint, access_key })
    }
}

/// The properties of a connection string by lower-cased name.
struct Properties<'a>(HashMap<String, &'a str>);

impl<'a> Properties<'a> {
    /// Pieces without `=` are skipped, as the official parser skips them; keys end in `=`, so only the first one splits.
    fn split(text: &'a str) -> Result<Self, ConnectionStringError> {
        let mut properties = HashMap::new();
        for (name, value) in text.split(';').filter_map(|piece| piece.split_once('=')) {
            let name = name.trim().to_ascii_lowercase();
            if properties.insert(name, value.trim()).is_some() {
                return Err(ConnectionStringError::DuplicateProperty);
            }
        }
        Ok(Self(properties))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied().filter(|value| !value.is_empty())
    }

    /// The key to sign with. A string that asks for an identity is checked as far as it goes, then refused.
    fn access_key(&self) -> Result<Secret, ConnectionStringError> {
        let auth_type = self.get("authtype").unwrap_or_default().to_ascii_lowercase();
        match auth_type.as_str() {
            "azure" | "azure.msi" => Err(ConnectionStringError::IdentityNotSupported),
            "azure.app" => self.application().and(Err(ConnectionStringError::IdentityNotSupported)),
            "aad" if self.get("clientid").is_some() && self.get("tenantid").is_some() => {
                self.application().and(Err(ConnectionStringError::IdentityNotSupported))
            }
            "aad" => Err(ConnectionStringError::IdentityNotSupported),
            _ => self.get("accesskey").map(Secret::new).ok_or(ConnectionStringError::MissingAccessKey),
        }
    }

    fn application(&self) -> Result<(), ConnectionStringError> {
        self.get("clientid").ok_or(ConnectionStringError::MissingClientId)?;
        self.get("tenantid").ok_or(ConnectionStringError::MissingTenantId)?;
        let proof = self.get("clientsecret").or_else(|| self.get("clientcert"));
        proof.map(|_| ()).ok_or(ConnectionStringError::MissingClientSecret)
    }
}

/// An absolute http or https address without its trailing slashes, credentials, query or fragment.
fn web_address(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim_end_matches('/')).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && plain && url.fragment().is_none())
        .then_some(url)
}

/// `1.` and digits, then perhaps letters, digits, `_`, `-` and `.`: `1.0`, `1.1-preview`.
fn is_version_1(version: &str) -> bool {
    version.strip_prefix("1.").is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_digit())
            && rest.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    })
}

/// What is wrong with a connection string. The words name the property; a value is never repeated, since it may be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionStringError {
    /// There is no `Endpoint=…`.
    MissingEndpoint,
    /// `Endpoint` is not an absolute http or https address.
    InvalidEndpoint,
    /// `ClientEndpoint` is not an absolute http or https address.
    InvalidClientEndpoint,
    /// `ServerEndpoint` is not an absolute http or https address.
    InvalidServerEndpoint,
    /// `Port` is not a number from 1 to 65535.
    InvalidPort,
    /// `Version` is not `1.…`.
    UnsupportedVersion,
    /// A property is there twice.
    DuplicateProperty,
    /// There is no `AccessKey=…` and no known `AuthType=…`.
    MissingAccessKey,
    /// `AuthType=azure.app` without `ClientId`.
    MissingClientId,
    /// `AuthType=azure.app` without `TenantId`.
    MissingTenantId,
    /// `AuthType=azure.app` without `ClientSecret` or `ClientCert`.
    MissingClientSecret,
    /// The string is right, but asks for Microsoft Entra ID instead of a key.
    IdentityNotSupported,
}

impl fmt::Display for ConnectionStringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingEndpoint => {
                "Connection string missing required properties endpoint. It looks like Endpoint=https://NAME.service.signalr.net;AccessKey=KEY;Version=1.0;"
            }
            Self::InvalidEndpoint => "Invalid value for endpoint property, it must be a valid URI (http or https).",
            Self::InvalidClientEndpoint => {
                "Invalid value for clientEndpoint property, it must be a valid URI (http or https)."
            }
            Self::InvalidServerEndpoint => {
                "ServerEndpoint property in connection string is not a valid URI (http or https)."
            }
            Self::InvalidPort => {
                "Invalid value for port property, it must be a positive integer between (0, 65536)."
            }
            Self::UnsupportedVersion => "This version property is not supported, it must be 1.x.",
            Self::DuplicateProperty => "Duplicate properties found in connection string; give each one once.",
            Self::MissingAccessKey => "accesskey is required. Copy the whole connection string from the service's Keys page.",
            Self::MissingClientId => "Connection string missing required properties clientId.",
            Self::MissingTenantId => "Connection string missing required properties tenantId.",
            Self::MissingClientSecret => "Connection string missing required properties clientSecret or clientCert.",
            Self::IdentityNotSupported => {
                "Signing in with Microsoft Entra ID (AuthType=azure…) is not supported yet; use a connection string with an AccessKey."
            }
        })
    }
}

impl std::error::Error for ConnectionStringError {}

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
        assert_eq!(parsed.access_key(), "a==");
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
    fn case_5_identity_forms_are_checked_and_refused_in_words() {
        for (auth, expected) in [
            ("AuthType=azure", E::IdentityNotSupported),
            ("AuthType=Azure.MSI;ClientId=c", E::IdentityNotSupported),
            ("AuthType=aad", E::IdentityNotSupported),
            ("AuthType=aad;ClientId=c;TenantId=t", E::MissingClientSecret),
            ("AuthType=azure.app;TenantId=t", E::MissingClientId),
            ("AuthType=azure.app;ClientId=c", E::MissingTenantId),
            ("AuthType=azure.app;ClientId=c;TenantId=t", E::MissingClientSecret),
            ("AuthType=azure.app;ClientId=c;TenantId=t;ClientSecret=s", E::IdentityNotSupported),
            ("AuthType=nonsense", E::MissingAccessKey),
        ] {
            assert_eq!(parse(&format!("Endpoint=https://h;{auth}")).unwrap_err(), expected, "{auth}");
        }
        parse("Endpoint=https://h;AuthType=nonsense;AccessKey=k").unwrap();
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
        fn no_text_makes_the_parser_panic(text in "(Endpoint|Port|AccessKey|Version|AuthType|[ -~]{0,5}|=|;|http://h|é){0,12}") {
            let _ = parse(&text);
        }
    }
}
