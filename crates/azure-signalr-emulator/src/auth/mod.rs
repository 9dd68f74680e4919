//! Verifies access tokens of clients and REST callers. Their audience tells them apart.
//!
//! The signature is checked first: until then no error quotes the token.

mod audience;
mod client_token;
mod entra;

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use crate::access_key::AccessKey;
use crate::api_error::{AuthError, SIGNATURE};
use crate::hub::HubName;
use audience::Audience;
use entra::{Entra, IssuedAccessKey};

pub(crate) use client_token::{ClientIdentity, client_token};
pub use entra::EntraOptions;

/// Verifies access tokens against keys, times and audiences.
pub(crate) struct Auth {
    keys: Vec<DecodingKey>,
    rules: Validation,
    /// The host names of audiences besides the loopback names.
    hosts: Vec<String>,
    leeway: Duration,
    entra: Option<Entra>,
    /// Check the signature only.
    lenient: bool,
}

/// How a caller of the REST API is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// By an access key.
    AccessKey,
    /// As an identity of Microsoft Entra ID.
    Identity,
}

impl Auth {
    pub(crate) fn new(keys: &[AccessKey], hosts: &[String], leeway: Duration) -> Self {
        // Times and audience are checked below: errors of the library do not say what was expected and what was found.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.algorithms = vec![Algorithm::HS256, Algorithm::HS512];
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.validate_aud = false;
        let keys = keys.iter().map(|key| DecodingKey::from_secret(key.as_str().as_bytes())).collect();
        Self { keys, rules, hosts: hosts.to_vec(), leeway, entra: None, lenient: false }
    }

    /// Ignores times and audiences if `lenient`.
    pub(crate) fn lenient(self, lenient: bool) -> Self {
        Self { lenient, ..self }
    }

    /// Accepts identities of Microsoft Entra ID too.
    pub(crate) fn with_entra(self, options: Option<EntraOptions>) -> Self {
        Self { entra: options.map(Entra::new), ..self }
    }

    /// Verifies the token of a client of the hub. `now` is in seconds since 1970.
    pub(crate) fn authorize_client(
        &self,
        token: Option<&str>,
        hub: &HubName,
        now: u64,
    ) -> Result<ClientIdentity, AuthError> {
        let claims = self.verify(token, &Audience::Client { hub }, now)?;
        Ok(ClientIdentity::read(claims))
    }

    /// Verifies the token of a REST call; `path` is the decoded path of the request.
    pub(crate) fn authorize_caller(&self, token: Option<&str>, path: &[String], now: u64) -> Result<Caller, AuthError> {
        match (self.verify(token, &Audience::Rest { path }, now), &self.entra, token) {
            (Err(error), Some(entra), Some(token)) if error.rule == SIGNATURE => {
                let claims = self.claims_signed_with(&entra.signing_key, token)?.ok_or(error)?;
                self.check_time(&claims, now)?;
                entra.authorize(&claims).map(|()| Caller::Identity)
            }
            (outcome, ..) => outcome.map(|_| Caller::AccessKey),
        }
    }

    /// Issues a key with which an identity signs client tokens; `None` without [`EntraOptions`].
    pub(crate) fn issue_access_key(&self, now: u64) -> Option<IssuedAccessKey> {
        self.entra.as_ref().map(|entra| entra.issue_access_key(now))
    }

    fn verify(&self, token: Option<&str>, audience: &Audience<'_>, now: u64) -> Result<Map<String, Value>, AuthError> {
        let token = token.ok_or_else(|| AuthError::new("token", "an access token", "none"))?;
        let claims = self.signed_claims(token, audience, now)?;
        if self.lenient {
            return Ok(claims);
        }
        self.check_time(&claims, now)?;
        audience.check(claims.get("aud"), &self.hosts)?;
        Ok(claims)
    }

    /// The header `kid` selects an issued key, for client tokens only. An unknown `kid` is ignored.
    fn signed_claims(&self, token: &str, audience: &Audience<'_>, now: u64) -> Result<Map<String, Value>, AuthError> {
        let issued = match audience {
            Audience::Client { .. } => self.entra.as_ref().and_then(|entra| entra.find_key(token, now)),
            Audience::Rest { .. } => None,
        };
        for key in issued.iter().chain(&self.keys) {
            if let Some(claims) = self.claims_signed_with(key, token)? {
                return Ok(claims);
            }
        }
        let expected = format!("a signature by one of the {} access keys, used as UTF-8 text", self.keys.len());
        Err(AuthError::new(SIGNATURE, expected, "a signature by another key"))
    }

    /// `None` if another key signed the token.
    fn claims_signed_with(&self, key: &DecodingKey, token: &str) -> Result<Option<Map<String, Value>>, AuthError> {
        match jsonwebtoken::decode(token, key, &self.rules) {
            Ok(token) => Ok(Some(token.claims)),
            Err(error) => match error.kind() {
                ErrorKind::InvalidSignature => Ok(None),
                ErrorKind::InvalidAlgorithm => Err(AuthError::new("algorithm", "HS256 or HS512", "another algorithm")),
                _ => Err(AuthError::new("token", "a signed JWT", "something else")),
            },
        }
    }

