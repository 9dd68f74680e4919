//! `GET /api/features`: what this deployment can do, so that the page offers nothing that would fail.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde::Serialize;

use crate::access_token::TokenService;
use crate::auth::AuthConfig;
use crate::config::AllowedRooms;
use crate::history::History;
use crate::rooms::Rooms;

/// What the parts of the app allow. It is the same for every caller, signed in or not.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Features<'a> {
    /// Whether people who have not signed in may chat.
    guests: bool,
    /// Whether messages are stored.
    history: bool,
    /// Whether private messages are stored too.
    private_history: bool,
    /// The names of the rooms beside everyone, or `*` for any name.
    rooms: &'a AllowedRooms,
    /// Whether people get access tokens for Azure Communication Services.
    access_tokens: bool,
}

impl<'a> Features<'a> {
    fn of(
        auth: &AuthConfig,
        rooms: &'a AllowedRooms,
        history: Option<&History>,
        tokens: Option<&TokenService>,
    ) -> Self {
        Self {
            guests: auth.allow_anonymous,
            history: history.is_some(),
            private_history: history.is_some_and(|history| history.is_private_kept),
            rooms,
            access_tokens: tokens.is_some(),
        }
    }
}

pub(crate) async fn features(
    State(auth): State<AuthConfig>,
    State(rooms): State<Rooms>,
    State(history): State<Option<History>>,
    State(tokens): State<Option<TokenService>>,
) -> impl IntoResponse {
    let features = Features::of(&auth, rooms.directory.allowed(), history.as_ref(), tokens.as_ref());
    ([(CACHE_CONTROL, "no-store")], Json(features).into_response())
}
