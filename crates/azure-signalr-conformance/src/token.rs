//! Access tokens by hand: HMAC-SHA256 over two pieces of base64url.
//!
//! The payload is signed as the text it is given as. A case that wants a claim twice, or none, writes it so.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// The header of every token that a case does not write a header for.
pub(crate) const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// An access key: its text is what signs, although it looks like base64. Cannot be printed.
#[derive(Clone)]
pub(crate) struct Key(pub(crate) String);

/// A signed token. Cannot be printed.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl Key {
    /// Signs a header and a payload, both JSON.
    pub(crate) fn sign(&self, header: &str, payload: &str) -> Token {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.hmac(&signed));
        Token(format!("{signed}.{signature}"))
    }

    /// What the service puts into `X-ASRS-Signature` for a connection, in lower case.
    pub(crate) fn signature_of(&self, connection_id: &str) -> String {
        let hex: String = self.hmac(connection_id).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={hex}")
    }

    fn hmac(&self, data: &str) -> Vec<u8> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(data.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

impl Token {
    /// What the token claims, whoever signed it; nothing if it is no token.
    pub(crate) fn claims(&self) -> Option<Value> {
        let payload = self.0.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

/// The name under which a client token carries a claim of a user: some names mean something to whoever reads tokens.
pub(crate) fn user_claim(name: &str) -> String {
    const TAKEN: [&str; 11] =
        ["aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"];
    if TAKEN.contains(&name) { format!("asrs.u.{name}") } else { name.to_owned() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn the_known_token_is_signed_to_the_letter() {
        let key = Key("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH".to_owned());
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
    fn the_known_webhook_is_signed_to_the_letter() {
        let key = Key("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH".to_owned());
        let expected = "sha256=261f7f58ff9fb9bb8be7e4951a807fe6091e5c074885bf63b865eccd28728881";
        assert_eq!(key.signature_of("conn-1"), expected);
    }

    #[test]
    fn claims_that_would_be_read_as_the_tokens_own_are_renamed() {
        assert_eq!(user_claim("exp"), "asrs.u.exp");
        assert_eq!(user_claim("role"), "role");
    }
}
