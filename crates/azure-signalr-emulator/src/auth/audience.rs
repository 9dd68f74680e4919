//! The audience of a token: the hub of a client, or the path of a REST call.
//!
//! SDKs differ in port, trailing slash and query of the audience, so these are ignored. Another path, hub or host is an error, as
//! in Azure.

use serde_json::Value;
use url::Url;

use crate::api_error::AuthError;
use crate::hub::HubName;
use crate::request::{Query, path_segments};

/// How many characters of an invalid audience an error repeats.
const MAX_QUOTED_CHARS: usize = 200;

/// What a token must be issued for.
pub(crate) enum Audience<'a> {
    /// A client that connects to the hub.
    Client { hub: &'a HubName },
    /// A REST call to the path, given as decoded segments.
    Rest { path: &'a [String] },
}

impl Audience<'_> {
    /// Checks the claim `aud`. One matching audience of several is enough. `hosts` are allowed besides the loopback names.
    pub(super) fn check(&self, claim: Option<&Value>, hosts: &[String]) -> Result<(), AuthError> {
        let audiences = match claim {
            Some(Value::Array(audiences)) => audiences.as_slice(),
            Some(audience) => std::slice::from_ref(audience),
            None => &[],
        };
        let mut last = AuthError::new("audience", self.expected(), "none");
        for audience in audiences {
            match self.check_one(audience.as_str().unwrap_or_default(), hosts) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn check_one(&self, audience: &str, hosts: &[String]) -> Result<(), AuthError> {
        let found = || quoted(audience);
        let not_a_url = || AuthError::new("audience", self.expected(), found());
        let url = Url::parse(audience).map_err(|_| not_a_url())?;
        let host = url.host().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(not_a_url)?;
        if !self.matches_path(&path_segments(url.path()).map_err(|_| not_a_url())?) {
            return Err(AuthError::new("audience path", self.expected(), found()));
        }
        if !http_server::is_allowed_host(&host.to_string(), hosts) {
            let allowed: String = hosts.iter().map(|host| [", ", host].concat()).collect();
            return Err(AuthError::new("audience host", format!("a loopback name{allowed}"), found()));
        }
        if let Self::Client { hub } = self
            && !names_hub(&url, hub)
        {
            return Err(AuthError::new("audience hub", format!("hub={hub}"), found()));
        }
        Ok(())
    }

    fn matches_path(&self, found: &[String]) -> bool {
        match self {
            Self::Client { .. } => found == ["client"],
            Self::Rest { path } => found == *path,
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
    let short: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn client(audience: &Value) -> Result<(), AuthError> {
        let hub = HubName::of_client("chat").unwrap();
        Audience::Client { hub: &hub }.check(Some(audience), &["My.Host".to_owned()])
    }

    fn rest(audience: &str) -> Result<(), AuthError> {
        let path = ["api", "hubs", "chat", "users", "a/b", ":send"].map(str::to_owned);
        Audience::Rest { path: &path }.check(Some(&json!(audience)), &[])
    }

    #[test]
    fn port_slash_scheme_and_other_queries_are_ignored() {
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
    fn one_matching_audience_of_several_is_enough() {
        assert_eq!(client(&json!(["http://elsewhere/", "http://localhost/client/?hub=chat"])), Ok(()));
    }

    #[test]
    fn path_host_and_hub_have_to_match() {
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
        assert_eq!(rest("http://localhost:8888/api/hubs/chat/users/a%2fb/%3Asend/?api-version=2022-06-01"), Ok(()));
        assert_eq!(rest("http://localhost/api/hubs/chat/users/a/b/:send").unwrap_err().rule, "audience path");
        assert_eq!(rest("http://localhost/api/hubs/chat").unwrap_err().rule, "audience path");
        assert_eq!(rest("http://localhost/client/?hub=chat").unwrap_err().rule, "audience path");
    }
}
