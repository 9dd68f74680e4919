//! Who is calling: the headers of App Service authentication ("Easy Auth"), or a bearer token.
//!
//! Any client can send these headers. They count only where the platform in front removes a caller's own first; without it, a caller
//! needs a token. Where the headers name a user, the token is not read: the platform has validated it.
//!
//! Contract: <https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities>.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use azure_signalr::UserId;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use entra_jwt::{InvalidToken, Validator};
use serde::Deserialize;

use crate::error::Error;

pub mod bearer;
mod person;

pub use person::{Person, PersonKey};

const NAME: &str = "x-ms-client-principal-name";
const CLAIMS: &str = "x-ms-client-principal";
const ID: &str = "x-ms-client-principal-id";

/// How callers are authenticated, and who may chat.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Whether the headers of Easy Auth count.
    pub trust: Trust,
    /// Validates bearer tokens; `None`: they are ignored.
    pub validator: Option<Validator>,
    /// Whether people who have not signed in may chat.
    pub allow_anonymous: bool,
}

/// Whether the principal headers of a request can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// App Service authentication, or `chat` in its place, sets them.
    EasyAuth,
    /// The caller may have set them: they are ignored.
    Untrusted,
}

/// The caller of a request. As an extractor it rejects callers who may not chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A user who has signed in.
    User(UserId),
    /// A guest.
    Anonymous,
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    AuthConfig: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let policy = AuthConfig::from_ref(state);
        if let Some(user) = policy.if_trusted(|| user(&parts.headers)) {
            return Ok(Self::User(user));
        }
        match policy.bearer(&parts.headers).await? {
            Some(user) => Ok(Self::User(name_of(&user)?)),
            None if policy.allow_anonymous => Ok(Self::Anonymous),
            None => Err(Error::Unauthenticated("chat")),
        }
    }
}

impl AuthConfig {
    /// The result of `read`, which reads principal headers, if they can be trusted.
    fn if_trusted<T>(&self, read: impl FnOnce() -> Option<T>) -> Option<T> {
        if self.trust == Trust::EasyAuth { read() } else { None }
    }

    /// The user of the request's bearer token, if tokens are accepted and there is one.
    async fn bearer(&self, headers: &HeaderMap) -> Result<Option<entra_jwt::User>, Error> {
        match &self.validator {
            Some(validator) => bearer::user(validator, headers).await,
            None => Ok(None),
        }
    }
}

/// The user id that Easy Auth would give the user of a token: the sign-in name, else the object id.
fn name_of(user: &entra_jwt::User) -> Result<UserId, Error> {
    let mut ids = user.name().into_iter().chain([user.object_id()]);
    ids.find_map(|id| id.parse().ok()).ok_or(Error::InvalidToken(InvalidToken::NoUser))
}

/// The name header; without it (a name may not fit into a header) the name claim; else the provider's id.
fn user(headers: &HeaderMap) -> Option<UserId> {
    let name = || single_header(headers, NAME)?.parse().ok();
    let claim = || name_claim(single_header(headers, CLAIMS)?)?.parse().ok();
    let id = || single_header(headers, ID)?.parse().ok();
    name().or_else(claim).or_else(id)
}

/// The value of a header that occurs once. The platform sets one; a second value is forged.
fn single_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    std::str::from_utf8(value.as_bytes()).ok().filter(|value| !value.is_empty())
}

/// The decoded `x-ms-client-principal`, in the form of App Service or of Static Web Apps.
#[derive(Default, Deserialize)]
struct ClientPrincipal {
    auth_typ: Option<String>,
    #[serde(default)]
    claims: Vec<Claim>,
    name_typ: Option<String>,
    #[serde(rename = "identityProvider")]
    identity_provider: Option<String>,
    #[serde(rename = "userId")]
    user_id: Option<String>,
    #[serde(rename = "userDetails")]
    user_details: Option<String>,
}

#[derive(Deserialize)]
struct Claim {
    typ: String,
    val: String,
}

