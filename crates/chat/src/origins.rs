//! The origins of a local server, compared as a whole: another port, a prefix or a trailing slash does not match.

use axum::http::HeaderValue;
use url::Url;

/// The origins of one local server. The first one is displayed.
#[derive(Clone, Debug)]
pub(crate) struct Origins(Vec<String>);

impl Origins {
    /// `localhost`, 127.0.0.1, `[::1]` and `hosts` at `port`, and the `others` as they are.
    pub(crate) fn new(port: u16, hosts: &[String], others: Vec<String>) -> Self {
        let names = ["localhost", "127.0.0.1", "[::1]"].into_iter().chain(hosts.iter().map(String::as_str));
        Self(names.map(|name| origin(name, port)).chain(others).collect())
    }

    /// `localhost`, 127.0.0.1 and `[::1]` at `port`.
    pub(crate) fn of_port(port: u16) -> Self {
        Self::new(port, &[], Vec::new())
    }

    /// The origin to display and to configure.
    pub(crate) fn first(&self) -> &str {
        &self.0[0]
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether an `Origin` header is one of these.
    pub(crate) fn contains(&self, origin: &HeaderValue) -> bool {
        self.0.iter().any(|known| known.as_bytes() == origin.as_bytes())
    }

    /// Whether `url` is on one of these. A `blob:` address has the origin of its creator, but is not a page of it.
    pub(crate) fn contains_url(&self, url: &Url) -> bool {
        matches!(url.scheme(), "http" | "https") && self.0.contains(&url.origin().ascii_serialization())
    }
}

fn origin(host: &str, port: u16) -> String {
    let mut url = Url::parse("http://localhost").expect("a valid address");
    url.set_host(Some(host)).expect("host names are validated when arguments are parsed");
    url.set_port(Some(port)).expect("an http address can have a port");
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_compared_whole() {
        let origins = Origins::of_port(5500);
        for own in ["http://localhost:5500", "http://127.0.0.1:5500", "http://[::1]:5500"] {
            assert!(origins.contains(&HeaderValue::from_static(own)), "{own}");
        }
        for other in [
            "",
            "null",
            "http://localhost",
            "http://localhost:55000",
            "http://localhost:550",
            "https://localhost:5500",
            "http://localhost:5500/",
            "http://localhost:5500.example.com",
            "http://LOCALHOST:5500",
            "http://example.com",
            "http://localhost:5500 http://example.com",
        ] {
            assert!(!origins.contains(&HeaderValue::from_str(other).unwrap()), "{other}");
        }
    }

    #[test]
    fn additional_hosts_and_origins_are_contained() {
        let origins = Origins::new(5500, &["chat.example".to_owned()], vec!["https://dev.example".to_owned()]);
        assert_eq!(origins.first(), "http://localhost:5500");
        for known in ["http://localhost:5500", "http://chat.example:5500", "https://dev.example"] {
            assert!(origins.contains(&HeaderValue::from_static(known)), "{known}");
            assert!(origins.contains_url(&Url::parse(known).unwrap().join("/a?b").unwrap()), "{known}");
        }
        for other in ["https://chat.example:5500", "http://chat.example", "http://dev.example"] {
            assert!(!origins.contains(&HeaderValue::from_static(other)), "{other}");
        }
    }

    #[test]
    fn the_default_port_is_left_out_as_browsers_do() {
        assert_eq!(Origins::of_port(80).first(), "http://localhost");
    }
}
