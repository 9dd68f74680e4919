//! Authenticates requests: signatures with an access key, and bearer tokens where `Options::entra` is set.
//!
//! Runs before everything else, so that a caller without a valid credential learns nothing about the resource.

use axum::http::{Request, header};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use crate::access_keys::{AccessKeys, KeyGeneration};
use crate::access_token::verify_jwt;
use crate::error::AuthError;
use crate::hmac_signature::{self, single_header};
use crate::options::EntraOptions;

/// The claim `aud` of Entra tokens for Communication Services; the scope spells it with slashes at the end.
const AUDIENCE: &str = "https://communication.azure.com";

/// What requests are authenticated against, beside the access keys.
pub(crate) struct Authenticator {
    max_skew: u64,
    bearer: Option<BearerAuth>,
}

impl Authenticator {
    /// `max_skew` is the maximum difference of a request's date from the clock, in seconds.
    pub(crate) fn new(max_skew: u64, entra: Option<EntraOptions>) -> Self {
        Self { max_skew, bearer: entra.map(BearerAuth::new) }
    }

    /// Authenticates a request and returns the key generation for tokens issued to its caller. `now` is in seconds since 1970.
    pub(crate) fn authenticate(
        &self,
        request: &Request<Vec<u8>>,
        keys: &AccessKeys,
        now: u64,
    ) -> Result<KeyGeneration, AuthError> {
        let credential = single_header(request.headers(), header::AUTHORIZATION.as_str())?;
        let (scheme, parameters) = credential.split_once(' ').unwrap_or((credential, ""));
        match &self.bearer {
            Some(bearer) if scheme.eq_ignore_ascii_case("bearer") => {
                bearer.check(parameters.trim(), now).map(|()| KeyGeneration::NO_KEY)
            }
            _ if scheme.eq_ignore_ascii_case(hmac_signature::SCHEME) => {
                hmac_signature::verify(parameters, request, keys, now, self.max_skew)
            }
            Some(_) => {
                let expected = "`Authorization: HMAC-SHA256 …` or `Authorization: Bearer …`";
                Err(AuthError::new("scheme", expected, "another scheme"))
            }
            None => Err(AuthError::new("scheme", "`Authorization: HMAC-SHA256 …`", "another scheme")),
        }
    }
}

/// Checks bearer tokens of the issuer in `EntraOptions`.
struct BearerAuth {
    options: EntraOptions,
    signing_key: DecodingKey,
}

impl BearerAuth {
    fn new(options: EntraOptions) -> Self {
        Self { signing_key: DecodingKey::from_secret(options.signing_key.bytes()), options }
    }

    /// Checks, in this order: signature, time, issuer, audience, role. `now` is in seconds since 1970.
    fn check(&self, token: &str, now: u64) -> Result<(), AuthError> {
        let (_, claims) = verify_jwt(token, &self.signing_key)
            .ok_or_else(|| AuthError::new("token", "a JWT signed by the issuer, HS256", "another text"))?;
        check_time(&claims, now)?;
        let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        if claim("iss") != self.options.issuer {
            return Err(AuthError::new("issuer", format!("{:?}", self.options.issuer), "another or none"));
        }
        if claim("aud").trim_end_matches('/') != AUDIENCE {
            return Err(AuthError::new("audience", format!("{AUDIENCE:?}"), "another or none"));
        }
        if self.options.owners.iter().any(|owner| owner == claim("oid")) {
            return Ok(());
        }
        let expected = "an identity (claim `oid`) with a role on the service";
        Err(AuthError { forbidden: true, ..AuthError::new("role", expected, "one without") })
    }
}

fn check_time(claims: &Map<String, Value>, now: u64) -> Result<(), AuthError> {
    let time = |name| claims.get(name).map(|time| time.as_u64().ok_or(time));
    let (begin, end) = (time("nbf"), time("exp"));
    for (rule, malformed) in [("exp", end), ("nbf", begin)] {
        if let Some(Err(_)) = malformed {
            return Err(AuthError::new(rule, "whole seconds since 1970, as a number", "something else"));
        }
    }
    match (begin, end) {
        (_, Some(Ok(end))) if end <= now => {
            Err(AuthError::new("exp", format!("a time after now ({now})"), end.to_string()))
        }
        (Some(Ok(begin)), _) if now < begin => {
            Err(AuthError::new("nbf", format!("a time not after now ({now})"), begin.to_string()))
        }
        (_, None) => Err(AuthError::new("exp", "an expiry time, in seconds since 1970", "none")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::access_keys::AccessKey;
    use crate::access_token::sign_jwt;

    const NOW: u64 = 1_700_000_000;

    fn check(changes: Value) -> Result<(), AuthError> {
        let signing_key = AccessKey::new("aXNzdWVy").unwrap();
        let mut claims = json!({
            "iss": "i", "aud": "https://communication.azure.com//", "oid": "app", "nbf": NOW, "exp": NOW + 1,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let token = sign_jwt(&json!({"alg": "HS256"}), &claims, signing_key.bytes());
        let options = EntraOptions { issuer: "i".to_owned(), signing_key, owners: vec!["app".to_owned()] };
        BearerAuth::new(options).check(&token, NOW)
    }

    #[test]
    fn an_identity_with_a_role_is_accepted() {
        assert_eq!(check(json!({})), Ok(()));
        assert_eq!(check(json!({"aud": AUDIENCE})), Ok(()));
        for exp in [i64::MAX as u64, u64::MAX] {
            assert_eq!(check(json!({"exp": exp})), Ok(()));
        }
    }

    #[test]
    fn every_error_names_its_rule() {
        for (changes, rule) in [
            (json!({"exp": NOW}), "exp"),
            (json!({"exp": "soon"}), "exp"),
            (json!({"exp": -1}), "exp"),
            (json!({"exp": 1.7e9}), "exp"),
            (json!({"exp": f64::MAX}), "exp"),
            (json!({"exp": null}), "exp"),
            (json!({"nbf": NOW + 1}), "nbf"),
            (json!({"nbf": u64::MAX}), "nbf"),
            (json!({"nbf": -1}), "nbf"),
            (json!({"nbf": "soon"}), "nbf"),
            (json!({"nbf": 1.5}), "nbf"),
            (json!({"iss": "j"}), "issuer"),
            (json!({"aud": "https://signalr.azure.com"}), "audience"),
            (json!({"oid": "guest"}), "role"),
        ] {
            let error = check(changes).unwrap_err();
            assert_eq!((error.rule, error.forbidden), (rule, rule == "role"));
        }
    }
}
