//! Session tokens, and the state of Easy Auth that issues and reads them.
//!
//! The same token serves as cookie and as `X-ZUMO-AUTH`. The key is new in each process, so sessions end with it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use super::credential::Credential;
use super::identity::{Identity, Name, Provider};
use super::redirect::AllowedRedirects;
use crate::origins::Origins;
use crate::responses::error_response;

/// The default lifetime of a session: eight hours, as in App Service.
pub(crate) const SESSION_LIFETIME_SECONDS: u64 = 8 * 60 * 60;
/// How long an expired session can be renewed: 72 hours, as in App Service.
const RENEWAL_PERIOD_SECONDS: u64 = 72 * 60 * 60;

/// The state of Easy Auth: the session key, and the origins of the page and of Easy Auth itself.
pub(crate) struct EasyAuth {
    pub(super) sessions: SessionTokens,
    pub(super) page: Origins,
    /// The origins of the API, and so of the sign-in page.
    pub(super) own: Origins,
    pub(super) redirects: AllowedRedirects,
}

/// An `X-ZUMO-AUTH` token that is invalid or expired.
pub(super) struct InvalidToken;

impl InvalidToken {
    pub(super) fn into_response(self) -> Response {
        tracing::info!("rejected a session token that is invalid or expired");
        let message = "The session token is invalid or expired: sign in again.";
        error_response(StatusCode::UNAUTHORIZED, "invalid_token", message)
    }
}

impl EasyAuth {
    /// Creates the state with a new key. Sessions last `session_seconds`.
    pub(crate) fn new(
        page: Origins,
        own: Origins,
        redirects: AllowedRedirects,
        session_seconds: u64,
    ) -> Result<Arc<Self>, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Arc::new(Self { sessions: SessionTokens::new(&key, session_seconds), page, own, redirects }))
    }

    /// The session in `headers`, and the credential it came with. `Ok(None)` is an anonymous caller.
    ///
    /// An invalid cookie is ignored; an invalid `X-ZUMO-AUTH` token is an error.
    pub(super) fn caller<'a>(&self, headers: &'a HeaderMap) -> Result<Option<(Session, Credential<'a>)>, InvalidToken> {
        let Some(credential) = Credential::of(headers) else { return Ok(None) };
        match (self.sessions.read(credential.token(), now()), credential) {
            (Some(session), _) => Ok(Some((session, credential))),
            (None, Credential::Cookie(_)) => Ok(None),
            (None, Credential::Header(_)) => Err(InvalidToken),
        }
    }
}

/// Seconds since 1970. The only use of the clock in Easy Auth.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Signs and verifies session tokens. It has no `Debug`, because it holds the key.
pub(super) struct SessionTokens {
    encoding_key: EncodingKey,
    decoding_key: DecodingKey,
    validation: Validation,
    lifetime_seconds: u64,
}

/// The contents of a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) identity: Identity,
    /// In seconds since 1970.
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

