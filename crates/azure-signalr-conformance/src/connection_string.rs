//! Connection strings, parsed with the rules and error messages of the published SDK.
//!
//! `Port` takes precedence over a port in `Endpoint`, and no audience contains a port.

use std::collections::HashMap;
use std::str::FromStr;

use url::Url;

use crate::token::AccessKey;

/// The endpoint of a service and its access key.
///
/// ```
/// use azure_signalr_conformance::ConnectionString;
///
/// let connection: ConnectionString = "Endpoint=http://localhost;Port=8888;AccessKey=key;Version=1.0;".parse()?;
/// assert!(connection.has_key());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone)]
pub struct ConnectionString {
    pub(crate) endpoint: Url,
    pub(crate) client_endpoint: Option<Url>,
    pub(crate) server_endpoint: Option<Url>,
    /// `None` if the string selects an identity.
    pub(crate) key: Option<AccessKey>,
}

impl ConnectionString {
    /// The start of audiences: scheme and host.
    pub(crate) fn audience_base(&self) -> String {
        format!("{}://{}/", self.endpoint.scheme(), self.endpoint.host_str().unwrap_or_default())
    }

    /// The endpoint without a default port and without a slash at the end.
    pub(crate) fn display_endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    pub(crate) fn port(&self) -> u16 {
        self.endpoint.port_or_known_default().unwrap_or_default()
    }

    /// The URL that clients connect to.
    pub(crate) fn client_base(&self) -> &Url {
        self.client_endpoint.as_ref().unwrap_or(&self.endpoint)
    }

    /// The URL of the REST API.
    pub(crate) fn server_base(&self) -> &Url {
        self.server_endpoint.as_ref().unwrap_or(&self.endpoint)
    }

    /// Whether it contains an access key.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }
}

/// # Errors
///
/// The message of the published SDK for the invalid property.
impl FromStr for ConnectionString {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let properties = parse_properties(text)?;
        let property = |name: &str| properties.get(name).map(String::as_str).filter(|value| !value.is_empty());
        if let Some(version) = property("version")
            && !is_version_1(version)
        {
            return Err(format!("Version {version} is not supported."));
        }
        let given = property("endpoint").ok_or_else(|| missing("endpoint"))?;
        let mut endpoint = parse_url(given.trim_end_matches('/'))
            .ok_or("Invalid value for endpoint property, it must be a valid URI.")?;
        if let Some(port) = property("port") {
            let port = port.parse().ok().filter(|&port: &u16| port != 0);
            let port =
                port.ok_or("Invalid value for port property, it must be an positive integer between (0, 65536)")?;
            endpoint
                .set_port(Some(port))
                .map_err(|()| "Invalid value for endpoint property, it must be a valid URI.")?;
        }
        let client_endpoint = property("clientendpoint")
            .map(|value| parse_url(value).ok_or("Invalid value for clientEndpoint property, it must be a valid URI."));
        let server_endpoint = property("serverendpoint").map(|value| {
            parse_url(value)
                .ok_or_else(|| format!("ServerEndpoint property in connection string is not a valid URI: {value}."))
        });
        Ok(Self {
            endpoint,
            client_endpoint: client_endpoint.transpose()?,
            server_endpoint: server_endpoint.transpose()?,
            key: parse_key(property)?,
        })
    }
}

fn parse_properties(text: &str) -> Result<HashMap<String, String>, String> {
    let pieces: Vec<&str> = text.split(';').filter(|piece| !piece.trim().is_empty()).collect();
    if pieces.len() < 2 {
        return Err(missing("endpoint"));
    }
    let mut properties = HashMap::new();
    for (name, value) in pieces.iter().filter_map(|piece| piece.split_once('=')) {
        let name = name.trim();
        if properties.insert(name.to_lowercase(), value.trim().to_owned()).is_some() {
            return Err(format!("Duplicate properties found in connection string: {name}."));
        }
    }
    Ok(properties)
}

fn missing(name: &str) -> String {
    format!("Connection string missing required properties {name}.")
}

fn parse_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
}

fn is_version_1(text: &str) -> bool {
    let Some(minor) = text.strip_prefix("1.") else { return false };
    minor.starts_with(|first: char| first.is_ascii_digit())
        && minor.chars().all(|letter| letter.is_alphanumeric() || "_-.".contains(letter))
}

fn parse_key<'a>(property: impl Fn(&str) -> Option<&'a str>) -> Result<Option<AccessKey>, String> {
    let app = || match (property("clientid"), property("tenantid")) {
        (None, _) => Err(missing("clientId")),
        (_, None) => Err(missing("tenantId")),
        _ if property("clientsecret").or(property("clientcert")).is_none() => {
            Err(missing("clientSecret or clientCert"))
        }
        _ => Ok(None),
    };
    match property("authtype").map(str::to_lowercase).as_deref() {
        Some("azure" | "azure.msi") => Ok(None),
        Some("azure.app") => app(),
        Some("aad") if property("clientid").is_some() && property("tenantid").is_some() => app(),
        Some("aad") => Ok(None),
        _ => property("accesskey")
            .map(|key| Some(AccessKey(key.to_owned())))
            .ok_or_else(|| "accesskey is required.".to_owned()),
    }
}
