//! Session tokens: who signed in, and until when. The same text serves as cookie and as `X-ZUMO-AUTH`.
//!
//! The key lives as long as the process. Whoever was signed in before a restart has to sign in again.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use super::principal::{Identity, Name};
use super::provider::Provider;

/// Eight hours, as App Service has it.
const LIFETIME: u64 = 8 * 60 * 60;
/// For how long an expired session can still be renewed: 72 hours, as App Service has it.
const RENEWABLE: u64 = 72 * 60 * 60;

/// Makes and reads session tokens. Holds the key, so it cannot be printed.
pub(super) struct Sessions {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
}

/// What a token says, once its signature is found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) identity: Identity,
    /// When it ends, in seconds since 1970.
    pub(super) expires: u64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    name: String,
    idp: String,
    iat: u64,
    exp: u64,
}

impl Sessions {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Time is an argument here, so `read` compares it; the library would ask the clock.
        validation.validate_exp = false;
        Self { signing: EncodingKey::from_secret(key), checking: DecodingKey::from_secret(key), validation }
    }

    /// A token for `identity`, good for eight hours from `now` (seconds since 1970).
    ///
    /// # Errors
    /// When the library cannot sign.
    pub(super) fn issue(&self, identity: &Identity, now: u64) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            sub: identity.sid(),
            name: identity.name.as_str().to_owned(),
            idp: identity.provider.alias.to_owned(),
            iat: now,
            exp: now + LIFETIME,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
    }

    /// The session of `token`, if it is one of ours and has not ended at `now`.
    pub(super) fn read(&self, token: &str, now: u64) -> Option<Session> {
        self.verify(token).filter(|session| now < session.expires)
    }

    /// As [`Self::read`], but also sessions that ended at most 72 hours ago, which may be renewed.
    pub(super) fn read_for_renewal(&self, token: &str, now: u64) -> Option<Session> {
        self.verify(token).filter(|session| now < session.expires.saturating_add(RENEWABLE))
    }

    fn verify(&self, token: &str) -> Option<Session> {
        let Claims { name, idp, exp, .. } = decode(token, &self.checking, &self.validation).ok()?.claims;
        let identity = Identity { provider: Provider::find(&idp)?, name: Name::parse(&name).ok()? };
        Some(Session { identity, expires: exp })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn alice() -> Identity {
        Identity { provider: Provider::find("aad").unwrap(), name: Name::parse("alice@contoso.com").unwrap() }
    }

    #[test]
    fn a_session_lasts_eight_hours() {
        let sessions = Sessions::new(&[1; 32]);
        let token = sessions.issue(&alice(), NOW).unwrap();
        let session = Session { identity: alice(), expires: NOW + LIFETIME };
        assert_eq!(sessions.read(&token, NOW), Some(session.clone()));
        assert_eq!(sessions.read(&token, NOW + LIFETIME - 1), Some(session));
        assert_eq!(sessions.read(&token, NOW + LIFETIME), None);
    }

    #[test]
    fn an_ended_session_can_be_renewed_for_three_days() {
        let sessions = Sessions::new(&[1; 32]);
        let token = sessions.issue(&alice(), NOW).unwrap();
        assert!(sessions.read_for_renewal(&token, NOW + LIFETIME + RENEWABLE - 1).is_some());
        assert!(sessions.read_for_renewal(&token, NOW + LIFETIME + RENEWABLE).is_none());
    }

    #[test]
    fn a_token_of_another_key_is_nobody() {
        let foreign = Sessions::new(&[2; 32]).issue(&alice(), NOW).unwrap();
        assert_eq!(Sessions::new(&[1; 32]).read(&foreign, NOW), None);
    }

    #[test]
    fn a_token_without_signature_or_of_another_algorithm_is_nobody() {
        let key = [1; 32];
        let sessions = Sessions::new(&key);
        let token = sessions.issue(&alice(), NOW).unwrap();
        let payload = token.split('.').nth(1).unwrap();
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        for forged in [format!("{unsigned}.{payload}."), format!("{unsigned}.{payload}"), payload.to_owned()]
        {
            assert_eq!(sessions.read(&forged, NOW), None, "{forged}");
        }
        let claims =
            Claims { sub: String::new(), name: "alice".into(), idp: "aad".into(), iat: NOW, exp: NOW + 60 };
        let stronger =
            encode(&Header::new(Algorithm::HS512), &claims, &EncodingKey::from_secret(&key)).unwrap();
        assert_eq!(sessions.read(&stronger, NOW), None);
    }

    #[test]
    fn a_changed_token_is_nobody() {
        let sessions = Sessions::new(&[1; 32]);
        let token = sessions.issue(&alice(), NOW).unwrap();
        let mut parts: Vec<_> = token.split('.').collect();
        let claims = r#"{"sub":"","name":"bob@contoso.com","idp":"aad","iat":0,"exp":9999999999}"#;
        let payload = URL_SAFE_NO_PAD.encode(claims);
        parts[1] = &payload;
        assert_eq!(sessions.read(&parts.join("."), NOW), None);
        for text in ["", ".", "..", "a.b.c", "alice@contoso.com"] {
            assert_eq!(sessions.read(text, NOW), None, "{text}");
        }
    }
}
