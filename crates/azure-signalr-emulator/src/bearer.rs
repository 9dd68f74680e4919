//! Where the access token of a request stands.

use std::borrow::Cow;

use axum::http::{HeaderMap, header};

use crate::query::Query;

/// The token of the `Authorization` header, else the last `access_token` of the query, where a query may carry one.
pub(crate) fn token<'a>(headers: &'a HeaderMap, query: Option<Query<'a>>) -> Option<Cow<'a, str>> {
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

    fn headers(authorization: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())])
    }

    #[test]
    fn the_header_comes_before_the_query() {
        let query = Some(Query::new(Some("access_token=q1&access_token=q2")));
        assert_eq!(token(&headers("bearer h"), query).unwrap(), "h");
        assert_eq!(token(&HeaderMap::new(), query).unwrap(), "q2");
        assert_eq!(token(&headers("Basic x"), query).unwrap(), "q2");
    }

    #[test]
    fn without_a_query_only_the_header_counts() {
        assert_eq!(token(&HeaderMap::new(), None), None);
        assert_eq!(token(&headers("Bearer h"), None).unwrap(), "h");
    }
}
