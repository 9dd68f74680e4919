//! An address that a person gave: of the API, of the page. It is kept and shown without what may be secret in it.

use std::fmt;

use reqwest::Url;

use crate::loopback;

/// A web address without user name, password, query and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site(Url);

impl Site {
    /// Reads `text`. What might be secret in it is dropped, and is not asked with either.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut url = Url::parse(text.trim()).ok()?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        is_web.then_some(())?;
        // Both fail only for addresses without a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Some(Self(url))
    }

    /// The address below it, segment by segment. An empty last segment makes a slash at the end.
    pub(super) fn under(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut().expect("web addresses have paths").pop_if_empty().extend(segments);
        url
    }

    /// As a browser names it in `Origin`.
    pub(super) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether it is on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.0.host_str().is_some_and(loopback::is_loopback)
    }

    /// Whether what goes there can be read on the way.
    pub(super) fn is_in_clear(&self) -> bool {
        self.0.scheme() == "http" && !self.is_local()
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_in_an_address_is_gone() {
        let site = Site::parse(" https://hush:hush@chat.example:8443/p/?code=hush#token=hush").unwrap();
        assert_eq!(site.to_string(), "https://chat.example:8443/p");
        assert_eq!(site.origin(), "https://chat.example:8443");
        assert_eq!(site.under(&["api", "negotiate"]).as_str(), "https://chat.example:8443/p/api/negotiate");
        assert!(!format!("{site:?}").contains("hush"));
    }

    #[test]
    fn with_and_without_a_slash_is_the_same_address() {
        assert_eq!(Site::parse("http://localhost:5500/"), Site::parse("http://localhost:5500"));
        assert_eq!(Site::parse("http://localhost:5500/").unwrap().to_string(), "http://localhost:5500");
    }

    #[test]
    fn what_is_no_web_address_is_none() {
        for text in ["", "chat.example", "ftp://chat.example", "file:///etc/passwd", "https://"] {
            assert_eq!(Site::parse(text), None, "{text}");
        }
    }

    #[test]
    fn http_is_in_clear_only_where_it_leaves_the_machine() {
        let in_clear =
            ["http://localhost:1", "http://[::1]:1", "https://chat.example", "http://chat.example"];
        assert_eq!(
            in_clear.map(|text| Site::parse(text).unwrap().is_in_clear()),
            [false, false, false, true]
        );
    }
}
