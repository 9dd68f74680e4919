//! Reads what requests carry: query parameters, path segments, and the access token.

use std::borrow::Cow;

use axum::http::{HeaderMap, StatusCode, header};
use percent_encoding::percent_decode_str;

use crate::api_error::ApiError;
use crate::hub::HubName;

/// Longest access token, in bytes, as in Azure. See its "Troubleshooting guide for Azure SignalR Service common issues".
const MAX_ACCESS_TOKEN_BYTES: usize = 4 << 10;

/// A query parameter that must be unique occurs twice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DuplicateParameter;

/// The query string of a request. Keys ignore letter case, values do not. No `Debug`: it may hold an access token.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(crate) fn new(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// Every value of the key, decoded.
    pub(crate) fn all(self, key: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        pairs(self.0).filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// The last value of the key.
    pub(crate) fn last(self, key: &'a str) -> Option<Cow<'a, str>> {
        self.all(key).last()
    }

    /// The only value of the key.
    pub(crate) fn one(self, key: &'a str) -> Result<Option<Cow<'a, str>>, DuplicateParameter> {
        let mut values = self.all(key);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(DuplicateParameter),
        }
    }
}

/// The names and values of a query in the form `application/x-www-form-urlencoded`, decoded. See the URL Standard, section 5.1.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, value)| (decode(name), decode(value)))
}

/// Decodes a name or a value. Most, and among them every access token, escape nothing and are not copied.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return text.into();
    }
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned().into()
}

/// The query of a client's request, decoded once. Keys ignore letter case. No `Debug`: it may hold an access token.
#[derive(Default)]
pub(crate) struct ClientQuery<'a> {
    hub: Option<Cow<'a, str>>,
    has_more_hubs: bool,
    /// The connection token.
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) access_token: Option<Cow<'a, str>>,
    pub(crate) negotiate_version: Option<Cow<'a, str>>,
    pub(crate) use_stateful_reconnect: Option<Cow<'a, str>>,
}

impl<'a> ClientQuery<'a> {
    /// Keeps the last value of each parameter, and ignores parameters that the service does not know.
    pub(crate) fn parse(query: Option<&'a str>) -> Self {
        let mut parsed = Self::default();
        for (name, value) in pairs(query.unwrap_or_default()) {
            let parameter = match name {
                name if name.eq_ignore_ascii_case("hub") => {
                    parsed.has_more_hubs |= parsed.hub.is_some();
                    &mut parsed.hub
                }
                name if name.eq_ignore_ascii_case("id") => &mut parsed.id,
                name if name.eq_ignore_ascii_case("access_token") => &mut parsed.access_token,
                name if name.eq_ignore_ascii_case("negotiateVersion") => &mut parsed.negotiate_version,
                name if name.eq_ignore_ascii_case("useStatefulReconnect") => &mut parsed.use_stateful_reconnect,
                _ => continue,
            };
            *parameter = Some(value);
        }
        parsed
    }

    /// The hub, which must be given exactly once.
    pub(crate) fn hub(&self) -> Result<HubName, ApiError> {
        match &self.hub {
            _ if self.has_more_hubs => Err(ApiError::invalid("hub", "`hub` is given more than once in the query")),
            None => Err(ApiError::invalid("hub", "`hub` is missing in the query")),
            Some(name) => Ok(HubName::of_client(name)?),
        }
    }
}

/// A path segment does not decode to UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidUtf8;

/// Splits a path into segments and decodes each once, so that `%2F` in a user id stays inside its segment. One slash at the
/// end is ignored.
pub(crate) fn path_segments(path: &str) -> Result<Vec<String>, InvalidUtf8> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').map(decode_segment).collect()
}

fn decode_segment(segment: &str) -> Result<String, InvalidUtf8> {
    percent_decode_str(segment).decode_utf8().map(Into::into).map_err(|_| InvalidUtf8)
}

/// The token of the `Authorization` header, else `in_query`, where a client may carry it. A token that is too long is an error before
/// anything decodes it.
pub(crate) fn access_token<'a>(headers: &'a HeaderMap, in_query: Option<&'a str>) -> Result<Option<&'a str>, ApiError> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = match header.and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim()),
        _ => in_query,
    };
    token.map_or(Ok(()), check_access_token)?;
    Ok(token)
}

