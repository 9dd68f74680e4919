//! The access tokens of the service: signing and reading them as JWTs with HS256, and what introspection returns.
//!
//! The form of tokens is not a contract of the service: clients may read `exp` and nothing else. Tokens are written by hand
//! to keep the order of their claims, and verified by a library. They are signed with a key that is never an access key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use uuid::Uuid;

use crate::access_keys::KeyGeneration;
use crate::identity_api::Scope;

/// The claim `scp` of every recorded token. Its meaning is not published.
const SCP: u32 = 1792;

/// The prefix of identity ids. Tokens omit it.
const ID_PREFIX: &str = "8:";

/// How long the real service may accept a token after it was revoked, in seconds.
pub(crate) const REVOCATION_DELAY_SECONDS: u64 = 15 * 60;

/// What a token was issued for, and whether it is valid now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Introspection {
    /// The id of the identity: `8:acs:…`, or `8:orgid:…` of a Teams user.
    pub identity: String,
    /// The scopes of the token.
    pub scopes: Vec<Scope>,
    /// When it was issued, in seconds since 1970.
    pub issued_at: u64,
    /// When it expires, in seconds since 1970.
    pub expires_at: u64,
    /// Whether it is valid, if revocation takes effect at once.
    pub state: TokenState,
    /// Until when the real service may accept it, in seconds since 1970, if it was revoked.
    pub honoured_until: Option<u64>,
}

/// Whether a token is valid, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TokenState {
    /// It is valid.
    Alive,
    /// It has expired.
    Expired,
    /// The access key of the caller it was issued to was regenerated.
    KeyChanged,
    /// Its identity was deleted.
    Deleted,
    /// The tokens of its identity were revoked after it was issued.
    Revoked,
}

/// The contents of an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenClaims {
    /// The id of the identity.
    pub(crate) identity: String,
    pub(crate) scopes: Vec<Scope>,
    /// Seconds since 1970, as is `expires_at`.
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) generation: KeyGeneration,
}

/// The claims as JSON, in the order of the service's tokens.
#[derive(Serialize, Deserialize)]
struct JwtClaims {
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

/// Issues the tokens of one resource and reads them again.
pub(crate) struct TokenIssuer {
    resource: Uuid,
    key: [u8; 32],
    decoding_key: DecodingKey,
}

impl TokenIssuer {
    pub(crate) fn new(resource: Uuid, key: [u8; 32]) -> Self {
        Self { resource, key, decoding_key: DecodingKey::from_secret(&key) }
    }

    pub(crate) fn issue(&self, claims: &TokenClaims) -> String {
        let header = json!({"alg": "HS256", "kid": claims.generation.key_id(), "typ": "JWT"});
        let scopes: Vec<_> = claims.scopes.iter().map(|scope| scope.as_str()).collect();
        let identity = &claims.identity;
        let claims = JwtClaims {
            skypeid: identity.strip_prefix(ID_PREFIX).unwrap_or(identity).to_owned(),
            scp: SCP,
            csi: claims.issued_at.to_string(),
            exp: claims.expires_at,
            acs_scope: scopes.join(","),
            resource_id: self.resource.to_string(),
            iat: claims.issued_at,
        };
        sign_jwt(&header, &claims, &self.key)
    }

    /// The contents of a token; `None` if this issuer did not issue it.
    pub(crate) fn read(&self, token: &str) -> Option<TokenClaims> {
        let (header, claims) = verify_jwt(token, &self.decoding_key)?;
        let claims: JwtClaims = serde_json::from_value(Value::Object(claims)).ok()?;
        Some(TokenClaims {
            identity: [ID_PREFIX, &claims.skypeid].concat(),
            scopes: claims.acs_scope.split(',').filter_map(Scope::from_name).collect(),
            issued_at: claims.iat,
            expires_at: claims.exp,
            generation: KeyGeneration::from_key_id(&header.kid?)?,
        })
    }
}

/// Formats the field `expiresOn`: seven decimals, and an offset in place of `Z`.
pub(crate) fn format_expires_on(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%S.%7f+00:00").to_string()
}

/// Signs a JWT. `header` must name HS256.
pub(crate) fn sign_jwt(header: &impl Serialize, claims: &impl Serialize, key: &[u8]) -> String {
    let signed = [encode_part(header), encode_part(claims)].join(".");
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    [signed, URL_SAFE_NO_PAD.encode(signature)].join(".")
}

fn encode_part(json: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(json).expect("headers and claims are plain objects"))
}

/// Returns header and claims of a JWT that is signed with HS256 and the key. The claims are not validated.
pub(crate) fn verify_jwt(token: &str, key: &DecodingKey) -> Option<(Header, Map<String, Value>)> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    jsonwebtoken::decode(token, key, &validation).ok().map(|token| (token.header, token.claims))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    const RESOURCE: &str = "2dee53b4-368b-45b4-ab52-8493fb117652";

    fn issuer(first_byte: u8) -> TokenIssuer {
        let key = std::array::from_fn(|at| first_byte + u8::try_from(at).unwrap());
        TokenIssuer::new(RESOURCE.parse().unwrap(), key)
    }

    fn claims() -> TokenClaims {
        TokenClaims {
            identity: format!("8:acs:{RESOURCE}_00000005-14a2-493b-8a72-5a3a0d000081"),
            scopes: vec![Scope::Chat, Scope::Voip],
            issued_at: 1_697_643_256,
            expires_at: 1_697_729_656,
            generation: KeyGeneration::from_key_id("local-1").unwrap(),
        }
    }

    #[test]
    fn a_token_equals_the_published_sample() {
        let token = issuer(0x20).issue(&claims());
        assert_eq!(token.len(), 410);
        assert!(token.ends_with(".9dUncTnmjixej-DT7yliIx7bOvrq8qPlLFT4mdoWfXk"));
        let hash: String = Sha256::digest(&token).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, "6e93f823f11b497d86d42944499f8e49a57779b25b30163f6bda60a38d3e6959");
    }

    #[test]
    fn only_the_issuer_reads_its_tokens() {
        let token = issuer(0x20).issue(&claims());
        assert_eq!(issuer(0x20).read(&token), Some(claims()));
        assert_eq!(issuer(0x21).read(&token), None);
        assert_eq!(issuer(0x20).read("token"), None);
    }

    #[test]
    fn expires_on_has_seven_decimals_and_an_offset() {
        assert_eq!(format_expires_on(1_697_729_656), "2023-10-19T15:34:16.0000000+00:00");
        assert!(format_expires_on(u64::MAX).starts_with("9999-12-30"));
    }

    #[test]
    fn only_hs256_with_the_right_key_is_verified() {
        let key = DecodingKey::from_secret(b"key");
        let claims = json!({"exp": 1});
        let signed = |alg: &str, key: &[u8]| sign_jwt(&json!({"alg": alg}), &claims, key);
        assert_eq!(verify_jwt(&signed("HS256", b"key"), &key).unwrap().1["exp"], 1);
        assert!(verify_jwt(&signed("HS256", b"other"), &key).is_none());
        assert!(verify_jwt(&signed("none", b"key"), &key).is_none());
        assert!(verify_jwt(&signed("HS512", b"key"), &key).is_none());
        assert!(verify_jwt("no.such.token", &key).is_none());
    }
}
