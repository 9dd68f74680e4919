//! The client of Azure Communication Services: with the resource's key, or with tokens of an identity.

use std::error::Error;
use std::time::{Duration, SystemTime};

use azure_communication::{Client, ENTRA_SCOPE, EntraToken, TokenError, TokenSource};
use azure_credentials::TokenCache;
use azure_http::{HttpClient, HttpOptions};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::config::Communication;

/// For the first token: shorter than the client's time-out for a call, so that the error can name the issuer of tokens.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(8);

/// The client of `resource`. With an identity, its first token is requested at once.
///
/// # Errors
///
/// When no HTTP client can be built.
///
/// # Panics
///
/// With an identity, outside a tokio runtime.
pub fn client(resource: &Communication) -> Result<Client, Box<dyn Error + Send + Sync>> {
    match resource {
        Communication::Key(connection) => Ok(Client::new(connection)?),
        Communication::Identity(endpoint, identity) => {
            let tokens = TokenCache::new(identity, ENTRA_SCOPE, &HttpClient::new(&HttpOptions::default())?);
            tokens.warm_up();
            Ok(Client::with_tokens(endpoint, EntraTokenSource(tokens))?)
        }
    }
}

/// Adapts a token cache to the client.
struct EntraTokenSource(TokenCache);

impl TokenSource for EntraTokenSource {
    async fn token(&self, _scope: &'static str, now: Timestamp) -> Result<EntraToken, TokenError> {
        let token = self.0.get(SystemTime::from(now), Instant::now() + TOKEN_TIMEOUT).await.map_err(no_token)?;
        token.expose().parse().map_err(TokenError::permanent)
    }
}

fn no_token(error: azure_credentials::TokenError) -> TokenError {
    let retry_after = error.retry_after();
    if error.is_retryable() { TokenError::transient(error, retry_after) } else { TokenError::permanent(error) }
}