/// Checks the length of an access token.
pub(crate) fn check_access_token(token: &str) -> Result<(), ApiError> {
    let bytes = token.len();
    if bytes <= MAX_ACCESS_TOKEN_BYTES {
        return Ok(());
    }
    let message = format!(
        "the access token is {bytes} bytes; it must not be longer than {MAX_ACCESS_TOKEN_BYTES}, so put fewer claims into it"
    );
    Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "AccessTokenTooLong", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_ignore_case_and_values_are_decoded() {
        let query = Query::new(Some("Hub=a%2Bb+c&other=1"));
        assert_eq!(query.one("hub").unwrap().unwrap(), "a+b c");
    }

    proptest! {
        #[test]
        fn a_query_decodes_as_the_url_standard_says(query in "([a-c=&+%éÄ ]|%[0-9a-fA-F]{2}|%F|.){0,24}") {
            prop_assert!(pairs(&query).eq(url::form_urlencoded::parse(query.as_bytes())), "{query:?}");
        }
    }

    #[test]
    fn a_unique_parameter_that_occurs_twice_is_an_error() {
        let query = Query::new(Some("id=1&ID=2"));
        assert_eq!(query.one("id"), Err(DuplicateParameter));
        assert_eq!(query.last("id").unwrap(), "2");
        assert_eq!(query.all("id").count(), 2);
    }

    #[test]
    fn a_segment_is_decoded_once_and_never_split() {
        assert_eq!(path_segments("/users/a%2Fb%2525/:send").unwrap(), ["users", "a/b%25", ":send"]);
    }

    #[test]
    fn one_slash_at_the_end_is_tolerated_and_an_empty_segment_is_kept() {
        assert_eq!(path_segments("/a//b/").unwrap(), ["a", "", "b"]);
    }

    #[test]
    fn a_segment_that_is_not_utf8_is_an_error() {
        assert_eq!(path_segments("/%FF"), Err(InvalidUtf8));
    }

    fn headers(authorization: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())])
    }

    #[test]
    fn a_client_query_has_the_last_value_of_each_parameter() {
        let query = "ID=1&Access_Token=a%2Eb&id=s%2B1&HUB=Chat&negotiateversion=1&x=y&usestatefulreconnect=true&hubs=z&Negotiateversion=0";
        let query = ClientQuery::parse(Some(query));
        assert_eq!(query.hub().unwrap().as_str(), "chat");
        assert_eq!((query.id.as_deref(), query.access_token.as_deref()), (Some("s+1"), Some("a.b")));
        assert_eq!(
            (query.negotiate_version.as_deref(), query.use_stateful_reconnect.as_deref()),
            (Some("0"), Some("true"))
        );
        assert!(ClientQuery::parse(None).id.is_none());
    }

    #[test]
    fn a_client_names_exactly_one_hub() {
        for (query, message) in [
            ("", "`hub` is missing in the query"),
            ("hubs=chat", "`hub` is missing in the query"),
            ("hub=chat&x=1&Hub=chat", "`hub` is given more than once in the query"),
            ("hub=chat&hub=chat&hub=chat", "`hub` is given more than once in the query"),
        ] {
            assert_eq!(ClientQuery::parse(Some(query)).hub().unwrap_err().message(), message, "{query:?}");
        }
        assert!(ClientQuery::parse(Some("hub=1")).hub().unwrap_err().message().starts_with("`hub` must be"));
    }

    #[test]
    fn the_header_comes_before_the_query() {
        assert_eq!(access_token(&headers("bearer h"), Some("q")).unwrap(), Some("h"));
        assert_eq!(access_token(&HeaderMap::new(), Some("q")).unwrap(), Some("q"));
        assert_eq!(access_token(&headers("Basic x"), Some("q")).unwrap(), Some("q"));
    }

    #[test]
    fn without_a_query_only_the_header_counts() {
        assert_eq!(access_token(&HeaderMap::new(), None).unwrap(), None);
        assert_eq!(access_token(&headers("Bearer h"), None).unwrap(), Some("h"));
    }
}