/// The claim types that hold a name, for principals that do not say which one does.
const NAME_TYPES: [&str; 3] =
    ["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "name", "preferred_username"];

impl ClientPrincipal {
    fn decode(encoded: &str) -> Option<Self> {
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        serde_json::from_slice(&LENIENT.decode(encoded).ok()?).ok()
    }

    /// The first claim of the first of these types that has one.
    fn claim(&self, types: &[&str]) -> Option<&str> {
        let claim = types.iter().find_map(|typ| self.claims.iter().find(|claim| claim.typ == *typ))?;
        Some(&claim.val).filter(|value| !value.is_empty()).map(String::as_str)
    }

    fn provider(&self) -> Option<&str> {
        self.auth_typ.as_deref().or(self.identity_provider.as_deref()).filter(|name| !name.is_empty())
    }

    fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref().filter(|id| !id.is_empty())
    }
}

fn name_claim(encoded: &str) -> Option<String> {
    let principal = ClientPrincipal::decode(encoded)?;
    let types = principal.name_typ.iter().map(String::as_str).chain(NAME_TYPES);
    let named = types.filter_map(|typ| principal.claims.iter().find(|claim| claim.typ == typ)).next();
    named.map(|claim| claim.val.clone()).or(principal.user_details).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

    use super::*;

    fn who(headers: &[(&'static str, &[u8])]) -> Option<String> {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap()));
        user(&headers.collect()).map(|user| user.as_str().to_owned())
    }

    fn principal(json: &str) -> Vec<u8> {
        STANDARD.encode(json).into_bytes()
    }

    const ANN: &str = r#"{"auth_typ":"aad","name_typ":"n","claims":[{"typ":"x","val":"1"},{"typ":"n","val":"Änn"},{"typ":"n","val":"Bob"}]}"#;

    #[test]
    fn the_name_header_comes_first_then_the_name_claim_then_the_id() {
        let claims = principal(ANN);
        assert_eq!(who(&[(NAME, b"ann"), (CLAIMS, &claims), (ID, b"7")]).unwrap(), "ann");
        assert_eq!(who(&[(CLAIMS, &claims), (ID, b"7")]).unwrap(), "Änn");
        assert_eq!(who(&[(ID, b"7")]).unwrap(), "7");
        assert_eq!(who(&[]), None);
    }

    #[test]
    fn case_56_an_invalid_principal_names_no_user() {
        for broken in ["", "%%%", "e30", "bm90IGpzb24=", "W10=", "eyJjbGFpbXMiOjF9"] {
            assert_eq!(who(&[(CLAIMS, broken.as_bytes())]), None, "{broken}");
        }
        let claims: Vec<_> = (0..100).map(|n| format!(r#"{{"typ":"t{n}","val":"v"}}"#)).collect();
        assert_eq!(who(&[(CLAIMS, &principal(&format!(r#"{{"claims":[{}]}}"#, claims.join(","))))]), None);
    }

    #[test]
    fn case_56_missing_padding_is_forgiven_and_the_first_of_repeated_claims_counts() {
        assert_eq!(who(&[(CLAIMS, STANDARD_NO_PAD.encode(ANN).as_bytes())]).unwrap(), "Änn");
    }

    #[test]
    fn case_57_names_beyond_ascii_are_kept() {
        assert_eq!(who(&[(NAME, "Zoë 😀".as_bytes())]).unwrap(), "Zoë 😀");
        assert_eq!(who(&[(NAME, b"Zo\xeb"), (ID, b"7")]).unwrap(), "7");
    }

    #[test]
    fn case_58_the_principal_of_static_web_apps_is_recognised() {
        let principal = principal(
            r#"{"identityProvider":"github","userId":"7","userDetails":"ann","userRoles":["authenticated"]}"#,
        );
        assert_eq!(who(&[(CLAIMS, &principal)]).unwrap(), "ann");
    }

    #[test]
    fn two_name_headers_name_no_user() {
        assert_eq!(who(&[(NAME, b"ann"), (NAME, b"root")]), None);
    }
}
