//! Validates the address to which a sign-in or sign-out redirects the browser, possibly with a token.
//!
//! The address is parsed as a browser does, because `//evil`, `/\evil` and `http://localhost:5500@evil` pass a comparison by prefix.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Position, Url};

use crate::origins::Origins;

/// An allowed redirect address.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    url: Url,
    /// A path is sent as a path, so that the browser keeps the host name in use.
    is_path: bool,
}

/// Why a redirect address is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RedirectError {
    #[error("it holds spaces, backslashes or control characters, or two slashes in front of its path")]
    Misleading,
    #[error("it is not an address")]
    NotAnAddress,
    #[error("it is not on the page's or the API's origin")]
    NotAllowed,
}

impl Destination {
    /// Accepts a path, and an address on an origin of `page` or `own`. The error does not repeat the address.
    pub(super) fn parse(text: &str, page: &Origins, own: &Origins) -> Result<Self, RedirectError> {
        if text.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace()) {
            return Err(RedirectError::Misleading);
        }
        let is_path = text.starts_with('/');
        let url = if is_path { Url::parse(own.first()).and_then(|base| base.join(text)) } else { Url::parse(text) };
        let url = url.map_err(|_| RedirectError::NotAnAddress)?;
        let anonymous = url.username().is_empty() && url.password().is_none();
        if !anonymous || !(own.contains_url(&url) || page.contains_url(&url)) {
            return Err(RedirectError::NotAllowed);
        }
        if is_path && (text.starts_with("//") || url.path().starts_with("//")) {
            return Err(RedirectError::Misleading);
        }
        Ok(Self { url, is_path })
    }

    /// The value of a `Location` header.
    pub(super) fn location(&self) -> String {
        if self.is_path { self.url[Position::BeforePath..].to_owned() } else { self.url.to_string() }
    }

    /// The same with the JSON of a sign-in in the fragment, which reaches the page and no server.
    pub(super) fn location_with_token(mut self, sign_in: &str) -> String {
        self.url.set_fragment(Some(&token_fragment(sign_in)));
        self.location()
    }

    /// The origin as a source of a content security policy, which cannot name an IPv6 address: then only the port is named.
    pub(super) fn policy_source(&self) -> String {
        match (self.url.host(), self.url.port_or_known_default()) {
            (Some(Host::Ipv6(_)), Some(port)) => format!("http://*:{port}"),
            _ => self.url.origin().ascii_serialization(),
        }
    }
}

/// A fragment with `token=` and the percent-encoded JSON of a sign-in.
pub(super) fn token_fragment(sign_in: &str) -> String {
    format!("token={}", utf8_percent_encode(sign_in, NON_ALPHANUMERIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Destination, RedirectError> {
        Destination::parse(text, &Origins::of_port(5500), &Origins::of_port(7071))
    }

    #[test]
    fn the_page_and_own_paths_are_allowed() {
        for (text, location) in [
            ("http://localhost:5500", "http://localhost:5500/"),
            ("http://localhost:5500/a?b=c#d", "http://localhost:5500/a?b=c#d"),
            ("http://127.0.0.1:5500/", "http://127.0.0.1:5500/"),
            ("http://[::1]:5500/", "http://[::1]:5500/"),
            ("HTTP://LOCALHOST:5500/x", "http://localhost:5500/x"),
            ("http://localhost:7071/.auth/me", "http://localhost:7071/.auth/me"),
            ("/", "/"),
            ("/.auth/me?x=1", "/.auth/me?x=1"),
            ("/a/../b", "/b"),
        ] {
            assert_eq!(parse(text).map(|destination| destination.location()), Ok(location.to_owned()), "{text}");
        }
    }

    #[test]
    fn every_other_address_is_rejected() {
        let not_absolute = ["", "x", "done", "?x", "#x"];
        let misleading = [
            "//evil.example", "//localhost:5500", "///evil.example", "/\\evil.example", "\\\\evil.example",
            "/\t/evil.example", "/\n/evil.example", "/.//evil.example", "/..//evil.example", "/a/..//evil.example",
            "/%2e//evil.example", " http://localhost:5500/", "http://localhost:5500/ ",
        ];
        let schemes = [
            "java\nscript:alert(1)", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x",
            "blob:http://localhost:5500/1", "file:///etc/passwd", "ftp://localhost:5500/", "https://localhost:5500/",
        ];
        let other_hosts_and_ports = [
            "http://localhost/", "http://localhost:55000/", "http://localhost:550/", "http://localhost:8888/",
            "http:/evil.example", "http:///evil.example", "http://[::1]:5501/", "http://[::2]:5500/",
            "http://127.0.0.2:5500/", "http://0.0.0.0:5500/", "http://loсalhost:5500/",
        ];
        let resembling_the_page = [
            "javascript://localhost:5500/%0aalert(1)",
            "filesystem:http://localhost:5500/x",
            "http://localhost:5500.evil.example/",
            "http://localhost.evil.example:5500/",
            "http://evil.example:5500/",
            "http://evil.example/http://localhost:5500/",
            "http://evil.example/?http://localhost:5500",
            "http://evil.example#http://localhost:5500",
            "http://localhost:5500@evil.example/",
            "http://localhost:5500%40evil.example/",
            "http://user@localhost:5500/",
            "http://user:word@localhost:5500/",
            "http://localhost:5500\\@evil.example/",
            "http:\\\\localhost:5500/",
        ];
        let groups = [&not_absolute[..], &misleading, &schemes, &other_hosts_and_ports, &resembling_the_page];
        for text in groups.concat() {
            assert!(parse(text).is_err(), "{text:?} leads to {:?}", parse(text).map(|to| to.location()));
        }
    }

    #[test]
    fn the_token_is_percent_encoded_in_the_fragment() {
        let location = parse("http://localhost:5500/a?b=c#old").unwrap().location_with_token(r#"{"t":"a.b-c_d&e#f"}"#);
        assert_eq!(location, "http://localhost:5500/a?b=c#token=%7B%22t%22%3A%22a%2Eb%2Dc%5Fd%26e%23f%22%7D");
    }
}
