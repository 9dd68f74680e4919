//! What a token is for: one hub of clients, or one REST path.
//!
//! Callers disagree about port, trailing slash and query of the audience, so those are forgiven; a token for another
//! path, hub or host would fail against the real service, so it fails here.

use serde_json::Value;
use url::{Host, Url};

use super::denied::Denied;
use crate::hub_name::HubName;
use crate::loopback;
use crate::path;
use crate::query::Query;

/// How much of a foreign audience an answer repeats, in characters.
const QUOTED: usize = 200;

/// The hosts an audience may name.
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    pub(crate) fn new(hosts: &[String]) -> Self {
        Self(hosts.to_vec())
    }

    fn accept(&self, host: &Host<&str>) -> bool {
        loopback::is_allowed_host(&host.to_string(), &self.0)
    }

    fn expected(&self) -> String {
        let known: String = self.0.iter().map(|host| [", ", host].concat()).collect();
        format!("a loopback name{known}")
    }
}

/// What the request at hand needs a token for.
pub(crate) enum Audience<'a> {
    /// A client that wants to connect to the hub.
    Client { hub: &'a HubName },
    /// A REST call to the path, whose segments are decoded.
    Rest { path: &'a [String] },
}

impl Audience<'_> {
    /// A token may have several audiences; one that fits is enough.
    pub(super) fn check(&self, claim: Option<&Value>, hosts: &Hosts) -> Result<(), Denied> {
        let audiences = match claim {
            Some(Value::Array(audiences)) => audiences.as_slice(),
            Some(audience) => std::slice::from_ref(audience),
            None => &[],
        };
        let mut refusal = Denied::new("audience", self.expected(), "none");
        for audience in audiences {
            match self.check_one(audience.as_str().unwrap_or_default(), hosts) {
                Ok(()) => return Ok(()),
                Err(denied) => refusal = denied,
            }
        }
        Err(refusal)
    }

    fn check_one(&self, audience: &str, hosts: &Hosts) -> Result<(), Denied> {
        let came = || quoted(audience);
        let not_a_url = || Denied::new("audience", self.expected(), came());
        let url = Url::parse(audience).map_err(|_| not_a_url())?;
        let host = url.host().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(not_a_url)?;
        if !self.fits_path(&path::segments(url.path()).map_err(|_| not_a_url())?) {
            return Err(Denied::new("audience path", self.expected(), came()));
        }
        if !hosts.accept(&host) {
            return Err(Denied::new("audience host", hosts.expected(), came()));
        }
        if let Self::Client { hub } = self
            && !names_hub(&url, hub)
        {
            return Err(Denied::new("audience hub", format!("hub={hub}"), came()));
        }
        Ok(())
    }

    fn fits_path(&self, came: &[String]) -> bool {
        match self {
            Self::Client { .. } => came == ["client"],
            Self::Rest { path } => came == *path,
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Client { hub } => format!("the path /client/ with hub={hub}"),
            Self::Rest { path } => {
                format!("the path of the request, {}", quoted(&["/", &path.join("/")].concat()))
            }
        }
    }
}

fn names_hub(audience: &Url, hub: &HubName) -> bool {
    let query = Query::new(audience.query());
    query.one("hub").ok().flatten().is_some_and(|name| name.eq_ignore_ascii_case(hub.as_str()))
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn client(audience: &Value) -> Result<(), Denied> {
        let hub = HubName::of_client("chat").unwrap();
        Audience::Client { hub: &hub }.check(Some(audience), &Hosts::new(&["My.Host".to_owned()]))
    }

    fn rest(audience: &str) -> Result<(), Denied> {
        let path = ["api", "hubs", "chat", "users", "a/b", ":send"].map(str::to_owned);
        Audience::Rest { path: &path }.check(Some(&json!(audience)), &Hosts::new(&[]))
    }

    #[test]
    fn port_slash_scheme_and_other_queries_are_forgiven() {
        for audience in [
            "http://localhost/client/?hub=chat",
            "http://localhost:8888/client/?hub=chat",
            "http://127.0.0.1/client?hub=CHAT",
            "https://[::1]:1/client/?x=1&Hub=chat",
            "http://my.host/client/?hub=chat",
        ] {
            assert_eq!(client(&json!(audience)), Ok(()), "{audience}");
        }
    }

    #[test]
    fn one_fitting_audience_of_several_is_enough() {
        assert_eq!(client(&json!(["http://elsewhere/", "http://localhost/client/?hub=chat"])), Ok(()));
    }

    #[test]
    fn path_host_and_hub_are_not_forgiven() {
        for (audience, rule) in [
            (json!("http://localhost/api/hubs/chat"), "audience path"),
            (json!("http://localhost/clients/?hub=chat"), "audience path"),
            (json!("http://example.com/client/?hub=chat"), "audience host"),
            (json!("http://localhost/client/?hub=other"), "audience hub"),
            (json!("http://localhost/client/"), "audience hub"),
            (json!("http://localhost/client/?hub=chat&hub=chat"), "audience hub"),
            (json!("localhost"), "audience"),
            (json!("ftp://localhost/client/?hub=chat"), "audience"),
            (json!(7), "audience"),
            (json!([]), "audience"),
        ] {
            assert_eq!(client(&audience).unwrap_err().rule, rule, "{audience}");
        }
    }

    #[test]
    fn a_rest_path_is_compared_decoded_and_segment_by_segment() {
        assert_eq!(rest("http://localhost/api/hubs/chat/users/a%2Fb/:send"), Ok(()));
        assert_eq!(
            rest("http://localhost:8888/api/hubs/chat/users/a%2fb/%3Asend/?api-version=2022-06-01"),
            Ok(())
        );
        assert_eq!(rest("http://localhost/api/hubs/chat/users/a/b/:send").unwrap_err().rule, "audience path");
        assert_eq!(rest("http://localhost/api/hubs/chat").unwrap_err().rule, "audience path");
        assert_eq!(rest("http://localhost/client/?hub=chat").unwrap_err().rule, "audience path");
    }
}
