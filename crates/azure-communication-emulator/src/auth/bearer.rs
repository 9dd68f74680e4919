//! Callers without an access key: tokens of an issuer that stands in for Microsoft Entra ID.
//!
//! Real Entra tokens are signed with RSA keys that the service looks up; here the issuer signs with HS256 and a key both
//! sides are told. All else is as strict: issuer, audience, time, and whether the identity has a role on the service.

use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::Denied;
use crate::{AccessKey, jwt};

/// What every token for the service is for, whichever resource. Scopes spell it with slashes at the end.
const AUDIENCE: &str = "https://communication.azure.com";

/// Stands in for Microsoft Entra ID: whose tokens are believed, and which identities may use the service.
#[derive(Debug, Clone)]
pub struct EntraOptions {
    /// The claim `iss` of its tokens.
    pub issuer: String,
    /// What it signs them with, HS256: the bytes the text of this key decodes to.
    pub signing_key: AccessKey,
    /// The identities, by their object ids (claim `oid`), with a role on the service that allows everything; any other is
    /// answered 403.
    pub owners: Vec<String>,
}

/// The door for identities.
pub(super) struct Identities {
    options: EntraOptions,
    signing_key: DecodingKey,
}

impl Identities {
    pub(super) fn new(options: EntraOptions) -> Self {
        Self { signing_key: DecodingKey::from_secret(options.signing_key.bytes()), options }
    }

    /// Checks a token, in this order: signature, time, issuer, audience, role. `now` is in seconds since 1970.
    pub(super) fn admit(&self, token: &str, now: u64) -> Result<(), Denied> {
        let (_, claims) = jwt::open(token, &self.signing_key)
            .ok_or_else(|| Denied::new("token", "a JWT signed by the issuer, HS256", "another text"))?;
        check_time(&claims, now)?;
        let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        if claim("iss") != self.options.issuer {
            return Err(Denied::new("issuer", format!("{:?}", self.options.issuer), "another or none"));
        }
        if claim("aud").trim_end_matches('/') != AUDIENCE {
            return Err(Denied::new("audience", format!("{AUDIENCE:?}"), "another or none"));
        }
        if self.options.owners.iter().any(|owner| owner == claim("oid")) {
            return Ok(());
        }
        let expected = "an identity (claim `oid`) with a role on the service";
        Err(Denied { forbidden: true, ..Denied::new("role", expected, "one without") })
    }
}

fn check_time(claims: &Map<String, Value>, now: u64) -> Result<(), Denied> {
    let time = |name| claims.get(name).and_then(Value::as_u64);
    match (time("nbf"), time("exp")) {
        (_, None) => Err(Denied::new("exp", "a time of expiry, in seconds since 1970", "none")),
        (_, Some(end)) if end <= now => {
            Err(Denied::new("exp", format!("a time after now ({now})"), end.to_string()))
        }
        (Some(start), _) if now < start => {
            Err(Denied::new("nbf", format!("a time not after now ({now})"), start.to_string()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: u64 = 1_700_000_000;

    fn admit(changes: Value) -> Result<(), Denied> {
        let signing_key = AccessKey::new("aXNzdWVy").unwrap();
        let mut claims = json!({
            "iss": "i", "aud": "https://communication.azure.com//", "oid": "app", "nbf": NOW, "exp": NOW + 1,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let token = jwt::sign(&json!({"alg": "HS256"}), &claims, signing_key.bytes());
        let options = EntraOptions { issuer: "i".to_owned(), signing_key, owners: vec!["app".to_owned()] };
        Identities::new(options).admit(&token, NOW)
    }

    #[test]
    fn an_identity_with_a_role_is_admitted() {
        assert_eq!(admit(json!({})), Ok(()));
        assert_eq!(admit(json!({"aud": AUDIENCE})), Ok(()));
    }

    #[test]
    fn every_refusal_names_its_rule() {
        for (changes, rule) in [
            (json!({"exp": NOW}), "exp"),
            (json!({"exp": "soon"}), "exp"),
            (json!({"nbf": NOW + 1}), "nbf"),
            (json!({"iss": "j"}), "issuer"),
            (json!({"aud": "https://signalr.azure.com"}), "audience"),
            (json!({"oid": "guest"}), "role"),
        ] {
            let denied = admit(changes).unwrap_err();
            assert_eq!((denied.rule, denied.forbidden), (rule, rule == "role"));
        }
    }
}
