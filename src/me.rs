//! `GET /api/me`: the signed-in caller, as the page shows them.

use axum::Json;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use azure_signalr::UserId;
use serde::{Serialize, Serializer};

use crate::auth::{AuthConfig, ENTRA, name_of};
use crate::error::Error;
use crate::text::{is_inline, is_visible};

/// A user who has signed in. As an extractor it rejects other callers.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    /// The sender of the user's messages, and the recipient of private messages to the user.
    #[serde(serialize_with = "as_text")]
    user_id: UserId,
    /// The claim `name`, such as `Ann Lee`; without one the user's name at the provider.
    display_name: String,
    /// The provider as Easy Auth calls it, such as `aad`; `null` if it is unknown.
    provider: Option<String>,
}

pub(crate) async fn me(profile: Result<Profile, Error>) -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], profile.map(Json).into_response())
}

impl<S> FromRequestParts<S> for Profile
where
    S: Send + Sync,
    AuthConfig: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let config = AuthConfig::from_ref(state);
        if let Some(principal) = config.principal(&parts.headers) {
            let name = principal.name()?;
            let display_name = display_name(principal.display_name().as_deref(), &name);
            let user_id = config.user_id(name, || principal.provider())?;
            return Ok(Self { user_id, display_name, provider: principal.provider().ok().flatten() });
        }
        let user = config.bearer(&parts.headers).await?.ok_or(Error::Unauthenticated("see who you are"))?;
        let name = name_of(&user)?;
        let display_name = display_name(user.display_name(), &name);
        let user_id = config.user_id(name, || Ok(Some(ENTRA.to_owned())))?;
        Ok(Self { user_id, display_name, provider: Some(ENTRA.to_owned()) })
    }
}

/// What the user is called if that can be shown, else the user's name.
fn display_name(claimed: Option<&str>, name: &UserId) -> String {
    let can_be_shown = |text: &&str| is_visible(text) && is_inline(text);
    claimed.filter(can_be_shown).unwrap_or(name.as_str()).to_owned()
}

fn as_text<S: Serializer>(user: &UserId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(user.as_str())
}
