//! Who may come in: access tokens, checked strictly, and the words that explain a refusal.
//!
//! A client token and a server token differ in nothing but their audience, so the audience decides. The signature is
//! checked first: until then nothing in a token is worth quoting.

mod audience;
mod claims;
mod denied;
mod entra;
mod issue;

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use crate::AccessKey;
use crate::hub_name::HubName;
use denied::SIGNATURE;
use entra::{Entra, Lent};

pub(crate) use audience::{Audience, Hosts};
pub(crate) use claims::ClientIdentity;
pub(crate) use denied::Denied;
pub use entra::EntraOptions;
pub(crate) use issue::client_token;

/// What a token is checked against.
pub(crate) struct Auth {
    keys: Vec<DecodingKey>,
    rules: Validation,
    hosts: Hosts,
    leeway: Duration,
    entra: Option<Entra>,
    /// A signature is all it takes.
    lenient: bool,
}

/// Who calls the REST API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Somebody who has an access key.
    KeyHolder,
    /// An identity of Microsoft Entra ID.
    Identity,
}

impl Auth {
    pub(crate) fn new(keys: &[AccessKey], hosts: &[String], leeway: Duration) -> Self {
        // Time and audience are checked here, since the library could say neither what it expected nor what came.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.algorithms = vec![Algorithm::HS256, Algorithm::HS512];
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.validate_aud = false;
        let keys = keys.iter().map(|key| DecodingKey::from_secret(key.as_str().as_bytes())).collect();
        Self { keys, rules, hosts: Hosts::new(hosts), leeway, entra: None, lenient: false }
    }

    /// The same, and if `lenient`, neither times nor audiences of tokens matter.
    pub(crate) fn lenient(self, lenient: bool) -> Self {
        Self { lenient, ..self }
    }

    /// The same, and identities are admitted too.
    pub(crate) fn with_entra(self, options: Option<EntraOptions>) -> Self {
        Self { entra: options.map(Entra::new), ..self }
    }

    /// Admits a client to a hub. `now` is in seconds since 1970.
    pub(crate) fn client(
        &self,
        token: Option<&str>,
        hub: &HubName,
        now: u64,
    ) -> Result<ClientIdentity, Denied> {
        let claims = self.verify(token, &Audience::Client { hub }, now)?;
        Ok(ClientIdentity::read(claims))
    }

    /// Admits a REST call; `path` is the decoded path of the request.
    pub(crate) fn caller(&self, token: Option<&str>, path: &[String], now: u64) -> Result<Caller, Denied> {
        match (self.verify(token, &Audience::Rest { path }, now), &self.entra, token) {
            (Err(denied), Some(entra), Some(token)) if denied.rule == SIGNATURE => {
                let claims = self.claims_signed_with(entra.signing_key(), token)?.ok_or(denied)?;
                self.check_time(&claims, now)?;
                entra.admit(&claims).map(|()| Caller::Identity)
            }
            (outcome, ..) => outcome.map(|_| Caller::KeyHolder),
        }
    }

    /// A key for an identity to sign clients' tokens with; none where identities are not admitted.
    pub(crate) fn lend_key(&self, now: u64) -> Option<Lent> {
        self.entra.as_ref().map(|entra| entra.lend(now))
    }

    fn verify(
        &self,
        token: Option<&str>,
        audience: &Audience<'_>,
        now: u64,
    ) -> Result<Map<String, Value>, Denied> {
        let token = token.ok_or_else(|| Denied::new("token", "an access token", "none"))?;
        let claims = self.signed_claims(token, audience, now)?;
        if self.lenient {
            return Ok(claims);
        }
        self.check_time(&claims, now)?;
        audience.check(claims.get("aud"), &self.hosts)?;
        Ok(claims)
    }

    /// A name of a key in the header is a hint for lent keys, which are for clients only; a name nobody knows says nothing.
    fn signed_claims(
        &self,
        token: &str,
        audience: &Audience<'_>,
        now: u64,
    ) -> Result<Map<String, Value>, Denied> {
        let lent = match audience {
            Audience::Client { .. } => self.entra.as_ref().and_then(|entra| entra.key_of(token, now)),
            Audience::Rest { .. } => None,
        };
        for key in lent.iter().chain(&self.keys) {
            if let Some(claims) = self.claims_signed_with(key, token)? {
                return Ok(claims);
            }
        }
        let expected =
            format!("a signature by one of the {} access keys, used as UTF-8 text", self.keys.len());
        Err(Denied::new(SIGNATURE, expected, "a signature by another key"))
    }

