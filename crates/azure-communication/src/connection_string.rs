//! The connection string of a resource and its parts: endpoint and access key.
//!
//! The official readers differ: the one in JavaScript wants `endpoint` first, the one in Python takes any order but turns http into
//! https. What either of them takes is taken here, and the address stays as it was written.

use std::fmt;
use std::str::FromStr;

use azure_http::{ConnectionProperties, RootCertificates, is_encrypted_or_local, parse_base_url};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use url::{Position, Url};

/// The version of the API. It brought the scopes for guests; later ones, up to 2025-06-30, have the same operations.
const API_VERSION: &str = "2023-10-01";

/// Everything that is not "unreserved" in RFC 3986, as the official SDKs escape ids.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The endpoint of a resource and the access key to call it with.
///
/// Parsed from `endpoint=https://NAME.communication.azure.com/;accesskey=KEY`: properties in any order, names in any case, unknown
/// ones ignored.
///
/// ```
/// let text = "endpoint=https://contoso.communication.azure.com/;accesskey=aHVzaA==";
/// let communication: azure_communication::ConnectionString = text.parse()?;
/// assert_eq!(communication.endpoint().as_str(), "https://contoso.communication.azure.com/");
/// assert!(!format!("{communication:?}").contains("aHVzaA=="));
/// # Ok::<(), azure_communication::ConnectionStringError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionString {
    endpoint: Endpoint,
    pub(crate) key: AccessKey,
}

impl ConnectionString {
    /// Combines an endpoint with a key that is stored apart from it.
    #[must_use]
    pub fn new(endpoint: Endpoint, key: AccessKey) -> Self {
        Self { endpoint, key }
    }

    /// Trusts servers with certificates of these authorities as well.
    #[must_use]
    pub fn with_roots(self, roots: RootCertificates) -> Self {
        Self { endpoint: self.endpoint.with_roots(roots), ..self }
    }

    /// The address of the resource.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl FromStr for ConnectionString {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let properties = ConnectionProperties::parse(text).map_err(|_| ConnectionStringError::DuplicateProperty)?;
        let endpoint = properties.get("endpoint").ok_or(ConnectionStringError::MissingEndpoint)?;
        let key = properties.get("accesskey").ok_or(ConnectionStringError::MissingAccessKey)?;
        Ok(Self::new(endpoint.parse()?, key.parse()?))
    }
}

/// The address of a resource, like `https://NAME.communication.azure.com/`, and the root certificates to trust there.
///
/// It has a host and perhaps a port, no path. Plain http is for an emulator on this machine, since responses have tokens in them.
#[derive(Clone)]
pub struct Endpoint {
    url: Url,
    pub(crate) roots: RootCertificates,
}

impl Endpoint {
    /// Trusts servers with certificates of these authorities as well.
    #[must_use]
    pub fn with_roots(self, roots: RootCertificates) -> Self {
        Self { roots, ..self }
    }

    /// The address, with the slash at its end.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The URL of `verb` on the resource at `segments`, each of which is escaped as one.
    pub(crate) fn url(&self, segments: &[&str], verb: Option<&str>) -> Url {
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, ESCAPED));
        }
        path.extend(verb.into_iter().flat_map(|verb| ["/:", verb]));
        let mut url = self.url.clone();
        url.set_path(&path);
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        url
    }
}

impl FromStr for Endpoint {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = parse_base_url(text).filter(|url| url.path() == "/");
        let url = url.ok_or(ConnectionStringError::InvalidEndpoint)?;
        if !is_encrypted_or_local(&url) {
            return Err(ConnectionStringError::InsecureEndpoint);
        }
        Ok(Self { url, roots: RootCertificates::default() })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.as_str()).finish()
    }
}

/// The path and query of `url`, as in the request line.
pub(crate) fn target(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}