    fn check_time(&self, claims: &Map<String, Value>, now: u64) -> Result<(), AuthError> {
        let (now, leeway) = (now as f64, self.leeway.as_secs_f64());
        let expiry = claims.get("exp").ok_or_else(|| AuthError::new("exp", "a time of expiry", "none"))?;
        let Some(expiry) = expiry.as_f64() else {
            return Err(AuthError::new("exp", "seconds since 1970, as a number", "something else"));
        };
        if now > expiry + leeway {
            let found = format!("{expiry}, {} s ago", now - expiry);
            return Err(AuthError::new("exp", format!("a time after now ({now})"), found));
        }
        let Some(not_before) = claims.get("nbf") else { return Ok(()) };
        let Some(not_before) = not_before.as_f64() else {
            return Err(AuthError::new("nbf", "seconds since 1970, as a number", "something else"));
        };
        if now + leeway < not_before {
            let found = format!("{not_before}, in {} s", not_before - now);
            return Err(AuthError::new("nbf", format!("a time not after now ({now})"), found));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    const NOW: u64 = 1_700_000_000;

    fn auth() -> Auth {
        let keys = [AccessKey::new("first").unwrap(), AccessKey::new("second").unwrap()];
        Auth::new(&keys, &[], Duration::from_secs(5))
    }

    fn token(algorithm: Algorithm, key: &str, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
    }

    fn claims() -> Value {
        json!({"aud": "http://localhost/client/?hub=chat", "exp": NOW + 3600, "nbf": NOW})
    }

    fn authorize(token: Option<&str>) -> Result<ClientIdentity, AuthError> {
        auth().authorize_client(token, &HubName::of_client("chat").unwrap(), NOW)
    }

    fn rule(claims: &Value) -> &'static str {
        authorize(Some(&token(Algorithm::HS256, "first", claims))).unwrap_err().rule
    }

    #[test]
    fn any_of_the_keys_and_both_algorithms_are_accepted() {
        for (algorithm, key) in
            [(Algorithm::HS256, "first"), (Algorithm::HS256, "second"), (Algorithm::HS512, "second")]
        {
            assert!(authorize(Some(&token(algorithm, key, &claims()))).is_ok(), "{algorithm:?} {key}");
        }
    }

    #[test]
    fn a_published_token_verifies() {
        // Made by another implementation with the key of the official emulator; valid from 1700000000 for an hour.
        let vector = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhc3JzLnMudWlkIjoidTEiLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMCwiaWF0IjoxNzAwMDAwMDAwLCJhdWQiOiJodHRwOi8vbG9jYWxob3N0L2NsaWVudC8_aHViPWNoYXQifQ.-WYX7JGgJKomLnyllQ2C8IAQj9M75qmV4VRPVxQ8UTM";
        let auth = Auth::new(&[AccessKey::official_emulator()], &[], Duration::ZERO);
        let identity = auth.authorize_client(Some(vector), &HubName::of_client("chat").unwrap(), NOW).unwrap();
        assert_eq!(identity.user.unwrap().as_str(), "u1");
    }

    #[test]
    fn every_error_names_its_rule() {
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            claims
        };
        assert_eq!(authorize(None).unwrap_err().rule, "token");
        assert_eq!(authorize(Some("no.such.token")).unwrap_err().rule, "token");
        assert_eq!(authorize(Some(&token(Algorithm::HS384, "first", &claims()))).unwrap_err().rule, "algorithm");
        assert_eq!(authorize(Some(&token(Algorithm::HS256, "third", &claims()))).unwrap_err().rule, "signature");
        assert_eq!(rule(&json!({"aud": "http://localhost/client/?hub=chat"})), "exp");
        assert_eq!(rule(&with("exp", json!("soon"))), "exp");
        assert_eq!(rule(&with("exp", json!(NOW - 6))), "exp");
        assert_eq!(rule(&with("nbf", json!(NOW + 6))), "nbf");
        assert_eq!(rule(&with("aud", json!("http://localhost/client/?hub=other"))), "audience hub");
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let claims = json!({"aud": "http://localhost/client/?hub=chat", "exp": NOW - 5, "nbf": NOW + 5});
        assert!(authorize(Some(&token(Algorithm::HS256, "first", &claims))).is_ok());
    }

    #[test]
    fn a_time_of_any_size_is_compared_and_what_is_no_number_is_refused() {
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            authorize(Some(&token(Algorithm::HS256, "first", &claims))).map(drop).map_err(|error| error.rule)
        };
        for far in [json!(i64::MAX), json!(u64::MAX), json!(f64::MAX), json!(NOW as f64 + 0.5)] {
            assert_eq!(with("exp", far.clone()), Ok(()), "{far}");
        }
        for past in [json!(-1), json!(i64::MIN), json!(f64::MIN), json!(0)] {
            assert_eq!((with("exp", past.clone()), with("nbf", past.clone())), (Err("exp"), Ok(())), "{past}");
        }
        for future in [json!(i64::MAX), json!(u64::MAX), json!(f64::MAX)] {
            assert_eq!(with("nbf", future.clone()), Err("nbf"), "{future}");
        }
        for no_time in [json!("1700003600"), json!(null), json!([]), json!({}), json!(true)] {
            assert_eq!((with("exp", no_time.clone()), with("nbf", no_time.clone())), (Err("exp"), Err("nbf")));
        }
    }

    #[test]
    fn an_error_shows_neither_key_nor_token() {
        let rejected = token(Algorithm::HS256, "third", &claims());
        let message = authorize(Some(&rejected)).unwrap_err().to_string();
        assert!(!message.contains("first") && !message.contains(&rejected));
    }
}
