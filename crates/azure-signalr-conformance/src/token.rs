//! Access tokens, written by hand as JWTs with HS256, and the signatures of webhooks.
//!
//! The payload is signed as the text it is given as, so that a case can repeat or omit a claim.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// The default header of tokens.
pub(crate) const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// An access key. Its text signs, although it looks like base64. It has no `Debug`.
#[derive(Clone)]
pub(crate) struct AccessKey(pub(crate) String);

/// A signed token. It has no `Debug`.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl AccessKey {
    /// Signs a header and a payload, both JSON texts.
    pub(crate) fn sign(&self, header: &str, payload: &str) -> Token {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.hmac(&signed));
        Token(format!("{signed}.{signature}"))
    }

    /// The signature that the service sends in `X-ASRS-Signature` for a connection, in lower case.
    pub(crate) fn webhook_signature(&self, connection_id: &str) -> String {
        let hex: String = self.hmac(connection_id).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={hex}")
    }

    fn hmac(&self, data: &str) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(data.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

impl Token {
    /// The claims of the token, not verified; `None` if it is not a JWT.
    pub(crate) fn claims(&self) -> Option<Value> {
        let payload = self.0.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

/// The name of a user's claim in a client token: names with a meaning in JWTs get the prefix `asrs.u.`.
pub(crate) fn user_claim(name: &str) -> String {
    const RESERVED: [&str; 11] = ["aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"];
    if RESERVED.contains(&name) { format!("asrs.u.{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_token_is_signed_identically() {
        let key = AccessKey("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH".to_owned());
        let payload = concat!(
            r#"{"asrs.s.uid":"u1","nbf":1700000000,"exp":1700003600,"iat":1700000000,"#,
            r#""aud":"http://localhost/client/?hub=chat"}"#
        );
        let token = key.sign(HEADER, payload);
        assert_eq!(
            token.0,
            concat!(
                "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.",
                "eyJhc3JzLnMudWlkIjoidTEiLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMCwiaWF0IjoxNzAwMDAwMDAwLCJhdWQiOi",
                "JodHRwOi8vbG9jYWxob3N0L2NsaWVudC8_aHViPWNoYXQifQ.-WYX7JGgJKomLnyllQ2C8IAQj9M75qmV4VRPVxQ8UTM"
            )
        );
        assert_eq!(token.claims().unwrap()["asrs.s.uid"], "u1");
    }

    #[test]
    fn a_recorded_webhook_is_signed_identically() {
        let key = AccessKey("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH".to_owned());
        let expected = "sha256=261f7f58ff9fb9bb8be7e4951a807fe6091e5c074885bf63b865eccd28728881";
        assert_eq!(key.webhook_signature("conn-1"), expected);
    }

    #[test]
    fn user_claims_with_reserved_names_get_a_prefix() {
        assert_eq!(user_claim("exp"), "asrs.u.exp");
        assert_eq!(user_claim("role"), "role");
    }
}
