//! The keys that a tenant signs with, and how it calls itself: what was fetched, as far as it can be used.
//!
//! A set of keys may hold more than we can use, or want to; only what is surely for signatures of this tenant is taken from it.

use std::collections::HashMap;
use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;

use crate::authority::Authority;
use crate::error::Invalid;

/// Entra has less than ten.
const MOST: usize = 100;
/// Where the name of a tenant goes, in keys that all of them share.
const ANY_TENANT: &str = "{tenantid}";

/// The keys of a tenant.
pub(crate) struct Keys {
    /// In tokens v2.0 and v1.0.
    issuers: [String; 2],
    by_id: HashMap<String, Key>,
    fetched: SystemTime,
}

/// A key to check signatures with.
pub(crate) struct Key(RsaPublicKeyComponents<Vec<u8>>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

/// RFC 7517, and what Entra adds.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
    issuer: Option<String>,
}

impl Keys {
    /// Those of `authority`, which calls itself `issuer`, out of a set that came at `fetched`. `None` if none can be used.
    pub(crate) fn parse(
        set: &[u8],
        authority: &Authority,
        issuer: &str,
        fetched: SystemTime,
    ) -> Option<Self> {
        let set: Set = serde_json::from_slice(set).ok()?;
        let issuers = [issuer.to_owned(), authority.issuer_v1()];
        let is_ours = |jwk: &Jwk| {
            let issuer = jwk.issuer.as_deref();
            issuer.is_none_or(|issuer| issuers.iter().any(|own| own == issuer) || issuer.contains(ANY_TENANT))
        };
        let ours = set.keys.iter().filter(|jwk| is_ours(jwk));
        let by_id: HashMap<_, _> = ours.filter_map(Jwk::key).take(MOST).collect();
        (!by_id.is_empty()).then_some(Self { issuers, by_id, fetched })
    }

    pub(crate) fn get(&self, kid: &str) -> Option<&Key> {
        self.by_id.get(kid)
    }

    pub(crate) fn fetched(&self) -> SystemTime {
        self.fetched
    }

    /// Whether this is how the tenant calls itself.
    pub(crate) fn are_of(&self, issuer: &str) -> bool {
        self.issuers.iter().any(|own| own == issuer)
    }
}

impl Jwk {
    fn key(&self) -> Option<(String, Key)> {
        let signs = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        let fits = self.alg.as_deref().is_none_or(|alg| alg == "RS256");
        if self.kty != "RSA" || !signs || !fits {
            return None;
        }
        let number = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let key = RsaPublicKeyComponents { n: number(&self.n)?, e: number(&self.e)? };
        Some((self.kid.clone()?, Key(key)))
    }
}

impl Key {
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Invalid> {
        self.0.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).map_err(|_| Invalid::Signature)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("ids", &self.by_id.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::{Value, json};

    use super::*;
    use crate::signing::{Signer, authority};

    fn parse(keys: &Value) -> Option<Keys> {
        let set = json!({ "keys": keys }).to_string();
        Keys::parse(set.as_bytes(), &authority(), "https://issuer/", UNIX_EPOCH)
    }

    fn with(jwk: &Value, name: &str, value: Value) -> Value {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    }

    #[test]
    fn of_a_set_only_what_signs_for_this_tenant_is_taken() {
        let (right, _) = Signer::pair();
        let jwk = right.jwk();
        let own = authority().issuer_v1();
        for usable in [
            jwk.clone(),
            with(&jwk, "use", Value::Null),
            with(&jwk, "alg", json!("RS256")),
            with(&jwk, "x5c", json!(["…"])),
            with(&jwk, "issuer", json!("https://issuer/")),
            with(&jwk, "issuer", json!(own)),
            with(&jwk, "issuer", json!("https://login.microsoftonline.com/{tenantid}/v2.0")),
        ] {
            assert!(parse(&json!([usable])).is_some(), "{usable}");
        }
        for unusable in [
            with(&jwk, "kty", json!("EC")),
            with(&jwk, "use", json!("enc")),
            with(&jwk, "alg", json!("HS256")),
            with(&jwk, "kid", Value::Null),
            with(&jwk, "n", json!("%")),
            with(&jwk, "e", Value::Null),
            with(&jwk, "issuer", json!("https://sts.windows.net/somebody-else/")),
        ] {
            assert!(parse(&json!([unusable])).is_none(), "{unusable}");
            assert!(parse(&json!([unusable, jwk])).unwrap().get(right.kid()).is_some());
        }
    }

    #[test]
    fn a_set_without_an_end_is_cut_and_what_is_no_set_is_none() {
        let (right, _) = Signer::pair();
        let many: Vec<_> =
            (0..MOST + 10).map(|id| with(&right.jwk(), "kid", json!(id.to_string()))).collect();
        assert_eq!(parse(&json!(many)).unwrap().by_id.len(), MOST);
        for wrong in [json!([]), json!({}), json!("x"), json!([1])] {
            assert!(parse(&wrong).is_none(), "{wrong}");
        }
    }
}
