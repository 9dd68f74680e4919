//! The HTTP client for storage, for tokens of identities, and for the keys that people's tokens are signed with.
//!
//! It also asks managed identity endpoints, which are on the machine itself.

use std::time::Duration;

use azure_http::{HttpClient, HttpError, HttpOptions};

/// Longer than a TCP handshake within a region takes with one lost packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For a whole answer, where the request says nothing else. Managed identity endpoints take up to a second when they are cold.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) fn client() -> Result<reqwest::Client, HttpError> {
    let options = HttpOptions {
        connect_timeout: CONNECT_TIMEOUT,
        timeout: Some(ANSWER_TIMEOUT),
        ..HttpOptions::default()
    };
    Ok(HttpClient::new(&options)?.as_reqwest().clone())
}
