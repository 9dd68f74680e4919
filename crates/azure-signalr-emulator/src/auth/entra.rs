//! Microsoft Entra ID: its tokens, and the access keys that identities get from `auth/accessKey`.
//!
//! The emulated issuer signs with HS256 and a configured key; Entra uses RSA keys that the service downloads. Issuer, audience,
//! times and the role on the service are checked as in Azure.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jsonwebtoken::Algorithm;
use serde::Serialize;
use serde_json::Value;

use super::signed_token::SignedToken;
use crate::access_key::{AccessKey, random_id};
use crate::api_error::AuthError;

/// The audience of Entra tokens for any SignalR service.
const AUDIENCE: &str = "https://signalr.azure.com";

/// How long an issued key is valid, in seconds, as in Azure.
const KEY_LIFETIME_SECONDS: u64 = 90 * 60;

/// Most issued keys at a time; the oldest are dropped first.
const MAX_KEYS: usize = 1_000;

/// An emulated issuer of Microsoft Entra ID, and the identities that may use the service.
#[derive(Debug, Clone)]
pub struct EntraOptions {
    /// The issuer, claim `iss`.
    pub issuer: String,
    /// The key that signs its tokens, with HS256.
    pub signing_key: AccessKey,
    /// Object ids (claim `oid`) of the identities with a role that allows everything; any other identity is answered 403.
    pub owners: Vec<String>,
}

/// Checks tokens of identities, and issues access keys to them.
pub(crate) struct Entra {
    pub(super) options: EntraOptions,
    issued: Mutex<VecDeque<StoredKey>>,
}

#[derive(Clone)]
pub(super) struct StoredKey {
    id: String,
    pub(super) key: AccessKey,
    /// In seconds since 1970.
    pub(super) expires_at: u64,
}

/// The response of `auth/accessKey`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IssuedAccessKey {
    access_key: String,
    key_id: String,
}

impl Entra {
    pub(crate) fn new(options: EntraOptions) -> Self {
        Self { options, issued: Mutex::default() }
    }

    /// Checks issuer, audience and role, in the claims of a token whose signature and times are valid.
    pub(crate) fn authorize(&self, claims: &serde_json::Map<String, Value>) -> Result<(), AuthError> {
        let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        if claim("iss") != self.options.issuer {
            return Err(AuthError::new("issuer", format!("{:?}", self.options.issuer), "another or none"));
        }
        if claim("aud").trim_end_matches('/') != AUDIENCE {
            return Err(AuthError::new("audience", format!("{AUDIENCE:?}"), "another or none"));
        }
        if !self.options.owners.iter().any(|owner| owner == claim("oid")) {
            return Err(AuthError::forbidden("an identity (claim `oid`) with a role on the service", "one without"));
        }
        Ok(())
    }

    /// Issues a new key that is valid from `now`, in seconds since 1970.
    pub(crate) fn issue_access_key(&self, now: u64) -> IssuedAccessKey {
        let (key, key_id) = (AccessKey::generate(), random_id());
        let access_key = key.as_str().to_owned();
        let mut issued = self.issued();
        issued.retain(|issued| now < issued.expires_at);
        if issued.len() == MAX_KEYS {
            issued.pop_front();
        }
        issued.push_back(StoredKey { id: key_id.clone(), key, expires_at: now + KEY_LIFETIME_SECONDS });
        IssuedAccessKey { access_key, key_id }
    }

    /// The issued key that the header `kid` of a token names.
    pub(super) fn find_key(&self, token: &SignedToken<'_>, now: u64) -> Option<StoredKey> {
        let id = token.key_id.as_ref().filter(|_| token.algorithm == Algorithm::HS256)?;
        self.issued().iter().find(|issued| issued.id == *id && now < issued.expires_at).cloned()
    }

    /// Poisoning is ignored: no update can panic halfway.
    fn issued(&self) -> MutexGuard<'_, VecDeque<StoredKey>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entra() -> Entra {
        let signing_key = AccessKey::new("issuer").unwrap();
        Entra::new(EntraOptions { issuer: "i".to_owned(), signing_key, owners: vec!["app".to_owned()] })
    }

    fn is_found(entra: &Entra, issued: &IssuedAccessKey, now: u64) -> bool {
        let header = jsonwebtoken::Header { kid: Some(issued.key_id.clone()), ..Default::default() };
        let key = jsonwebtoken::EncodingKey::from_secret(issued.access_key.as_bytes());
        let token = jsonwebtoken::encode(&header, &serde_json::json!({}), &key).unwrap();
        entra.find_key(&SignedToken::parse(&token).unwrap(), now).is_some()
    }

    #[test]
    fn an_issued_key_is_found_by_its_id_until_it_expires() {
        let entra = entra();
        let (first, second) = (entra.issue_access_key(0), entra.issue_access_key(60));
        assert_ne!((&first.key_id, &first.access_key), (&second.key_id, &second.access_key));
        let found = |issued, now| is_found(&entra, issued, now);
        assert!(found(&first, KEY_LIFETIME_SECONDS - 1) && found(&second, KEY_LIFETIME_SECONDS));
        assert!(!found(&first, KEY_LIFETIME_SECONDS));
    }

    #[test]
    fn expired_and_surplus_keys_are_dropped() {
        let entra = entra();
        let first = entra.issue_access_key(0);
        for _ in 0..MAX_KEYS {
            entra.issue_access_key(1);
        }
        assert!(!is_found(&entra, &first, 1));
        entra.issue_access_key(KEY_LIFETIME_SECONDS + 1);
        assert_eq!(entra.issued().len(), 1);
    }

    #[test]
    fn an_issued_key_is_written_as_the_service_writes_it() {
        let issued = serde_json::to_value(entra().issue_access_key(0)).unwrap();
        assert!(issued["AccessKey"].is_string() && issued["KeyId"].is_string());
        assert_eq!(issued.as_object().unwrap().len(), 2);
    }
}
