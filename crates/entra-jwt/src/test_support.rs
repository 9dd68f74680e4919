//! Test support: signs tokens with a library that shares no code with the validator.

use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rsa::RsaPrivateKey;
use rsa::pkcs1::{EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::pkcs8::EncodePublicKey as _;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::keys::Keys;

pub(crate) const TENANT: &str = "6babcaad-604b-40ac-a9d7-9fd97c0b779f";
pub(crate) const CLIENT: &str = "0b3ad9a5-5b1c-4f1f-a7b0-c3d2d1a0a001";
pub(crate) const SCOPE: &str = "access_as_user";

pub(crate) fn authority() -> Authority {
    Authority::new("https://login.microsoftonline.com/", TENANT).unwrap()
}

fn issuer() -> String {
    format!("https://login.microsoftonline.com/{TENANT}/v2.0")
}

pub(crate) fn claims(now: u64) -> Value {
    json!({
        "iss": issuer(), "aud": CLIENT, "tid": TENANT, "oid": "ann", "sub": "s", "ver": "2.0",
        "scp": SCOPE, "preferred_username": "ann@contoso.com", "iat": now, "nbf": now, "exp": now + 3_600,
    })
}

#[derive(Clone)]
pub(crate) struct Signer {
    key: RsaPrivateKey,
    pub(crate) kid: String,
}

impl Signer {
    /// The tenant's signer and a foreign one with the same key id. Generating keys is slow, so they are shared.
    pub(crate) fn pair() -> (Self, Self) {
        static PAIR: OnceLock<[RsaPrivateKey; 2]> = OnceLock::new();
        let keys = PAIR.get_or_init(|| [(); 2].map(|()| RsaPrivateKey::new(&mut OsRng, 2_048).unwrap()));
        let [right, wrong] = keys.clone().map(|key| Self { key, kid: "one".to_owned() });
        (right, wrong)
    }

    pub(crate) fn named(&self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), ..self.clone() }
    }

    pub(crate) fn jwk(&self) -> Value {
        let text = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        json!({"kty": "RSA", "use": "sig", "kid": self.kid, "n": text(self.key.n()), "e": text(self.key.e())})
    }

    pub(crate) fn keys(&self) -> Keys {
        let set = json!({ "keys": [self.jwk()] }).to_string();
        Keys::parse(set.as_bytes(), &authority(), &issuer(), UNIX_EPOCH).unwrap()
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::RS256) };
        let der = self.key.to_pkcs1_der().unwrap();
        encode(&header, claims, &EncodingKey::from_rsa_der(der.as_bytes())).unwrap()
    }

    /// The public key in all forms that could be mistaken for an HMAC secret.
    pub(crate) fn public_forms(&self) -> Vec<Vec<u8>> {
        let key = self.key.to_public_key();
        vec![
            key.to_pkcs1_der().unwrap().into_vec(),
            key.to_public_key_der().unwrap().into_vec(),
            key.n().to_bytes_be(),
            URL_SAFE_NO_PAD.encode(key.n().to_bytes_be()).into_bytes(),
        ]
    }
}

/// A token with the given header and no signature.
pub(crate) fn unsigned(alg: &str, kid: &str, claims: &Value) -> String {
    let header = json!({"alg": alg, "kid": kid, "typ": "JWT"});
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

pub(crate) fn hs256(secret: &[u8], kid: &str, claims: &Value) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
    encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()
}
