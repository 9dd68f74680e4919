//! [`SignedToken`]: a JWT that is split and decoded once, however many keys it is checked with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::access_key::AccessKey;
use crate::api_error::AuthError;

/// A JWT in its compact form, `header.payload.signature` (RFC 7515 §7.1), whose signature is not verified.
pub(super) struct SignedToken<'a> {
    pub(super) algorithm: Algorithm,
    /// The header `kid`.
    pub(super) key_id: Option<String>,
    /// Header and payload.
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

impl<'a> SignedToken<'a> {
    /// Decodes the header.
    pub(super) fn parse(token: &'a str) -> Result<Self, AuthError> {
        let (message, signature) = token.rsplit_once('.').ok_or_else(not_a_jwt)?;
        let (header, payload) = message.split_once('.').ok_or_else(not_a_jwt)?;
        let Header { alg, kid } = decode(header)?;
        let algorithm = match alg.as_str() {
            "HS256" => Algorithm::HS256,
            "HS512" => Algorithm::HS512,
            _ => return Err(AuthError::new("algorithm", "HS256 or HS512", "another algorithm")),
        };
        Ok(Self { algorithm, key_id: kid, message, payload, signature })
    }

    pub(super) fn is_signed_with(&self, key: &AccessKey) -> bool {
        let key = DecodingKey::from_secret(key.as_str().as_bytes());
        // An error is a signature that is not base64url.
        crypto::verify(self.signature, self.message.as_bytes(), &key, self.algorithm).unwrap_or(false)
    }

    /// Decodes the claims.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, AuthError> {
        decode(self.payload)
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, AuthError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| not_a_jwt())?;
    serde_json::from_slice(&json).map_err(|_| not_a_jwt())
}

fn not_a_jwt() -> AuthError {
    AuthError::new("token", "a signed JWT", "something else")
}
