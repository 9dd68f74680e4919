//! Credentials: connection strings, access tokens, and the signatures of webhooks.
//!
//! Connection strings are parsed with the rules and error messages of the published SDK: `Port` takes precedence over a port in
//! `Endpoint`, and no audience contains a port. Tokens are written by hand as JWTs with HS256; the payload is signed as the text
//! it is given as, so that a case can repeat or omit a claim.

use std::collections::HashMap;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use url::Url;

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

const INVALID_ENDPOINT: &str = "Invalid value for endpoint property, it must be a valid URI.";

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
        let mut endpoint = parse_url(given.trim_end_matches('/')).ok_or(INVALID_ENDPOINT)?;
        if let Some(port) = property("port") {
            let port = port.parse().ok().filter(|&port: &u16| port != 0);
            let port =
                port.ok_or("Invalid value for port property, it must be an positive integer between (0, 65536)")?;
            endpoint.set_port(Some(port)).map_err(|()| INVALID_ENDPOINT)?;
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

/// The default header of tokens.
pub(crate) const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// An access key. Its text signs, although it looks like base64. It has no `Debug`.
#[derive(Clone)]
pub(crate) struct AccessKey(pub(crate) String);

/// A signed token. It has no `Debug`.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl AccessKey {
    /// Signs a header and a payload, both JSON texts.
    pub(crate) fn sign(&self, header: &str, payload: &str) -> Token {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.hmac(&signed));
        Token(format!("{signed}.{signature}"))
    }

    /// The signature that the service sends in `X-ASRS-Signature` for a connection, in lower case.
    pub(crate) fn webhook_signature(&self, connection_id: &str) -> String {
        let hex: String = self.hmac(connection_id).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={hex}")
    }

    fn hmac(&self, data: &str) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(data.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

impl Token {
    /// The claims of the token, not verified; `None` if it is not a JWT.
    pub(crate) fn claims(&self) -> Option<Value> {
        let payload = self.0.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

/// The name of a user's claim in a client token: names with a meaning in JWTs get the prefix `asrs.u.`.
pub(crate) fn user_claim(name: &str) -> String {
    const RESERVED: [&str; 11] = ["aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"];
    if RESERVED.contains(&name) { format!("asrs.u.{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_token_is_signed_identically() {
        let key = AccessKey("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH".to_owned());
        let payload = concat!(
            r#"{"asrs.s.uid":"u1","nbf":1700000000,"exp":1700003600,"iat":1700000000,"#,
            r#""aud":"http://localhost/client/?hub=chat"}"#
        );
        let token = key.sign(HEADER, payload);
        assert_eq!(
            token.0,
            concat!(
                "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.",
                "eyJhc3JzLnMudWlkIjoidTEiLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMCwiaWF0IjoxNzAwMDAwMDAwLCJhdWQiOi",
                "JodHRwOi8vbG9jYWxob3N0L2NsaWVudC8_aHViPWNoYXQifQ.-WYX7JGgJKomLnyllQ2C8IAQj9M75qmV4VRPVxQ8UTM"
            )
        );
        assert_eq!(token.claims().unwrap()["asrs.s.uid"], "u1");
    }

    #[test]
    fn a_recorded_webhook_is_signed_identically() {
        let key = AccessKey("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH".to_owned());
        let expected = "sha256=261f7f58ff9fb9bb8be7e4951a807fe6091e5c074885bf63b865eccd28728881";
        assert_eq!(key.webhook_signature("conn-1"), expected);
    }

    #[test]
    fn user_claims_with_reserved_names_get_a_prefix() {
        assert_eq!(user_claim("exp"), "asrs.u.exp");
        assert_eq!(user_claim("role"), "role");
    }
}
