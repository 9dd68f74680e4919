//! Tokens of Microsoft Entra ID that can be exchanged for access tokens of Teams users.
//!
//! There is no directory behind them: a test writes down which tokens there are, and what they are good for.

use std::fmt;

use axum::http::StatusCode;

use crate::payload::ExchangeRequest;
use crate::refusal::Refusal;

/// A token a Teams user may come with, and what is in it.
#[derive(Clone)]
pub struct TeamsToken {
    /// The token itself: any text that is not empty.
    pub token: String,
    /// The id of the application it was issued to (claim `appid`).
    pub app_id: String,
    /// The object id of the user (claim `oid`).
    pub user_id: String,
    /// Its end, in seconds since 1970, and that of the access token it is exchanged for.
    pub expires_at: u64,
}

impl fmt::Debug for TeamsToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token: _, app_id, user_id, expires_at } = self;
        let mut text = f.debug_struct("TeamsToken");
        text.field("app_id", app_id).field("user_id", user_id).field("expires_at", expires_at);
        text.finish_non_exhaustive()
    }
}

/// The token of the table a request comes with, if it is still good and for the application and user it says.
pub(crate) fn find<'a>(
    known: &'a [TeamsToken],
    request: &ExchangeRequest,
    now: u64,
) -> Result<&'a TeamsToken, Refusal> {
    let found = known.iter().find(|known| !known.token.is_empty() && known.token == request.token);
    let Some(token) = found.filter(|token| now < token.expires_at) else {
        let message = "Provided access token is not valid.";
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "InvalidAccessToken", message);
        return Err(
            refusal.logged("expected a token of `teams_tokens` that has not expired; came another one")
        );
    };
    if token.app_id != request.app_id {
        return Err(Refusal::invalid("appId", "AAD application is not the expected one."));
    }
    if token.user_id != request.user_id {
        return Err(Refusal::invalid("userId", "Provided AAD token issued for unexpected user."));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_print() {
        let [token, app_id, user_id] = ["hush", "app", "oid"].map(str::to_owned);
        let printed = format!("{:?}", TeamsToken { token, app_id, user_id, expires_at: 1 });
        assert!(!printed.contains("hush") && printed.contains("app"));
    }
}
