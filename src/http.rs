//! The HTTP client for storage, for tokens of identities, and for the keys that people's tokens are signed with.
//!
//! It also asks managed identity endpoints, which are on the machine itself.

use std::time::Duration;

use azure_http::RootCertificates;

/// Longer than a TCP handshake within a region takes with one lost packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For a whole answer, where the request says nothing else. Managed identity endpoints take up to a second when they are cold.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) fn client() -> reqwest::Result<reqwest::Client> {
    azure_http::builder(&RootCertificates::default())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .build()
}