/// The host of `url`, as in the header `Host`: with a port unless it is the default of the scheme.
pub(crate) fn host(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

/// An access key, ready to sign. Parsed from base64 as the portal shows it: standard alphabet, with padding.
///
/// It is the decoded bytes that sign. It cannot be printed and cannot be read again.
#[derive(Clone)]
pub struct AccessKey(Hmac<Sha256>);

impl AccessKey {
    /// The HMAC-SHA256 of `text`.
    pub(crate) fn sign(&self, text: &str) -> [u8; 32] {
        self.0.clone().chain_update(text).finalize().into_bytes().into()
    }
}

impl FromStr for AccessKey {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ConnectionStringError::MissingAccessKey);
        }
        let key = STANDARD.decode(text).map_err(|_| ConnectionStringError::InvalidAccessKey)?;
        Ok(Self(Hmac::new_from_slice(&key).expect("HMAC takes a key of any length")))
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(***)")
    }
}

/// What is wrong with a connection string or a part of one. `Display` names the property and never repeats a value, since it may be the
/// key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionStringError {
    /// There is no `endpoint=…`.
    #[error(
        "the connection string has no endpoint; it looks like endpoint=https://NAME.communication.azure.com/;accesskey=KEY"
    )]
    MissingEndpoint,
    /// `endpoint` is not an absolute http or https address, or has more than a host and a port.
    #[error("the endpoint must be an address without a path, like https://NAME.communication.azure.com/")]
    InvalidEndpoint,
    /// Tokens would be sent unencrypted: http is for this machine only, and never for an identity.
    #[error(
        "the endpoint must be https, or tokens would travel in clear; http is for an access key and this machine only"
    )]
    InsecureEndpoint,
    /// There is no `accesskey=…`.
    #[error("the connection string has no accesskey; copy the whole of it from the resource's Keys page")]
    MissingAccessKey,
    /// `accesskey` is not base64.
    #[error("the accesskey is not base64; copy the whole connection string from the resource's Keys page")]
    InvalidAccessKey,
    /// A property occurs twice.
    #[error("the connection string has a property twice; give each one once")]
    DuplicateProperty,
}

#[cfg(test)]
mod tests {
    use super::ConnectionStringError as E;
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn parse(text: &str) -> Result<ConnectionString, E> {
        text.replace("{key}", KEY).parse()
    }

