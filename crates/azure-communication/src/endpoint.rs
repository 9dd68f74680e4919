//! The address of a resource, and the addresses under it.
//!
//! What is signed is read off the very address a request is sent to, so the two cannot differ: escapes stay as they are, and a
//! port is part of the host unless it is the scheme's own.

use std::fmt;
use std::str::FromStr;

use azure_http::RootCertificates;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Position, Url};

use crate::connection_string_error::ConnectionStringError;

/// The version of the API. It brought the scopes for guests; later ones, up to 2025-06-30, have the same operations.
const API_VERSION: &str = "2023-10-01";

/// Everything that is not "unreserved" in RFC 3986, as the official SDKs escape ids.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of a resource, like `https://NAME.communication.azure.com/`, and whom to believe that it is there.
///
/// It has a host and perhaps a port, no path. Plain http is for a stand-in on this machine: answers carry tokens.
#[derive(Clone)]
pub struct Endpoint {
    url: Url,
    roots: RootCertificates,
}

impl Endpoint {
    /// Trusts servers that show certificates of these authorities as well.
    #[must_use]
    pub fn trusting(self, roots: RootCertificates) -> Self {
        Self { roots, ..self }
    }

    /// The address, with the slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn roots(&self) -> &RootCertificates {
        &self.roots
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The address of `verb` on what `segments` lead to; each of them is one segment, whatever is in it.
    pub(crate) fn address(&self, segments: &[&str], verb: Option<&str>) -> Url {
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
        let url = Url::parse(text).map_err(|_| ConnectionStringError::InvalidEndpoint)?;
        let nobody = url.username().is_empty() && url.password().is_none();
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !(matches!(url.scheme(), "http" | "https") && url.has_host() && nobody && bare) {
            return Err(ConnectionStringError::InvalidEndpoint);
        }
        let endpoint = Self { url, roots: RootCertificates::default() };
        if endpoint.is_encrypted() || is_this_machine(&endpoint.url) {
            Ok(endpoint)
        } else {
            Err(ConnectionStringError::InsecureEndpoint)
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.as_str()).finish()
    }
}

/// The path and query of `url`, as they stand in the first line of a request.
pub(crate) fn target(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}

/// The host of `url`, as it stands in the header of that name.
pub(crate) fn host(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let url = endpoint(text).address(&["identities"], None);
            assert_eq!(
                (host(&url), target(&url)),
                (expected, "/identities?api-version=2023-10-01"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_id_is_one_segment_whatever_is_in_it_and_a_verb_keeps_its_colon() {
        let endpoint = endpoint("https://h/");
        for (id, segment) in [
            ("8:acs:2dee53b4_00000005", "8%3Aacs%3A2dee53b4_00000005"),
            ("a/b?c#d%2F e", "a%2Fb%3Fc%23d%252F%20e"),
            ("...~-ö", "...~-%C3%B6"),
        ] {
            let url = endpoint.address(&["identities", id], Some("issueAccessToken"));
            let expected = ["/identities/", segment, "/:issueAccessToken?api-version=2023-10-01"].concat();
            assert_eq!(target(&url), expected);
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_nothing_more() {
        for text in [
            "",
            "h",
            "h.communication.azure.com",
            "127.0.0.1:8889",
            "localhost:8889",
            "ftp://h",
            "https://",
            "https://h/path",
            "https://h//",
            "https://h/?a=b",
            "https://h/#a",
            "https://user:word@h/",
            "https://user@h/",
            "data:,hi",
        ] {
            assert_eq!(
                text.parse::<Endpoint>().unwrap_err(),
                ConnectionStringError::InvalidEndpoint,
                "{text}"
            );
        }
    }

    #[test]
    fn tokens_do_not_leave_the_machine_in_clear() {
        for text in ["http://localhost", "http://127.0.0.1:8889", "http://[::1]", "http://acs.localhost:1"] {
            endpoint(text);
        }
        for text in ["http://h", "http://localhost.h", "http://10.0.0.1", "http://0.0.0.0"] {
            let refused = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(refused, ConnectionStringError::InsecureEndpoint, "{text}");
        }
    }
}
