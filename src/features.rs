//! `GET /api/features`: what this deployment can do, so that the page offers nothing that would fail.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde::Serialize;

use crate::access_token::TokenService;
use crate::auth::AuthConfig;

/// What the parts of the app allow. It is the same for every caller, signed in or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Features {
    /// Whether people who have not signed in may chat.
    guests: bool,
    /// Whether messages are stored. No part of the app stores any.
    history: bool,
    /// Whether private messages are stored too.
    private_history: bool,
    /// The names of the rooms beside everyone. No part of the app has any.
    rooms: [&'static str; 0],
    /// Whether people get access tokens for Azure Communication Services.
    access_tokens: bool,
}

impl Features {
    fn of(auth: &AuthConfig, tokens: Option<&TokenService>) -> Self {
        Self {
            guests: auth.allow_anonymous,
            history: false,
            private_history: false,
            rooms: [],
            access_tokens: tokens.is_some(),
        }
    }
}

pub(crate) async fn features(
    State(auth): State<AuthConfig>,
    State(tokens): State<Option<TokenService>>,
) -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], Json(Features::of(&auth, tokens.as_ref())))
}