    /// `None` when another key has signed.
    fn claims_signed_with(
        &self,
        key: &DecodingKey,
        token: &str,
    ) -> Result<Option<Map<String, Value>>, Denied> {
        match jsonwebtoken::decode(token, key, &self.rules) {
            Ok(token) => Ok(Some(token.claims)),
            Err(error) => match error.kind() {
                ErrorKind::InvalidSignature => Ok(None),
                ErrorKind::InvalidAlgorithm => {
                    Err(Denied::new("algorithm", "HS256 or HS512", "another algorithm"))
                }
                _ => Err(Denied::new("token", "a signed JWT", "a text that is none")),
            },
        }
    }

    fn check_time(&self, claims: &Map<String, Value>, now: u64) -> Result<(), Denied> {
        let (now, leeway) = (now as f64, self.leeway.as_secs_f64());
        let expiry = claims.get("exp").ok_or_else(|| Denied::new("exp", "a time of expiry", "none"))?;
        let Some(expiry) = expiry.as_f64() else {
            return Err(Denied::new("exp", "seconds since 1970, as a number", "something else"));
        };
        if now > expiry + leeway {
            let came = format!("{expiry}, {} s ago", now - expiry);
            return Err(Denied::new("exp", format!("a time after now ({now})"), came));
        }
        let Some(not_before) = claims.get("nbf") else { return Ok(()) };
        let Some(not_before) = not_before.as_f64() else {
            return Err(Denied::new("nbf", "seconds since 1970, as a number", "something else"));
        };
        if now + leeway < not_before {
            let came = format!("{not_before}, in {} s", not_before - now);
            return Err(Denied::new("nbf", format!("a time not after now ({now})"), came));
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
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key.as_bytes()))
            .unwrap()
    }

    fn claims() -> Value {
        json!({"aud": "http://localhost/client/?hub=chat", "exp": NOW + 3600, "nbf": NOW})
    }

    fn admit(token: Option<&str>) -> Result<ClientIdentity, Denied> {
        auth().client(token, &HubName::of_client("chat").unwrap(), NOW)
    }

    fn rule(claims: &Value) -> &'static str {
        admit(Some(&token(Algorithm::HS256, "first", claims))).unwrap_err().rule
    }

    #[test]
    fn any_of_the_keys_and_both_algorithms_will_do() {
        for (algorithm, key) in
            [(Algorithm::HS256, "first"), (Algorithm::HS256, "second"), (Algorithm::HS512, "second")]
        {
            assert!(admit(Some(&token(algorithm, key, &claims()))).is_ok(), "{algorithm:?} {key}");
        }
    }

    #[test]
    fn a_published_token_verifies() {
        // Made by another implementation with the key of the official emulator; valid from 1700000000 for an hour.
        let vector = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhc3JzLnMudWlkIjoidTEiLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMCwiaWF0IjoxNzAwMDAwMDAwLCJhdWQiOiJodHRwOi8vbG9jYWxob3N0L2NsaWVudC8_aHViPWNoYXQifQ.-WYX7JGgJKomLnyllQ2C8IAQj9M75qmV4VRPVxQ8UTM";
        let auth = Auth::new(&[AccessKey::official_emulator()], &[], Duration::ZERO);
        let identity = auth.client(Some(vector), &HubName::of_client("chat").unwrap(), NOW).unwrap();
        assert_eq!(identity.user.unwrap().as_str(), "u1");
    }

    #[test]
    fn every_refusal_names_its_rule() {
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            claims
        };
        assert_eq!(admit(None).unwrap_err().rule, "token");
        assert_eq!(admit(Some("no.such.token")).unwrap_err().rule, "token");
        assert_eq!(admit(Some(&token(Algorithm::HS384, "first", &claims()))).unwrap_err().rule, "algorithm");
        assert_eq!(admit(Some(&token(Algorithm::HS256, "third", &claims()))).unwrap_err().rule, "signature");
        assert_eq!(rule(&json!({"aud": "http://localhost/client/?hub=chat"})), "exp");
        assert_eq!(rule(&with("exp", json!("soon"))), "exp");
        assert_eq!(rule(&with("exp", json!(NOW - 6))), "exp");
        assert_eq!(rule(&with("nbf", json!(NOW + 6))), "nbf");
        assert_eq!(rule(&with("aud", json!("http://localhost/client/?hub=other"))), "audience hub");
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let claims = json!({"aud": "http://localhost/client/?hub=chat", "exp": NOW - 5, "nbf": NOW + 5});
        assert!(admit(Some(&token(Algorithm::HS256, "first", &claims))).is_ok());
    }

    #[test]
    fn a_refusal_shows_neither_key_nor_token() {
        let refused = token(Algorithm::HS256, "third", &claims());
        let words = admit(Some(&refused)).unwrap_err().to_string();
        assert!(!words.contains("first") && !words.contains(&refused));
    }
}
