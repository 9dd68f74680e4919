//! What an access token was issued for, and whether it is still good: the service has no operation that tells, a test has to ask.

use serde::Serialize;

use crate::Scope;

/// How long the real service may go on honouring a token after it was revoked, in seconds.
pub(crate) const REVOCATION_DELAY: u64 = 15 * 60;

/// One access token, as of now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Introspection {
    /// The id of the identity it was issued to, `8:acs:…`, or `8:orgid:…` of a Teams user.
    pub identity: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// When it was issued, in seconds since 1970.
    pub issued_at: u64,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
    /// Whether it is good, if everything takes effect at once.
    pub state: TokenState,
    /// For a token that was revoked: until when the real service may still honour it, in seconds since 1970.
    pub honoured_until: Option<u64>,
}

/// Whether a token is good, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TokenState {
    /// It is good.
    Alive,
    /// Its time is over.
    Expired,
    /// The access key of the caller it was issued to was changed.
    KeyChanged,
    /// Its identity was deleted.
    Deleted,
    /// All tokens of its identity were revoked after it was issued.
    Revoked,
}
