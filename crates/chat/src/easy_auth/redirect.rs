//! Where a sign-in or sign-out may send the browser afterwards, possibly with a token.
//!
//! Decided on what a browser would make of the address, never on how its text begins: `//evil`, `/\evil` and
//! `http://localhost:5500@evil` all look like ours to a comparison of prefixes.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Position, Url};

use crate::origins::Origins;

/// An address that may be gone to.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    url: Url,
    /// Given as a path: sent back as one, so that the browser stays with the name it used for us.
    is_path: bool,
}

/// Why an address may not be gone to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Misleading,
    NotAnAddress,
    NotAllowed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Misleading => {
                "it holds spaces, backslashes or control characters, or two slashes in front of its path"
            }
            Self::NotAnAddress => "it is not an address",
            Self::NotAllowed => "it is not on the page's or the API's origin",
        })
    }
}

impl Destination {
    /// `asked` if it is a path of ours (`own`), or an address on the `page`'s or our own origin.
    ///
    /// # Errors
    /// Why not, in words that do not repeat the address.
    pub(super) fn parse(asked: &str, page: &Origins, own: &Origins) -> Result<Self, Refused> {
        if asked.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace()) {
            return Err(Refused::Misleading);
        }
        let is_path = asked.starts_with('/');
        let url = if is_path {
            Url::parse(own.first()).and_then(|base| base.join(asked))
        } else {
            Url::parse(asked)
        };
        let url = url.map_err(|_| Refused::NotAnAddress)?;
        let anonymous = url.username().is_empty() && url.password().is_none();
        if !anonymous || !(own.contain_url(&url) || page.contain_url(&url)) {
            return Err(Refused::NotAllowed);
        }
        if is_path && (asked.starts_with("//") || url.path().starts_with("//")) {
            return Err(Refused::Misleading);
        }
        Ok(Self { url, is_path })
    }

    /// The value of a `Location` header.
    pub(super) fn location(&self) -> String {
        if self.is_path { self.url[Position::BeforePath..].to_owned() } else { self.url.to_string() }
    }

    /// The same with `answer`, the JSON of a sign-in, in the fragment: it reaches the page and no server.
    pub(super) fn location_with_token(mut self, answer: &str) -> String {
        self.url.set_fragment(Some(&token_fragment(answer)));
        self.location()
    }

    /// The origin, as a content security policy names where a form may lead. A policy has no words for an IPv6
    /// address, so there only the port is named.
    pub(super) fn policy_source(&self) -> String {
        match (self.url.host(), self.url.port_or_known_default()) {
            (Some(Host::Ipv6(_)), Some(port)) => format!("http://*:{port}"),
            _ => self.url.origin().ascii_serialization(),
        }
    }
}

/// `token=` and the percent-encoded JSON of a sign-in, as a fragment has it.
pub(super) fn token_fragment(answer: &str) -> String {
    format!("token={}", utf8_percent_encode(answer, NON_ALPHANUMERIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(asked: &str) -> Result<Destination, Refused> {
        Destination::parse(asked, &Origins::of_port(5500), &Origins::of_port(7071))
    }

    #[test]
    fn the_page_and_our_own_paths_are_allowed() {
        for (asked, location) in [
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
            assert_eq!(
                parse(asked).map(|destination| destination.location()),
                Ok(location.to_owned()),
                "{asked}"
            );
        }
    }

    #[test]
    fn every_other_address_is_refused() {
        for asked in [
            "",
            "x",
            "done",
            "?x",
            "#x",
            "//evil.example",
            "//localhost:5500",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/a/..//evil.example",
            "/%2e//evil.example",
            " http://localhost:5500/",
            "http://localhost:5500/ ",
            "java\nscript:alert(1)",
            "javascript:alert(1)",
            "javascript://localhost:5500/%0aalert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "blob:http://localhost:5500/1",
            "filesystem:http://localhost:5500/x",
            "file:///etc/passwd",
            "ftp://localhost:5500/",
            "https://localhost:5500/",
            "http://localhost/",
            "http://localhost:55000/",
            "http://localhost:550/",
            "http://localhost:8888/",
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
            "http:/evil.example",
            "http:///evil.example",
            "http://[::1]:5501/",
            "http://[::2]:5500/",
            "http://127.0.0.2:5500/",
            "http://0.0.0.0:5500/",
            "http://loсalhost:5500/",
        ] {
            assert!(parse(asked).is_err(), "{asked:?} leads to {:?}", parse(asked).map(|to| to.location()));
        }
    }

    #[test]
    fn the_token_goes_into_the_fragment_with_nothing_left_to_misread() {
        let location =
            parse("http://localhost:5500/a?b=c#old").unwrap().location_with_token(r#"{"t":"a.b-c_d&e#f"}"#);
        assert_eq!(location, "http://localhost:5500/a?b=c#token=%7B%22t%22%3A%22a%2Eb%2Dc%5Fd%26e%23f%22%7D");
    }
}
