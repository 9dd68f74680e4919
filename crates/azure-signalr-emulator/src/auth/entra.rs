//! Callers without an access key: tokens of an issuer that stands in for Microsoft Entra ID, and the keys lent to them.
//!
//! Real Entra tokens are signed with RSA keys that the service looks up; here the issuer signs with HS256 and a key both sides are
//! told. All else is as strict: issuer, audience, time, and whether the identity has a role on the service.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Serialize;
use serde_json::Value;

use super::denied::Denied;
use crate::AccessKey;
use crate::random;

/// What every token for the service is for, whichever service.
const AUDIENCE: &str = "https://signalr.azure.com";

/// How long a lent key is good for, in seconds; the real service's default.
const KEY_LIFETIME: u64 = 90 * 60;

/// Most lent keys at a time; the oldest are forgotten first.
const MOST_KEYS: usize = 1_000;

/// Stands in for Microsoft Entra ID: whose tokens are believed, and which identities may use the service.
#[derive(Debug, Clone)]
pub struct EntraOptions {
    /// The claim `iss` of its tokens.
    pub issuer: String,
    /// What it signs them with, HS256.
    pub signing_key: AccessKey,
    /// The identities, by their object ids (claim `oid`), with a role on the service that allows everything; any other is
    /// answered 403.
    pub owners: Vec<String>,
}

/// The door for identities.
pub(crate) struct Entra {
    options: EntraOptions,
    signing_key: DecodingKey,
    lent: Mutex<VecDeque<LentKey>>,
}

struct LentKey {
    id: String,
    key: DecodingKey,
    expires_at: u64,
}

/// What `accessKey` answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Lent {
    access_key: String,
    key_id: String,
}

impl Entra {
    pub(crate) fn new(options: EntraOptions) -> Self {
        let signing_key = DecodingKey::from_secret(options.signing_key.as_str().as_bytes());
        Self { options, signing_key, lent: Mutex::default() }
    }

    /// What the issuer's tokens are verified with.
    pub(crate) fn signing_key(&self) -> &DecodingKey {
        &self.signing_key
    }

    /// Whether an identity may come in, by the claims of a token whose signature and times are right.
    pub(crate) fn admit(&self, claims: &serde_json::Map<String, Value>) -> Result<(), Denied> {
        let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        if claim("iss") != self.options.issuer {
            return Err(Denied::new("issuer", format!("{:?}", self.options.issuer), "another or none"));
        }
        if claim("aud").trim_end_matches('/') != AUDIENCE {
            return Err(Denied::new("audience", format!("{AUDIENCE:?}"), "another or none"));
        }
        if !self.options.owners.iter().any(|owner| owner == claim("oid")) {
            return Err(Denied::forbidden(
                "an identity (claim `oid`) with a role on the service",
                "one without",
            ));
        }
        Ok(())
    }

    /// Lends a key nobody else has, from `now`, in seconds since 1970.
    pub(crate) fn lend(&self, now: u64) -> Lent {
        let (access_key, key_id) = (AccessKey::generate().as_str().to_owned(), random::id());
        let key = DecodingKey::from_secret(access_key.as_bytes());
        let mut lent = self.lent();
        lent.retain(|lent| now < lent.expires_at);
        if lent.len() == MOST_KEYS {
            lent.pop_front();
        }
        lent.push_back(LentKey { id: key_id.clone(), key, expires_at: now + KEY_LIFETIME });
        Lent { access_key, key_id }
    }

    /// The lent key a token says it is signed with.
    pub(crate) fn key_of(&self, token: &str, now: u64) -> Option<DecodingKey> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let id = header.kid.filter(|_| header.alg == Algorithm::HS256)?;
        let lent = self.lent();
        lent.iter().find(|lent| lent.id == id && now < lent.expires_at).map(|lent| lent.key.clone())
    }

    /// A panic elsewhere cannot leave the list half changed, so poison says nothing.
    fn lent(&self) -> MutexGuard<'_, VecDeque<LentKey>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entra() -> Entra {
        let signing_key = AccessKey::new("issuer").unwrap();
        Entra::new(EntraOptions { issuer: "i".to_owned(), signing_key, owners: vec!["app".to_owned()] })
    }

    fn signed(lent: &Lent) -> String {
        let header = jsonwebtoken::Header { kid: Some(lent.key_id.clone()), ..Default::default() };
        let key = jsonwebtoken::EncodingKey::from_secret(lent.access_key.as_bytes());
        jsonwebtoken::encode(&header, &serde_json::json!({}), &key).unwrap()
    }

    #[test]
    fn a_lent_key_is_found_by_its_id_until_it_expires() {
        let entra = entra();
        let (first, second) = (entra.lend(0), entra.lend(60));
        assert_ne!((&first.key_id, &first.access_key), (&second.key_id, &second.access_key));
        let found = |lent, now| entra.key_of(&signed(lent), now).is_some();
        assert!(found(&first, KEY_LIFETIME - 1) && found(&second, KEY_LIFETIME));
        assert!(!found(&first, KEY_LIFETIME));
    }

    #[test]
    fn keys_that_expired_or_are_too_many_are_forgotten() {
        let entra = entra();
        let first = entra.lend(0);
        for _ in 0..MOST_KEYS {
            entra.lend(1);
        }
        assert!(entra.key_of(&signed(&first), 1).is_none());
        entra.lend(KEY_LIFETIME + 1);
        assert_eq!(entra.lent().len(), 1);
    }

    #[test]
    fn a_lent_key_is_answered_as_the_service_writes_it() {
        let lent = serde_json::to_value(entra().lend(0)).unwrap();
        assert!(lent["AccessKey"].is_string() && lent["KeyId"].is_string());
        assert_eq!(lent.as_object().unwrap().len(), 2);
    }
}
