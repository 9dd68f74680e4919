//! Access tokens: JSON Web Tokens signed with HS256.
//!
//! # Design
//!
//! A token is written by hand, in thirty lines, since its header never changes and the key's share of the work can be done once: that is
//! a third of the time a general JWT library takes, on the path of every negotiation. In the tests, a library reads the tokens.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use sha2::Sha256;

use crate::name::UserId;

/// `{"alg":"HS256","typ":"JWT"}`, the header without the name of a key.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The service refuses longer tokens, and so does the official SDK.
pub(crate) const MAX_TOKEN_BYTES: usize = 4_096;

/// How long tokens live after they were made: the service's own default.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);

/// Tokens say that they were made this long ago, since a clock that is ahead of the service's would make tokens that are not valid yet.
/// Tokens of Microsoft Entra ID do so by the same time. No right comes from it: what is gained lies in the past.
pub(crate) const CLOCK_LEEWAY: Duration = Duration::from_secs(5 * 60);

/// Names that a user's claim cannot have, since the token itself needs them; they get a prefix, which the service takes off again.
const RESERVED: [&str; 11] = ["aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"];

/// Signs tokens with one access key.
#[derive(Clone)]
pub(crate) struct Signer {
    header: Cow<'static, str>,
    mac: Hmac<Sha256>,
}

impl Signer {
    /// `key` as it is written: access keys look like base64, but it is their characters that sign.
    pub(crate) fn new(key: &str) -> Self {
        let mac = Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
        Self { header: HEADER.into(), mac }
    }

    /// With a key that has an id, by which the service finds it again.
    pub(crate) fn named(key: &str, id: &str) -> Self {
        let header = serde_json::json!({"alg": "HS256", "typ": "JWT", "kid": id}).to_string();
        Self { header: URL_SAFE_NO_PAD.encode(header).into(), ..Self::new(key) }
    }

    pub(crate) fn sign(&self, claims: &Claims<'_>) -> String {
        let payload = serde_json::to_vec(claims).expect("claims are texts and numbers under text keys");
        let mut token = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + 50);
        token.push_str(&self.header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.mac.clone().chain_update(&token).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }
}

/// The claims of a token. Times are whole seconds since 1970 (RFC 7519 §2, NumericDate).
pub(crate) struct Claims<'a> {
    pub(crate) user: Option<&'a UserId>,
    pub(crate) extra: &'a [(String, Vec<String>)],
    /// For `nbf` and `iat`.
    pub(crate) valid_from: SystemTime,
    pub(crate) expires_at: SystemTime,
    pub(crate) audience: &'a str,
}

impl<'a> Claims<'a> {
    /// Those of every token that is made at `now`: for no user, and until an hour later.
    pub(crate) fn new(audience: &'a str, now: SystemTime) -> Self {
        let valid_from = now.checked_sub(CLOCK_LEEWAY).unwrap_or(UNIX_EPOCH);
        Self { user: None, extra: &[], valid_from, expires_at: now + TOKEN_LIFETIME, audience }
    }
}

impl Serialize for Claims<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let valid_from = seconds(self.valid_from);
        let mut claims = serializer.serialize_map(None)?;
        if let Some(user) = self.user {
            claims.serialize_entry("asrs.s.uid", user.as_str())?;
        }
        claims.serialize_entry("nbf", &valid_from)?;
        claims.serialize_entry("exp", &seconds(self.expires_at))?;
        claims.serialize_entry("iat", &valid_from)?;
        claims.serialize_entry("aud", self.audience)?;
        for (name, values) in self.extra {
            match values.as_slice() {
                [value] => claims.serialize_entry(name, value)?,
                values => claims.serialize_entry(name, values)?,
            }
        }
        claims.end()
    }
}

/// The name under which a user's claim travels.
pub(crate) fn claim_name(name: &str) -> String {
    if RESERVED.contains(&name) { format!("asrs.u.{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMULATOR_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

    #[test]
    fn case_6_the_published_vector_comes_out_byte_for_byte() {
        let user = "u1".parse().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let claims = Claims::new("http://localhost/client/?hub=chat", now);
        let token = Signer::new(EMULATOR_KEY).sign(&Claims { user: Some(&user), valid_from: now, ..claims });
        assert_eq!(
            token,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhc3JzLnMudWlkIjoidTEiLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMCwiaWF0IjoxNzAwMDAwMDAwLCJhdWQiOiJodHRwOi8vbG9jYWxob3N0L2NsaWVudC8_aHViPWNoYXQifQ.-WYX7JGgJKomLnyllQ2C8IAQj9M75qmV4VRPVxQ8UTM"
        );
    }

    #[test]
    fn a_jwt_library_reads_the_tokens() {
        let user = "Zoë \"z\" 😀".parse().unwrap();
        let token = Signer::new("k").sign(&Claims {
            user: Some(&user),
            extra: &[("role".to_owned(), vec!["a".to_owned(), "b".to_owned()])],
            valid_from: UNIX_EPOCH + Duration::from_secs(4_000_000_000),
            expires_at: UNIX_EPOCH + Duration::from_secs(4_000_000_060),
            audience: "https://h/client/?hub=chat",
        });
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
        rules.set_audience(&["https://h/client/?hub=chat"]);
        let key = jsonwebtoken::DecodingKey::from_secret(b"k");
        let read = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &rules).unwrap().claims;
        assert_eq!(read["asrs.s.uid"], "Zoë \"z\" 😀");
        assert_eq!(read["exp"].as_u64().unwrap() - read["nbf"].as_u64().unwrap(), 60);
        assert_eq!(read["role"], serde_json::json!(["a", "b"]));
    }

    #[test]
    fn a_key_with_a_name_is_named_in_the_header() {
        let now = UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        let signer = Signer::named("k", "key-\"7\"");
        let token = signer.sign(&Claims::new("a", now));
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!((header.kid.as_deref(), header.alg), (Some("key-\"7\""), jsonwebtoken::Algorithm::HS256));
        let mut rules = jsonwebtoken::Validation::new(header.alg);
        rules.set_audience(&["a"]);
        let key = jsonwebtoken::DecodingKey::from_secret(b"k");
        jsonwebtoken::decode::<serde_json::Value>(&token, &key, &rules).unwrap();
    }

    #[test]
    fn case_8_a_users_claim_cannot_take_the_place_of_the_tokens_own() {
        assert_eq!(claim_name("exp"), "asrs.u.exp");
        assert_eq!(claim_name("colour"), "colour");
    }
}
