//! The body of `POST /api/access-token`: scopes and lifetime, at most those that the settings allow.
//!
//! Other fields are ignored, ids of other people in particular.

use azure_communication::{Grant, Lifetime, Scope};
use serde_json::{Map, Value};

use crate::error::Error;

/// What a caller asks for. A missing field means all that is allowed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct TokenRequest {
    scopes: Option<Grant>,
    lifetime: Option<Lifetime>,
}

impl TokenRequest {
    /// Parses a body, which may be empty.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let mut fields: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|_| Error::InvalidRequest("body", "must be a JSON object, or empty"))?;
        let mut take = |name| fields.remove(name).unwrap_or_default();
        Ok(Self { scopes: scopes(take("scopes"))?, lifetime: lifetime(&take("expiresInMinutes"))? })
    }

    /// The requested grant, if it is within `max_grant`.
    pub(super) fn authorize(self, max_grant: &Grant) -> Result<Grant, Error> {
        let grant = self.scopes.unwrap_or_else(|| max_grant.clone());
        if grant.scopes().iter().any(|scope| !max_grant.scopes().contains(scope)) {
            let rule = "may be those that this app gives out and no others; leave them out to get all of these";
            return Err(Error::NotAllowed("scopes", rule));
        }
        // Without a lifetime the service takes the longest.
        let longest = max_grant.lifetime().unwrap_or(Lifetime::MAX);
        let lifetime = self.lifetime.unwrap_or(longest);
        if lifetime > longest {
            let rule = "may be as many as this app gives out and no more; leave them out to get that many";
            return Err(Error::NotAllowed("expiresInMinutes", rule));
        }
        Ok(grant.with_lifetime(lifetime))
    }
}

fn scopes(value: Value) -> Result<Option<Grant>, Error> {
    const WRONG: Error = Error::InvalidRequest("scopes", "must be a list of at least one, like [\"voip.join\"]");
    if value.is_null() {
        return Ok(None);
    }
    let names: Vec<String> = serde_json::from_value(value).map_err(|_| WRONG)?;
    let scopes: Result<Vec<Scope>, _> = names.iter().map(|name| name.parse()).collect();
    Grant::new(scopes.map_err(|_| WRONG)?).map(Some).ok_or(WRONG)
}

fn lifetime(value: &Value) -> Result<Option<Lifetime>, Error> {
    const WRONG: Error = Error::InvalidRequest("expiresInMinutes", "must be a whole number from 60 to 1440");
    if value.is_null() {
        return Ok(None);
    }
    // 60 and 60.0 are the same number.
    let is_whole = |minutes: &f64| minutes.fract() == 0.0 && (0.0..=f64::from(u16::MAX)).contains(minutes);
    let minutes = value.as_f64().filter(is_whole).ok_or(WRONG)?;
    Lifetime::from_minutes(minutes as u16).map(Some).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn max_grant() -> Grant {
        let minutes = Lifetime::from_minutes(120).unwrap();
        Grant::new([Scope::CHAT_JOIN, Scope::VOIP_JOIN]).unwrap().with_lifetime(minutes)
    }

    fn granted(body: &str) -> Result<Grant, Error> {
        TokenRequest::parse(body.as_bytes())?.authorize(&max_grant())
    }

    #[test]
    fn who_asks_for_nothing_gets_all_there_is() {
        for body in ["", "{}", r#"{"scopes":null,"expiresInMinutes":null}"#, r#"{"user":{"id":"8:acs:x"}}"#] {
            assert_eq!(granted(body).unwrap(), max_grant(), "{body}");
        }
    }

    #[test]
    fn who_asks_for_less_gets_less() {
        let grant = granted(r#"{"scopes":["voip.join","voip.join"],"expiresInMinutes":60}"#).unwrap();
        assert_eq!(grant, Grant::from(Scope::VOIP_JOIN).with_lifetime(Lifetime::MIN));
        for number in ["120", "120.0", "1.2e2"] {
            let grant = granted(&format!(r#"{{"expiresInMinutes":{number}}}"#)).unwrap();
            assert_eq!(grant, max_grant(), "{number}");
        }
    }

    #[test]
    fn case_39_who_asks_for_more_gets_nothing() {
        for body in [
            r#"{"scopes":["voip"]}"#,
            r#"{"scopes":["chat.join","chat"]}"#,
            r#"{"expiresInMinutes":121}"#,
            r#"{"expiresInMinutes":1440}"#,
        ] {
            assert!(matches!(granted(body), Err(Error::NotAllowed(..))), "{body}");
        }
    }

    #[test]
    fn invalid_fields_are_named() {
        for body in [
            "x", "[]", "null", r#"{"scopes":[]}"#, r#"{"scopes":"chat"}"#, r#"{"scopes":[1]}"#,
            r#"{"scopes":["chat join"]}"#, r#"{"expiresInMinutes":59}"#, r#"{"expiresInMinutes":1441}"#,
            r#"{"expiresInMinutes":65596}"#, r#"{"expiresInMinutes":60.5}"#, r#"{"expiresInMinutes":"60"}"#,
            r#"{"expiresInMinutes":-60}"#, r#"{"expiresInMinutes":1e300}"#,
        ] {
            assert!(matches!(granted(body), Err(Error::InvalidRequest(..))), "{body}");
        }
    }
}
