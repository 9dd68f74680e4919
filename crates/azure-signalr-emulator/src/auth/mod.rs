//! Verifies access tokens of clients and REST callers. Their audience tells them apart.
//!
//! The signature is checked first: until then no error quotes the token.

mod audience;
mod client_token;
mod entra;
mod signed_token;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::access_key::AccessKey;
use crate::access_keys::AccessKeys;
use crate::api_error::{AuthError, SIGNATURE};
use crate::hub::HubName;
use audience::Audience;
use entra::{Entra, IssuedAccessKey};
use signed_token::SignedToken;

pub(crate) use client_token::{VerifiedToken, client_token};
pub use entra::EntraOptions;

/// Verifies access tokens against keys, times and audiences.
pub(crate) struct Auth {
    keys: Arc<AccessKeys>,
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
    pub(crate) fn new(keys: Arc<AccessKeys>, hosts: &[String], leeway: Duration) -> Self {
        Self { keys, hosts: hosts.to_vec(), leeway, entra: None, lenient: false }
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
    ///
    /// `remembered` is a token that was verified for this hub before. If the client brings the same one, it is returned, unless it
    /// has expired or the keys have changed since.
    pub(crate) fn authorize_client(
        &self,
        token: Option<&str>,
        remembered: Option<Arc<VerifiedToken>>,
        hub: &HubName,
        now: u64,
    ) -> Result<Arc<VerifiedToken>, AuthError> {
        let token = token.ok_or_else(no_token)?;
        let keys = self.keys.current();
        if let Some(remembered) = remembered.filter(|remembered| remembered.is_valid(token, &keys, now)) {
            return Ok(remembered);
        }
        let signed = SignedToken::parse(token)?;
        // The header `kid` selects an issued key. An unknown one is ignored.
        let issued = self.entra.as_ref().and_then(|entra| entra.find_key(&signed, now));
        let issued = issued.filter(|issued| signed.is_signed_with(&issued.key));
        if issued.is_none() {
            check_signature(&signed, &keys)?;
        }
        let claims = signed.claims()?;
        let expiry = self.check_claims(&claims, &Audience::Client { hub }, now)?;
        let valid_until = issued.map_or(expiry, |issued| expiry.min(issued.expires_at as f64));
        Ok(Arc::new(VerifiedToken::new(token, &claims, valid_until, keys)))
    }

    /// Verifies the token of a REST call; `path` is the decoded path of the request.
    pub(crate) fn authorize_caller(&self, token: Option<&str>, path: &[String], now: u64) -> Result<Caller, AuthError> {
        let signed = SignedToken::parse(token.ok_or_else(no_token)?)?;
        match (check_signature(&signed, &self.keys.current()), &self.entra) {
            (Err(_), Some(entra)) if signed.is_signed_with(&entra.options.signing_key) => {
                let claims = signed.claims()?;
                self.check_time(&claims, now)?;
                entra.authorize(&claims).map(|()| Caller::Identity)
            }
            (checked, _) => {
                checked?;
                self.check_claims(&signed.claims()?, &Audience::Rest { path }, now).map(|_| Caller::AccessKey)
            }
        }
    }

    /// Issues a key with which an identity signs client tokens; `None` without [`EntraOptions`].
    pub(crate) fn issue_access_key(&self, now: u64) -> Option<IssuedAccessKey> {
        self.entra.as_ref().map(|entra| entra.issue_access_key(now))
    }

    /// Checks times and audience, and returns until when the token is valid, in seconds since 1970.
    fn check_claims(&self, claims: &Map<String, Value>, audience: &Audience<'_>, now: u64) -> Result<f64, AuthError> {
        if self.lenient {
            return Ok(f64::INFINITY);
        }
        let expiry = self.check_time(claims, now)?;
        audience.check(claims.get("aud"), &self.hosts)?;
        Ok(expiry)
    }

    /// Checks `exp` and `nbf`, and returns until when the token is valid.
    fn check_time(&self, claims: &Map<String, Value>, now: u64) -> Result<f64, AuthError> {
        let (now, leeway) = (now as f64, self.leeway.as_secs_f64());
        let expiry = claims.get("exp").ok_or_else(|| AuthError::new("exp", "a time of expiry", "none"))?;
        let Some(expiry) = expiry.as_f64() else {
            return Err(AuthError::new("exp", "seconds since 1970, as a number", "something else"));
        };
        if now > expiry + leeway {
            let found = format!("{expiry}, {} s ago", now - expiry);
            return Err(AuthError::new("exp", format!("a time after now ({now})"), found));
        }
        let Some(not_before) = claims.get("nbf") else { return Ok(expiry + leeway) };
        let Some(not_before) = not_before.as_f64() else {
            return Err(AuthError::new("nbf", "seconds since 1970, as a number", "something else"));
        };
        if now + leeway < not_before {
            let found = format!("{not_before}, in {} s", not_before - now);
            return Err(AuthError::new("nbf", format!("a time not after now ({now})"), found));
        }
        Ok(expiry + leeway)
    }
}

fn no_token() -> AuthError {
    AuthError::new("token", "an access token", "none")
}

fn check_signature(token: &SignedToken<'_>, keys: &[AccessKey]) -> Result<(), AuthError> {
    if keys.iter().any(|key| token.is_signed_with(key)) {
        return Ok(());
    }
    let expected = format!("a signature by one of the {} access keys, used as UTF-8 text", keys.len());
    Err(AuthError::new(SIGNATURE, expected, "a signature by another key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use serde_json::json;

    const NOW: u64 = 1_700_000_000;

    fn auth() -> Auth {
        let keys = [AccessKey::new("first").unwrap(), AccessKey::new("second").unwrap()];
        Auth::new(AccessKeys::new(&keys, None).into(), &[], Duration::from_secs(5))
    }

    fn token(algorithm: Algorithm, key: &str, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
    }

    fn claims() -> Value {
        json!({"aud": "http://localhost/client/?hub=chat", "exp": NOW + 3600, "nbf": NOW})
    }

    fn hub() -> HubName {
        HubName::of_client("chat").unwrap()
    }

    fn authorize(token: Option<&str>) -> Result<Arc<VerifiedToken>, AuthError> {
        auth().authorize_client(token, None, &hub(), NOW)
    }

    fn rule(claims: &Value) -> &'static str {
        refused_by(Some(&token(Algorithm::HS256, "first", claims)))
    }

    fn refused_by(token: Option<&str>) -> &'static str {
        authorize(token).err().unwrap().rule
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
        let auth = Auth::new(AccessKeys::new(&[AccessKey::official_emulator()], None).into(), &[], Duration::ZERO);
        let verified = auth.authorize_client(Some(vector), None, &hub(), NOW).unwrap();
        assert_eq!(verified.identity.user.as_ref().unwrap().as_str(), "u1");
    }

    #[test]
    fn every_error_names_its_rule() {
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            claims
        };
        assert_eq!(refused_by(None), "token");
        assert_eq!(refused_by(Some("no.such.token")), "token");
        assert_eq!(refused_by(Some(&token(Algorithm::HS384, "first", &claims()))), "algorithm");
        assert_eq!(refused_by(Some(&token(Algorithm::HS256, "third", &claims()))), "signature");
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
    fn a_remembered_token_is_not_verified_again() {
        let auth = auth();
        let text = token(Algorithm::HS256, "second", &claims());
        let first = auth.authorize_client(Some(&text), None, &hub(), NOW).ok().unwrap();
        // Five seconds of clock difference are tolerated.
        for now in [NOW, NOW + 3600, NOW + 3605] {
            let again = auth.authorize_client(Some(&text), Some(first.clone()), &hub(), now).ok().unwrap();
            assert!(Arc::ptr_eq(&first, &again));
        }
    }

    #[test]
    fn a_remembered_token_proves_nothing_once_it_has_expired_or_for_another_token() {
        let auth = auth();
        let text = token(Algorithm::HS256, "first", &claims());
        let remembered = auth.authorize_client(Some(&text), None, &hub(), NOW).ok().unwrap();
        let refused_by = |text: Option<&str>, now| {
            let result = auth.authorize_client(text, Some(remembered.clone()), &hub(), now);
            result.err().map(|error| error.rule)
        };
        assert_eq!(refused_by(Some(&text), NOW + 3606), Some("exp"));
        assert_eq!(refused_by(None, NOW), Some("token"));
        assert_eq!(refused_by(Some(""), NOW), Some("token"));
        let forged = token(Algorithm::HS256, "third", &claims());
        assert_eq!(refused_by(Some(&forged), NOW), Some("signature"));
        // The claims of another token with the signature of this one.
        let other =
            token(Algorithm::HS256, "third", &json!({"aud": "http://localhost/client/?hub=chat", "exp": NOW + 9999}));
        let (claims_of_other, _) = other.rsplit_once('.').unwrap();
        let (_, signature) = text.rsplit_once('.').unwrap();
        assert_eq!(refused_by(Some(&format!("{claims_of_other}.{signature}")), NOW), Some("signature"));
        // Another valid token is verified, and takes the place of the remembered one.
        let other = token(Algorithm::HS256, "second", &claims());
        let verified = auth.authorize_client(Some(&other), Some(remembered.clone()), &hub(), NOW).ok().unwrap();
        assert!(!Arc::ptr_eq(&remembered, &verified));
    }

    #[test]
    fn an_error_shows_neither_key_nor_token() {
        let rejected = token(Algorithm::HS256, "third", &claims());
        let message = authorize(Some(&rejected)).err().unwrap().to_string();
        assert!(!message.contains("first") && !message.contains(&rejected));
    }
}