impl SessionTokens {
    fn new(key: &[u8; 32], lifetime_seconds: u64) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // The library would use the system clock; here the time is an argument.
        validation.validate_exp = false;
        Self {
            encoding_key: EncodingKey::from_secret(key),
            decoding_key: DecodingKey::from_secret(key),
            validation,
            lifetime_seconds,
        }
    }

    /// A token for `identity`, valid from `now` (seconds since 1970) for the lifetime of a session.
    pub(super) fn issue(&self, identity: &Identity, now: u64) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            sub: identity.sid(),
            name: identity.name.as_str().to_owned(),
            idp: identity.provider.alias.to_owned(),
            iat: now,
            exp: now + self.lifetime_seconds,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding_key)
    }

    /// The session of `token`, if its signature is valid and it is not expired at `now`.
    fn read(&self, token: &str, now: u64) -> Option<Session> {
        self.verify(token).filter(|session| now < session.expires)
    }

    /// As [`Self::read`], but also for up to 72 hours after expiry.
    pub(super) fn read_for_renewal(&self, token: &str, now: u64) -> Option<Session> {
        self.verify(token).filter(|session| now < session.expires.saturating_add(RENEWAL_PERIOD_SECONDS))
    }

    fn verify(&self, token: &str) -> Option<Session> {
        let Claims { name, idp, exp, .. } = decode(token, &self.decoding_key, &self.validation).ok()?.claims;
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
        let sessions = SessionTokens::new(&[1; 32], SESSION_LIFETIME_SECONDS);
        let token = sessions.issue(&alice(), NOW).unwrap();
        let session = Session { identity: alice(), expires: NOW + SESSION_LIFETIME_SECONDS };
        assert_eq!(sessions.read(&token, NOW), Some(session.clone()));
        assert_eq!(sessions.read(&token, NOW + SESSION_LIFETIME_SECONDS - 1), Some(session));
        assert_eq!(sessions.read(&token, NOW + SESSION_LIFETIME_SECONDS), None);
    }

    #[test]
    fn a_short_session_ends_early_and_can_be_renewed_as_long_as_any_other() {
        let sessions = SessionTokens::new(&[1; 32], 5);
        let token = sessions.issue(&alice(), NOW).unwrap();
        assert!(sessions.read(&token, NOW + 4).is_some());
        assert_eq!(sessions.read(&token, NOW + 5), None);
        let renewable = |now| sessions.read_for_renewal(&token, now).is_some();
        assert!(renewable(NOW + 5 + RENEWAL_PERIOD_SECONDS - 1) && !renewable(NOW + 5 + RENEWAL_PERIOD_SECONDS));
    }

    #[test]
    fn an_expired_session_can_be_renewed_for_three_days() {
        let sessions = SessionTokens::new(&[1; 32], SESSION_LIFETIME_SECONDS);
        let token = sessions.issue(&alice(), NOW).unwrap();
        assert!(
            sessions.read_for_renewal(&token, NOW + SESSION_LIFETIME_SECONDS + RENEWAL_PERIOD_SECONDS - 1).is_some()
        );
        assert!(sessions.read_for_renewal(&token, NOW + SESSION_LIFETIME_SECONDS + RENEWAL_PERIOD_SECONDS).is_none());
    }

    #[test]
    fn a_token_of_another_key_is_invalid() {
        let foreign = SessionTokens::new(&[2; 32], SESSION_LIFETIME_SECONDS).issue(&alice(), NOW).unwrap();
        assert_eq!(SessionTokens::new(&[1; 32], SESSION_LIFETIME_SECONDS).read(&foreign, NOW), None);
    }

    #[test]
    fn a_token_without_signature_or_of_another_algorithm_is_invalid() {
        let key = [1; 32];
        let sessions = SessionTokens::new(&key, SESSION_LIFETIME_SECONDS);
        let token = sessions.issue(&alice(), NOW).unwrap();
        let payload = token.split('.').nth(1).unwrap();
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        for forged in [format!("{unsigned}.{payload}."), format!("{unsigned}.{payload}"), payload.to_owned()] {
            assert_eq!(sessions.read(&forged, NOW), None, "{forged}");
        }
        let claims = Claims { sub: String::new(), name: "alice".into(), idp: "aad".into(), iat: NOW, exp: NOW + 60 };
        let stronger = encode(&Header::new(Algorithm::HS512), &claims, &EncodingKey::from_secret(&key)).unwrap();
        assert_eq!(sessions.read(&stronger, NOW), None);
    }

    #[test]
    fn a_signed_token_with_a_time_that_is_no_time_is_invalid() {
        let key = EncodingKey::from_secret(&[1; 32]);
        let read = |exp: serde_json::Value| {
            let claims = serde_json::json!({"sub": "", "name": "alice", "idp": "aad", "iat": NOW, "exp": exp});
            let token = encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
            let sessions = SessionTokens::new(&[1; 32], SESSION_LIFETIME_SECONDS);
            (sessions.read(&token, NOW).is_some(), sessions.read_for_renewal(&token, NOW).is_some())
        };
        for (exp, expected) in [
            (serde_json::json!(NOW + 1), (true, true)),
            (serde_json::json!(NOW), (false, true)),
            (serde_json::json!(0), (false, false)),
            (serde_json::json!(i64::MAX), (true, true)),
            (serde_json::json!(u64::MAX), (true, true)),
            (serde_json::json!(-1), (false, false)),
            (serde_json::json!(i64::MIN), (false, false)),
            (serde_json::json!(f64::MAX), (false, false)),
            (serde_json::json!("1800000060"), (false, false)),
            (serde_json::json!(null), (false, false)),
            (serde_json::json!([]), (false, false)),
        ] {
            assert_eq!(read(exp.clone()), expected, "{exp}");
        }
    }

    #[test]
    fn a_changed_token_is_invalid() {
        let sessions = SessionTokens::new(&[1; 32], SESSION_LIFETIME_SECONDS);
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
