//! Whose page it is: the origins one local server answers under.
//!
//! An origin is compared whole, as a browser writes it. A prefix of it, another port or a trailing slash is another
//! origin, or none.

use axum::http::HeaderValue;
use url::Url;

/// The origins of one port of this machine.
#[derive(Clone, Debug)]
pub(super) struct Origins([String; 3]);

impl Origins {
    /// `localhost`, 127.0.0.1 and `[::1]` at `port`.
    pub(super) fn of_port(port: u16) -> Self {
        Self(["http://localhost", "http://127.0.0.1", "http://[::1]"].map(|name| origin(name, port)))
    }

    /// The one to show to people and to give to programs.
    pub(super) fn first(&self) -> &str {
        &self.0[0]
    }

    /// Whether an `Origin` header names one of these.
    pub(super) fn contain(&self, origin: &HeaderValue) -> bool {
        self.0.iter().any(|known| known.as_bytes() == origin.as_bytes())
    }

    /// Whether `url` lies within one of these. A `blob:` address has the origin of its maker, but is not a page of it.
    pub(super) fn contain_url(&self, url: &Url) -> bool {
        url.scheme() == "http" && self.0.contains(&url.origin().ascii_serialization())
    }
}

fn origin(name: &str, port: u16) -> String {
    let mut url = Url::parse(name).expect("the names given above are addresses");
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
            assert!(origins.contain(&HeaderValue::from_static(own)), "{own}");
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
            assert!(!origins.contain(&HeaderValue::from_str(other).unwrap()), "{other}");
        }
    }

    #[test]
    fn the_default_port_is_left_out_as_browsers_do() {
        assert_eq!(Origins::of_port(80).first(), "http://localhost");
    }
}
