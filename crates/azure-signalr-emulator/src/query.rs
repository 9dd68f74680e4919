//! Query strings. Keys are compared ignoring case, as the service's platform does; values are not.

use std::borrow::Cow;

use url::form_urlencoded;

/// A parameter that may be given once was given twice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Repeated;

/// The query string of one request. It may hold an access token, so it has no `Debug`.
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
    pub(crate) fn one(self, key: &'a str) -> Result<Option<Cow<'a, str>>, Repeated> {
        let mut values = self.all(key);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Repeated),
        }
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
    fn what_may_come_once_may_not_come_twice() {
        let query = Query::new(Some("id=1&ID=2"));
        assert_eq!(query.one("id"), Err(Repeated));
        assert_eq!(query.last("id").unwrap(), "2");
        assert_eq!(query.all("id").count(), 2);
    }
}
