//! Validates the address to which a sign-in or sign-out redirects the browser, possibly with a token.
//!
//! A page's address is compared as a whole with a list, as App Service compares it with `allowedExternalRedirectUrls`. Addresses of the
//! API itself are always allowed; they are parsed as a browser does, because `//evil` and `/\evil` pass a comparison by prefix.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Position, Url};

use crate::origins::Origins;

/// The setting of App Service that lists the pages' addresses, for messages.
pub(super) const SETTING: &str = "allowedExternalRedirectUrls";

/// The addresses of pages to which a sign-in or sign-out may redirect.
///
/// App Service lists them in `allowedExternalRedirectUrls`. Whether it ignores the letter case or a fragment is not documented; of the
/// query it is. Here no difference is allowed, so that a redirect that works here works there.
pub(crate) struct AllowedRedirects(Vec<String>);

impl AllowedRedirects {
    /// The origins of `pages`, each with and without a slash at its end, and `others` as they are.
    pub(crate) fn new(pages: &Origins, others: Vec<String>) -> Self {
        let roots = pages.iter().flat_map(|origin| [origin.to_owned(), format!("{origin}/")]);
        Self(roots.chain(others).collect())
    }

    fn contains(&self, address: &str) -> bool {
        self.0.iter().any(|allowed| allowed == address)
    }
}

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
    #[error("it is not in {SETTING}, nor on the API's own origin; see --allow-redirect")]
    NotAllowed,
}

impl Destination {
    /// Accepts a page's address that is in `pages`, and a path or an address on an origin of `own`. The error does not repeat the address.
    pub(super) fn parse(text: &str, pages: &AllowedRedirects, own: &Origins) -> Result<Self, RedirectError> {
        if text.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace()) {
            return Err(RedirectError::Misleading);
        }
        let is_path = text.starts_with('/');
        let url = if is_path { Url::parse(own.first()).and_then(|base| base.join(text)) } else { Url::parse(text) };
        let url = url.map_err(|_| RedirectError::NotAnAddress)?;
        let anonymous = url.username().is_empty() && url.password().is_none();
        if !(pages.contains(text) || (anonymous && own.contains_url(&url))) {
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

    const FOLDER: &str = "http://localhost:3000/chat/";

    fn parse(text: &str) -> Result<Destination, RedirectError> {
        let pages = AllowedRedirects::new(&Origins::of_port(5500), vec![FOLDER.to_owned()]);
        Destination::parse(text, &pages, &Origins::of_port(7071))
    }

    #[test]
    fn listed_addresses_and_those_of_the_api_are_allowed() {
        for (text, location) in [
            ("http://localhost:5500", "http://localhost:5500/"),
            ("http://localhost:5500/", "http://localhost:5500/"),
            ("http://127.0.0.1:5500/", "http://127.0.0.1:5500/"),
            ("http://[::1]:5500", "http://[::1]:5500/"),
            (FOLDER, FOLDER),
            ("http://localhost:7071/.auth/me", "http://localhost:7071/.auth/me"),
            ("HTTP://LOCALHOST:7071/x?y#z", "http://localhost:7071/x?y#z"),
            ("/", "/"),
            ("/.auth/me?x=1", "/.auth/me?x=1"),
            ("/a/../b", "/b"),
        ] {
            assert_eq!(parse(text).map(|destination| destination.location()), Ok(location.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_address_of_the_page_that_is_not_listed_is_rejected() {
        for text in [
            "http://localhost:5500/index.html?x=1#top",
            "http://localhost:5500/index.html",
            "http://localhost:5500/?x=1",
            "http://localhost:5500/?",
            "http://localhost:5500?x=1",
            "http://localhost:5500/#top",
            "http://localhost:5500/#",
            "http://localhost:5500//",
            "http://localhost:5500/.",
            "http://localhost:5500/chat/",
            "http://LOCALHOST:5500/",
            "HTTP://localhost:5500/",
            "http://localhost.:5500/",
            "http://localhost:3000/",
            "http://localhost:3000/chat",
            "http://localhost:3000/Chat/",
            "http://localhost:3000/chat/index.html",
            "http://localhost:3000/chat/?x=1",
            "http://localhost:3000/chat/../",
        ] {
            assert_eq!(parse(text).err(), Some(RedirectError::NotAllowed), "{text}");
        }
        assert!(RedirectError::NotAllowed.to_string().contains("allowedExternalRedirectUrls"));
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
        let location = parse("/a?b=c#old").unwrap().location_with_token(r#"{"t":"a.b-c_d&e#f"}"#);
        assert_eq!(location, "/a?b=c#token=%7B%22t%22%3A%22a%2Eb%2Dc%5Fd%26e%23f%22%7D");
    }
}
