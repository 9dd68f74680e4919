//! What a negotiation gives whoever is let in.

use super::http::Answer;

/// The token in an answer that lets somebody in.
pub(super) fn access_token(answer: &Answer) -> Option<String> {
    let body = answer.json()?;
    body["url"].as_str()?;
    body["accessToken"].as_str().map(str::to_owned)
}
