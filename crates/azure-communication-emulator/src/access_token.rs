//! Access tokens as the published clients can read them: three parts, and a numeric `exp`.
//!
//! Their form is no contract of the service's, so a client that reads more of them than `exp` is wrong to. They are signed
//! with a key of their own, which is never an access key.

use jiff::Timestamp;
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::jwt;
use crate::keys::Generation;
use crate::scope::Scope;

/// The claim `scp` of every token that was ever seen; what it counts is not published.
const SCP: u32 = 1792;

/// What identities' ids begin with. Tokens leave it out.
const PREFIX: &str = "8:";

/// A token to be issued, or one that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The id of the identity.
    pub(crate) identity: String,
    pub(crate) scopes: Vec<Scope>,
    /// Seconds since 1970, as the next.
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) generation: Generation,
}

/// The order of the fields is that of the service's tokens.
#[derive(Serialize, Deserialize)]
struct Claims {
    skypeid: String,
    scp: u32,
    csi: String,
    exp: u64,
    #[serde(rename = "acsScope")]
    acs_scope: String,
    #[serde(rename = "resourceId")]
    resource_id: String,
    iat: u64,
}

/// Issues the tokens of one resource, and knows them again.
pub(crate) struct Mint {
    resource: Uuid,
    key: [u8; 32],
    reading: DecodingKey,
}

impl Mint {
    pub(crate) fn new(resource: Uuid, key: [u8; 32]) -> Self {
        Self { resource, key, reading: DecodingKey::from_secret(&key) }
    }

    pub(crate) fn issue(&self, grant: &Grant) -> String {
        let header = json!({"alg": "HS256", "kid": grant.generation.key_id(), "typ": "JWT"});
        let scopes: Vec<_> = grant.scopes.iter().map(|scope| scope.as_str()).collect();
        let identity = &grant.identity;
        let claims = Claims {
            skypeid: identity.strip_prefix(PREFIX).unwrap_or(identity).to_owned(),
            scp: SCP,
            csi: grant.issued_at.to_string(),
            exp: grant.expires_at,
            acs_scope: scopes.join(","),
            resource_id: self.resource.to_string(),
            iat: grant.issued_at,
        };
        jwt::sign(&header, &claims, &self.key)
    }

    /// What a token was issued for; `None` for a token of anybody else's, and for a text that is none.
    pub(crate) fn read(&self, token: &str) -> Option<Grant> {
        let (header, claims) = jwt::open(token, &self.reading)?;
        let claims: Claims = serde_json::from_value(Value::Object(claims)).ok()?;
        Some(Grant {
            identity: [PREFIX, &claims.skypeid].concat(),
            scopes: claims.acs_scope.split(',').filter_map(Scope::of).collect(),
            issued_at: claims.iat,
            expires_at: claims.exp,
            generation: Generation::of_key_id(&header.kid?)?,
        })
    }
}

/// A time as `expiresOn` has it: seven digits of a fraction, and an offset instead of `Z`.
pub(crate) fn expires_on(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%S.%7f+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    const RESOURCE: &str = "2dee53b4-368b-45b4-ab52-8493fb117652";

    fn mint(first_byte: u8) -> Mint {
        let key = std::array::from_fn(|at| first_byte + u8::try_from(at).unwrap());
        Mint::new(RESOURCE.parse().unwrap(), key)
    }

    fn grant() -> Grant {
        Grant {
            identity: format!("8:acs:{RESOURCE}_00000005-14a2-493b-8a72-5a3a0d000081"),
            scopes: vec![Scope::Chat, Scope::Voip],
            issued_at: 1_697_643_256,
            expires_at: 1_697_729_656,
            generation: Generation::of_key_id("local-1").unwrap(),
        }
    }

    #[test]
    fn a_token_is_byte_for_byte_the_published_sample() {
        let token = mint(0x20).issue(&grant());
        assert_eq!(token.len(), 410);
        assert!(token.ends_with(".9dUncTnmjixej-DT7yliIx7bOvrq8qPlLFT4mdoWfXk"));
        let hash: String = Sha256::digest(&token).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, "6e93f823f11b497d86d42944499f8e49a57779b25b30163f6bda60a38d3e6959");
    }

    #[test]
    fn what_was_granted_is_read_again_by_nobody_else() {
        let token = mint(0x20).issue(&grant());
        assert_eq!(mint(0x20).read(&token), Some(grant()));
        assert_eq!(mint(0x21).read(&token), None);
        assert_eq!(mint(0x20).read("token"), None);
    }

    #[test]
    fn a_time_has_seven_digits_and_an_offset() {
        assert_eq!(expires_on(1_697_729_656), "2023-10-19T15:34:16.0000000+00:00");
        assert!(expires_on(u64::MAX).starts_with("9999-12-30"));
    }
}
