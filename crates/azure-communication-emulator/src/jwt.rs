//! JSON Web Tokens with HS256, written by hand so that header and claims keep their order, and read by a library.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::Sha256;

/// Signs a token. `header` has to say HS256.
pub(crate) fn sign(header: &impl Serialize, claims: &impl Serialize, key: &[u8]) -> String {
    let signed = [part(header), part(claims)].join(".");
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    [signed, URL_SAFE_NO_PAD.encode(signature)].join(".")
}

fn part(json: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(json).expect("headers and claims are plain objects"))
}

/// Header and claims of a token, if it is one, says HS256 and is signed with the key. No claim has been looked at: time,
/// audience and the rest are for the caller to check.
pub(crate) fn open(token: &str, key: &DecodingKey) -> Option<(Header, Map<String, Value>)> {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    rules.validate_aud = false;
    jsonwebtoken::decode(token, key, &rules).ok().map(|token| (token.header, token.claims))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_the_key_signed_with_the_right_algorithm_opens() {
        let key = DecodingKey::from_secret(b"key");
        let claims = json!({"exp": 1});
        let signed = |alg: &str, key: &[u8]| sign(&json!({"alg": alg}), &claims, key);
        assert_eq!(open(&signed("HS256", b"key"), &key).unwrap().1["exp"], 1);
        assert!(open(&signed("HS256", b"other"), &key).is_none());
        assert!(open(&signed("none", b"key"), &key).is_none());
        assert!(open(&signed("HS512", b"key"), &key).is_none());
        assert!(open("no.such.token", &key).is_none());
    }
}
