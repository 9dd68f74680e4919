//! A signed token in its compact form, `header.payload.signature`, as far as RS256 goes: RFC 7515, and 7518 section 3.3.
//!
//! The header is written by whoever brings the token. All it may choose is which of the tenant's keys is tried.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::Invalid;
use crate::keys::Keys;

/// As much as the headers of a request commonly may have in all.
const LONGEST: usize = 16_384;
const ALGORITHM: &str = "RS256";

/// A token that anybody may have made up.
pub(crate) struct Unverified<'a> {
    kid: String,
    /// Header and payload as they are signed.
    message: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that have to be understood. There are none.
    crit: Option<IgnoredAny>,
}

impl<'a> Unverified<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Invalid> {
        if token.len() > LONGEST {
            return Err(Invalid::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Invalid::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(Invalid::Malformed)?;
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Invalid::Malformed)?;
        if header.alg != ALGORITHM || header.crit.is_some() {
            return Err(Invalid::Algorithm);
        }
        let kid = header.kid.ok_or(Invalid::Signature)?;
        Ok(Self { kid, message, payload, signature: decode(signature)? })
    }

    /// Which key is said to have signed it.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// What it says, now that it is known who says it.
    pub(crate) fn verify(&self, keys: &Keys) -> Result<Vec<u8>, Invalid> {
        let key = keys.get(&self.kid).ok_or(Invalid::Signature)?;
        key.verify(self.message.as_bytes(), &self.signature)?;
        decode(self.payload)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Invalid> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Invalid::Malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::signing::{Signer, hs256, unsigned};

    fn verified(token: &str) -> Result<Vec<u8>, Invalid> {
        let (right, _) = Signer::pair();
        Unverified::parse(token)?.verify(&right.keys())
    }

    #[test]
    fn what_the_tenant_has_signed_is_read() {
        let (right, _) = Signer::pair();
        assert_eq!(verified(&right.sign(&json!({"a": 1}))).unwrap(), br#"{"a":1}"#);
    }

    #[test]
    fn case_36_a_token_that_is_signed_by_nobody_or_by_somebody_else_is_refused() {
        let (right, wrong) = Signer::pair();
        let claims = json!({"a": 1});
        assert_eq!(verified(&wrong.sign(&claims)), Err(Invalid::Signature));
        assert_eq!(verified(&wrong.named("another").sign(&claims)), Err(Invalid::Signature));
        for alg in ["none", "None", "NONE", "HS256", "PS256", "ES256", ""] {
            assert_eq!(verified(&unsigned(alg, right.kid(), &claims)), Err(Invalid::Algorithm), "{alg}");
        }
        assert_eq!(verified(&unsigned("RS256", right.kid(), &claims)), Err(Invalid::Signature));
    }

    #[test]
    fn case_36_the_public_key_is_no_secret_to_sign_with() {
        let (right, _) = Signer::pair();
        for secret in right.public_forms() {
            assert_eq!(verified(&hs256(&secret, right.kid(), &json!({"a": 1}))), Err(Invalid::Algorithm));
        }
    }

    #[test]
    fn a_token_of_which_anything_was_changed_is_refused() {
        let (right, _) = Signer::pair();
        let token = right.sign(&json!({"a": 1}));
        let parts: Vec<_> = token.split('.').collect();
        let other = right.sign(&json!({"a": 2}));
        let others: Vec<_> = other.split('.').collect();
        for changed in [[parts[0], others[1], parts[2]], [parts[0], parts[1], others[2]]] {
            assert_eq!(verified(&changed.join(".")), Err(Invalid::Signature));
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_so_is_what_wants_to_be_understood() {
        let (right, _) = Signer::pair();
        let token = right.sign(&json!({"a": 1}));
        let long = format!("{token}{}", "A".repeat(LONGEST));
        let padded = format!("{token}==");
        for wrong in
            ["", ".", "..", "a.b.c", "x", "ä.ä.ä", &token[1..], &long, &padded, &format!("{token}.x")]
        {
            assert_eq!(verified(wrong), Err(Invalid::Malformed), "{wrong}");
        }
        let header = |header: serde_json::Value| {
            let (_, rest) = token.split_once('.').unwrap();
            verified(&format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string())))
        };
        assert_eq!(header(json!({"alg": "RS256"})), Err(Invalid::Signature));
        let crit = json!({"alg": "RS256", "kid": right.kid(), "crit": ["b64"], "b64": false});
        assert_eq!(header(crit), Err(Invalid::Algorithm));
        assert_eq!(header(json!({"alg": ["RS256"]})), Err(Invalid::Malformed));
    }
}
