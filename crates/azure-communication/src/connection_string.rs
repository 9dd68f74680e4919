//! The connection string of a resource, as the portal shows it.
//!
//! Its official readers differ: the one in JavaScript wants `endpoint` first, the one in Python takes any order but turns http into
//! https. What either of them takes is taken here, and the address stays as it was written.

use std::collections::HashMap;
use std::str::FromStr;

use azure_http::RootCertificates;

use crate::access_key::AccessKey;
use crate::connection_string_error::ConnectionStringError;
use crate::endpoint::Endpoint;

/// Where a resource is, and the key to call it with.
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
    key: AccessKey,
}

impl ConnectionString {
    /// The same of its parts, for a key that is kept apart from its endpoint.
    #[must_use]
    pub fn new(endpoint: Endpoint, key: AccessKey) -> Self {
        Self { endpoint, key }
    }

    /// Trusts servers that show certificates of these authorities as well.
    #[must_use]
    pub fn trusting(self, roots: RootCertificates) -> Self {
        Self { endpoint: self.endpoint.trusting(roots), ..self }
    }

    /// The address of the resource.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn key(&self) -> &AccessKey {
        &self.key
    }
}

impl FromStr for ConnectionString {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let properties = split(text)?;
        let endpoint = properties.get("endpoint").ok_or(ConnectionStringError::MissingEndpoint)?;
        let key = properties.get("accesskey").ok_or(ConnectionStringError::MissingAccessKey)?;
        Ok(Self::new(endpoint.parse()?, key.parse()?))
    }
}

/// The properties by lower-cased name. Keys end in `=`, so only the first one splits; a property without a value is none.
fn split(text: &str) -> Result<HashMap<String, &str>, ConnectionStringError> {
    let mut properties = HashMap::new();
    for (name, value) in text.split(';').filter_map(|segment| segment.split_once('=')) {
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if !value.is_empty() && properties.insert(name, value).is_some() {
            return Err(ConnectionStringError::DuplicateProperty);
        }
    }
    Ok(properties)
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
        let right_key = KEY.parse::<AccessKey>().unwrap();
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
            assert_eq!(parsed.key().authenticate("a"), right_key.authenticate("a"), "{text}");
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

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(endpoint|accesskey|[ -~]{0,5}|=|;|http://h|https://[h]|aHVzaA==|é){0,12}") {
            let _ = text.parse::<ConnectionString>();
        }
    }
}
