//! Reads what requests carry: query parameters, path segments, and the bearer token.

use std::borrow::Cow;

use axum::http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

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
        let pairs = form_urlencoded::parse(self.0.as_bytes());
        pairs.filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
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

/// The token of the `Authorization` header, else the last `access_token` of `query`. `None` for `query` allows the header only.
pub(crate) fn bearer_token<'a>(headers: &'a HeaderMap, query: Option<Query<'a>>) -> Option<Cow<'a, str>> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| value.split_once(' '));
    match bearer {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim().into()),
        _ => query?.last("access_token"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ignore_case_and_values_are_decoded() {
        let query = Query::new(Some("Hub=a%2Bb+c&other=1"));
        assert_eq!(query.one("hub").unwrap().unwrap(), "a+b c");
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
    fn the_header_comes_before_the_query() {
        let query = Some(Query::new(Some("access_token=q1&access_token=q2")));
        assert_eq!(bearer_token(&headers("bearer h"), query).unwrap(), "h");
        assert_eq!(bearer_token(&HeaderMap::new(), query).unwrap(), "q2");
        assert_eq!(bearer_token(&headers("Basic x"), query).unwrap(), "q2");
    }

    #[test]
    fn without_a_query_only_the_header_counts() {
        assert_eq!(bearer_token(&HeaderMap::new(), None), None);
        assert_eq!(bearer_token(&headers("Bearer h"), None).unwrap(), "h");
    }
}
