//! Who is calling: the headers of App Service authentication ("Easy Auth"), or a bearer token.
//!
//! Any client can send these headers. They count only where the platform in front removes a caller's own first; without it, a caller
//! needs a token. Where there are such headers, the token is not read: the platform has validated it. If no user can be read from them,
//! the caller is rejected, and never treated as a guest.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use azure_signalr::UserId;
use entra_jwt::{InvalidToken, Validator};

use crate::config::ProviderName;
use crate::error::Error;

pub mod bearer;
mod claim_set;
mod person;
mod principal;
mod user_id;

pub use person::{Person, PersonKey};
pub(crate) use principal::Principal;
pub(crate) use user_id::parse_user_id;

/// Microsoft Entra ID, as Easy Auth calls it.
pub(crate) const ENTRA: &str = "aad";

/// How callers are authenticated, and who may chat.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Whether the headers of Easy Auth count.
    pub trust: Trust,
    /// Validates bearer tokens; `None`: they are ignored.
    pub validator: Option<Validator>,
    /// Whether people who have not signed in may chat.
    pub allow_anonymous: bool,
    /// The provider whose names are user ids as they are; `None`: those of every provider are.
    pub identity_provider: Option<ProviderName>,
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
        let config = AuthConfig::from_ref(state);
        if let Some(principal) = config.principal(&parts.headers) {
            let provider = || principal.provider();
            return config.user_id(principal.name()?, provider).map(Self::User);
        }
        match config.bearer(&parts.headers).await? {
            Some(user) => config.user_id(name_of(&user)?, || Ok(Some(ENTRA.to_owned()))).map(Self::User),
            None if config.allow_anonymous => Ok(Self::Anonymous),
            None => Err(Error::Unauthenticated("chat")),
        }
    }
}

impl AuthConfig {
    /// The principal headers of a request, if they can be trusted and there are any.
    pub(crate) fn principal<'a>(&self, headers: &'a HeaderMap) -> Option<Principal<'a>> {
        if self.trust == Trust::EasyAuth { Principal::of(headers) } else { None }
    }

    /// The user of the request's bearer token, if tokens are accepted and there is one.
    pub(crate) async fn bearer(&self, headers: &HeaderMap) -> Result<Option<entra_jwt::User>, Error> {
        match &self.validator {
            Some(validator) => bearer::user(validator, headers).await,
            None => Ok(None),
        }
    }

    /// The user id of the person whom `provider` calls `name`. The provider is read only where it matters.
    pub(crate) fn user_id(
        &self,
        name: UserId,
        provider: impl FnOnce() -> Result<Option<String>, Error>,
    ) -> Result<UserId, Error> {
        const UNREADABLE: Error = Error::UnreadablePrincipal("the provider");
        let Some(home) = &self.identity_provider else { return Ok(name) };
        let provider = provider()?.and_then(|provider| provider.parse().ok()).ok_or(UNREADABLE)?;
        user_id::user_id(name, &provider, home).map_err(|_| Error::UnreadablePrincipal("a name that is short enough"))
    }
}

/// The name that Easy Auth would give the user of a token: the sign-in name; without one the object id.
pub(crate) fn name_of(user: &entra_jwt::User) -> Result<UserId, Error> {
    let name = user.name().unwrap_or_else(|| user.object_id());
    parse_user_id(name).ok_or(Error::InvalidToken(InvalidToken::NoUser))
}