    #[test]
    fn case_3_every_way_to_write_it_is_understood() {
        let expected_key = KEY.parse::<AccessKey>().unwrap();
        for text in [
            "endpoint=https://contoso.communication.azure.com/;accesskey={key}",
            "endpoint=https://contoso.communication.azure.com;accesskey={key}",
            "Endpoint=https://contoso.communication.azure.com/;accessKey={key}",
            "ENDPOINT=https://contoso.communication.azure.com/;ACCESSKEY={key}",
            "accesskey={key};endpoint=https://contoso.communication.azure.com/",
            "endpoint=https://contoso.communication.azure.com/;accesskey={key};",
            ";;endpoint=https://contoso.communication.azure.com/;;accesskey={key};;",
            "endpoint=https://contoso.communication.azure.com/;colour=blue;accesskey={key};nonsense",
            " endpoint = https://contoso.communication.azure.com/ ; accesskey = {key} ",
        ] {
            let parsed = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.endpoint().as_str(), "https://contoso.communication.azure.com/", "{text}");
            assert_eq!(parsed.key.sign("a"), expected_key.sign("a"), "{text}");
        }
    }

    #[test]
    fn case_4_each_mistake_is_named_and_never_shows_the_key() {
        for (text, expected) in [
            ("", E::MissingEndpoint),
            ("nonsense", E::MissingEndpoint),
            ("accesskey={key}", E::MissingEndpoint),
            ("endpoint=;accesskey={key}", E::MissingEndpoint),
            ("endpoint=https://h/", E::MissingAccessKey),
            ("endpoint=https://h/;accesskey=", E::MissingAccessKey),
            ("endpoint=https://h/;{key}", E::MissingAccessKey),
            ("endpoint=https://h/;accesskey=hush-{key}", E::InvalidAccessKey),
            ("endpoint=https://h/;accesskey=_-_-", E::InvalidAccessKey),
            ("endpoint=https://h/;accesskey=aHVzaA", E::InvalidAccessKey),
            ("endpoint=https://h/;accesskey={key} {key}", E::InvalidAccessKey),
            ("endpoint=https://h/path;accesskey={key}", E::InvalidEndpoint),
            ("endpoint=h.communication.azure.com;accesskey={key}", E::InvalidEndpoint),
            ("endpoint={key};accesskey={key}", E::InvalidEndpoint),
            ("endpoint=http://h/;accesskey={key}", E::InsecureEndpoint),
            ("endpoint=https://h/;accesskey={key};AccessKey={key}", E::DuplicateProperty),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!format!("{error} {error:?}").contains(KEY), "{text}");
        }
    }

    #[test]
    fn a_parsed_string_does_not_show_its_key() {
        let shown = format!("{:?}", parse("endpoint=https://h/;accesskey={key}").unwrap());
        assert!(shown.contains("https://h/") && shown.contains("AccessKey(***)"), "{shown}");
        assert!(!shown.contains(KEY), "{shown}");
    }

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn case_5_a_port_is_part_of_the_host_unless_it_is_the_schemes_own() {
        for (text, expected) in [
            ("https://contoso-test.communication.azure.com", "contoso-test.communication.azure.com"),
            ("https://Contoso-Test.communication.azure.com/", "contoso-test.communication.azure.com"),
            ("https://h:443/", "h"),
            ("https://h:8443/", "h:8443"),
            ("https://h:80/", "h:80"),
            ("http://127.0.0.1:18099", "127.0.0.1:18099"),
            ("http://localhost:80/", "localhost"),
            ("http://localhost:443/", "localhost:443"),
            ("http://[::1]:8889/", "[::1]:8889"),
        ] {
            let url = endpoint(text).url(&["identities"], None);
            assert_eq!((host(&url), target(&url)), (expected, "/identities?api-version=2023-10-01"), "{text}");
        }
    }

    #[test]
    fn an_id_is_one_escaped_segment_and_a_verb_keeps_its_colon() {
        let endpoint = endpoint("https://h/");
        for (id, segment) in [
            ("8:acs:2dee53b4_00000005", "8%3Aacs%3A2dee53b4_00000005"),
            ("a/b?c#d%2F e", "a%2Fb%3Fc%23d%252F%20e"),
            ("...~-ö", "...~-%C3%B6"),
        ] {
            let url = endpoint.url(&["identities", id], Some("issueAccessToken"));
            let expected = ["/identities/", segment, "/:issueAccessToken?api-version=2023-10-01"].concat();
            assert_eq!(target(&url), expected);
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_nothing_more() {
        for text in [
            "", "h", "h.communication.azure.com", "127.0.0.1:8889", "localhost:8889", "ftp://h", "https://",
            "https://h/path", "https://h//", "https://h/?a=b", "https://h/#a", "https://user:word@h/",
            "https://user@h/", "data:,hi",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap_err(), E::InvalidEndpoint, "{text}");
        }
    }

    #[test]
    fn tokens_do_not_leave_the_machine_unencrypted() {
        for text in ["http://localhost", "http://127.0.0.1:8889", "http://[::1]", "http://acs.localhost:1"] {
            endpoint(text);
        }
        for text in ["http://h", "http://localhost.h", "http://10.0.0.1", "http://0.0.0.0"] {
            let refused = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(refused, E::InsecureEndpoint, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(endpoint|accesskey|[ -~]{0,5}|=|;|http://h|https://[h]|aHVzaA==|é){0,12}") {
            let _ = text.parse::<ConnectionString>();
        }
    }
}
