//! The client of Azure Communication Services: with its key, or with tokens of an identity.
//!
//! The client asks for a token before every request. Whoever answers keeps one, and a new one is there before the old one ends.

use std::error::Error;
use std::time::{Duration, SystemTime};

use azure_communication::{Client, ENTRA_SCOPE, EntraToken, NoToken, TokenSource};
use azure_credentials::Tokens;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::config::Communication;
use crate::http;

/// For the first token. The client gives up a whole call after ten seconds, and then could not say who did not answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// The client of `resource`. Nothing is sent yet, but the first token of an identity is asked for.
///
/// # Errors
///
/// When no HTTP client can be built here.
///
/// # Panics
///
/// With an identity, outside a tokio runtime.
pub fn client(resource: &Communication) -> Result<Client, Box<dyn Error + Send + Sync>> {
    match resource {
        Communication::Key(connection) => Ok(Client::new(connection)?),
        Communication::Identity(endpoint, identity) => {
            let tokens = Tokens::new(identity, ENTRA_SCOPE, &http::client()?);
            tokens.warm_up();
            Ok(Client::with_tokens(endpoint, EntraTokenSource(tokens))?)
        }
    }
}

/// The tokens of an identity, lent to the client.
struct EntraTokenSource(Tokens);

impl TokenSource for EntraTokenSource {
    async fn token(&self, _scope: &'static str, now: Timestamp) -> Result<EntraToken, NoToken> {
        let token = self.0.get(SystemTime::from(now), Instant::now() + PATIENCE).await.map_err(missing)?;
        token.expose().parse().map_err(NoToken::until_mended)
    }
}

fn missing(why: azure_credentials::NoToken) -> NoToken {
    let wait = why.retry_after();
    if why.is_retryable() { NoToken::for_now(why, wait) } else { NoToken::until_mended(why) }
}
