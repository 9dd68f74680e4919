//! `GET /api/features`: what this deployment can do, so that the page offers nothing that would fail.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde::Serialize;

use crate::access_token::TokenService;
use crate::auth::AuthConfig;
use crate::config::AllowedRooms;
use crate::rooms::Rooms;

/// What the parts of the app allow. It is the same for every caller, signed in or not.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Features<'a> {
    /// Whether people who have not signed in may chat.
    guests: bool,
    /// Whether messages are stored. No part of the app stores any.
    history: bool,
    /// Whether private messages are stored too.
    private_history: bool,
    /// The names of the rooms beside everyone, or `*` for any name.
    rooms: &'a AllowedRooms,
    /// Whether people get access tokens for Azure Communication Services.
    access_tokens: bool,
}

impl<'a> Features<'a> {
    fn of(auth: &AuthConfig, rooms: &'a AllowedRooms, tokens: Option<&TokenService>) -> Self {
        Self {
            guests: auth.allow_anonymous,
            history: false,
            private_history: false,
            rooms,
            access_tokens: tokens.is_some(),
        }
    }
}

pub(crate) async fn features(
    State(auth): State<AuthConfig>,
    State(rooms): State<Rooms>,
    State(tokens): State<Option<TokenService>>,
) -> impl IntoResponse {
    let features = Features::of(&auth, rooms.directory.allowed(), tokens.as_ref());
    ([(CACHE_CONTROL, "no-store")], Json(features).into_response())
}
