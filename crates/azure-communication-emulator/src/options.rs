//! What can be set, and why the defaults are what they are.

use std::time::Duration;

use uuid::Uuid;

use crate::{AccessKey, Clock, EntraOptions, TeamsToken, random};

/// Settings of an [`Emulator`](crate::Emulator). Start from [`Options::default`] and change what differs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Primary and secondary key, either of which signs requests. By default nobody knows them but who asks for
    /// [`connection_string`](crate::Emulator::connection_string).
    pub access_keys: [AccessKey; 2],

    /// The id of the resource, which stands in the id of each of its identities. By default a new one, so that identities
    /// of an emulator that is gone are unknown to the next.
    pub resource_id: Uuid,

    /// What time it is. The machine's by default.
    pub clock: Clock,

    /// How far the date of a signed request may be off, either way; 15 minutes. The service does not publish its own figure;
    /// another service with the same scheme does.
    pub clock_skew: Duration,

    /// Most identities at a time; 100,000, well under 100 MB. When there are as many, creating another is answered 507 until
    /// one is deleted: were the oldest to go instead, whoever still has its id would look for the mistake in the wrong place.
    pub max_identities: usize,

    /// The Entra tokens that can be exchanged for access tokens of Teams users. None by default.
    pub teams_tokens: Vec<TeamsToken>,

    /// Callers that have an identity of Microsoft Entra ID instead of a key. `None`, the default, admits none.
    pub entra: Option<EntraOptions>,
}

/// # Panics
///
/// When the operating system has no random bytes to give.
impl Default for Options {
    fn default() -> Self {
        Self {
            access_keys: [AccessKey::generate(), AccessKey::generate()],
            resource_id: random::uuid(),
            clock: Clock::default(),
            clock_skew: Duration::from_secs(15 * 60),
            max_identities: 100_000,
            teams_tokens: Vec::new(),
            entra: None,
        }
    }
}
