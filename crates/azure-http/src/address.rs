//! Addresses of services: parsing a base URL, appending path segments, and whether a host is this machine.

use url::{Host, Url};

/// Parses the absolute http or https address of a service: a host, and no credentials, query or fragment.
///
/// ```
/// assert!(azure_http::parse_base_url("https://contoso.service.signalr.net/").is_some());
/// assert!(azure_http::parse_base_url("https://user:word@h/?a=b").is_none());
/// ```
#[must_use]
pub fn parse_base_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && plain).then_some(url)
}

/// `base` with further path segments, each percent-encoded as one. An empty last segment makes a trailing slash.
///
/// # Panics
///
/// When `base` cannot have a path, like `data:`; what [`parse_base_url`] returns always can.
///
/// ```
/// let base = azure_http::parse_base_url("https://h/api").unwrap();
/// assert_eq!(azure_http::join_segments(&base, &["users", "a/b"]).as_str(), "https://h/api/users/a%2Fb");
/// ```
#[must_use]
pub fn join_segments(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut().expect("a base URL has a host, so it has a path").pop_if_empty().extend(segments);
    url
}

/// Whether the host of `url` is this machine: `localhost`, a name under it (RFC 6761 §6.3), 127.0.0.0/8 or `[::1]`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a secret may be sent to `url`: it is https, or does not leave this machine.
#[must_use]
pub fn is_encrypted_or_local(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absolute_web_address_is_a_base_url() {
        for text in ["http://h", "https://h:444/path/"] {
            assert!(parse_base_url(text).is_some(), "{text}");
        }
        for text in
            ["", "h", "localhost:1", "ftp://h", "https://", "https://u@h", "https://h?a", "https://h#a", "data:,a"]
        {
            assert!(parse_base_url(text).is_none(), "{text}");
        }
    }

    #[test]
    fn loopback_is_this_machine_and_nothing_that_only_looks_like_it() {
        for (text, expected) in [
            ("http://localhost", true),
            ("http://acs.localhost:1", true),
            ("http://127.0.0.1:8889", true),
            ("http://127.1.2.3", true),
            ("http://[::1]", true),
            ("http://localhost.h", false),
            ("http://notlocalhost", false),
            ("http://10.0.0.1", false),
            ("http://0.0.0.0", false),
            ("http://[::]", false),
            ("data:,localhost", false),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(is_loopback(&url), expected, "{text}");
            assert_eq!(is_encrypted_or_local(&url), expected, "{text}");
        }
        assert!(is_encrypted_or_local(&Url::parse("https://h").unwrap()));
    }
}
