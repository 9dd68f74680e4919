//! The settings of an emulator: `Options`, and the types of its fields `Clock`, `EntraOptions` and `TeamsToken`.
//!
//! Times are whole seconds since 1970 throughout this crate.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::access_keys::{AccessKey, random_bytes};

/// The last second that dates can express, 9999-12-31T23:59:59Z. No clock goes further.
const MAX_UNIX_SECONDS: u64 = 253_402_300_799;

/// The settings of an [`Emulator`](crate::Emulator). Start from [`Options::default`] and change fields.
#[derive(Debug, Clone)]
pub struct Options {
    /// The primary and the secondary access key. Default: generated;
    /// [`connection_string`](crate::Emulator::connection_string) returns them.
    pub access_keys: [AccessKey; 2],

    /// The id of the resource, part of every identity's id. Default: generated, so that two emulators share no identity.
    pub resource_id: Uuid,

    /// The clock of the emulator. Default: the system clock.
    pub clock: Clock,

    /// The maximum difference between the date of a signed request and the clock, in either direction. Default: 15 minutes,
    /// which another Azure service with the same scheme documents; Communication Services publishes no value.
    pub clock_skew: Duration,

    /// The maximum number of identities at a time. Default: 100,000 (less than 100 MB). Beyond it creation fails with 507
    /// until an identity is deleted.
    pub max_identities: usize,

    /// The Microsoft Entra tokens that can be exchanged for access tokens of Teams users. Default: none.
    pub teams_tokens: Vec<TeamsToken>,

    /// Accepts bearer tokens of Microsoft Entra ID beside signatures. Default: `None`, bearer tokens are rejected.
    pub entra: Option<EntraOptions>,

    /// Host names, without a port, that requests may carry in `Host` beside loopback names. Default: none.
    pub allowed_hosts: Vec<String>,

    /// Whether [`serve`](crate::Emulator::serve) also serves the control API below `/_emulator/`. Default: `false`, since
    /// the control API needs no credential and returns access keys.
    pub control_api: bool,
}

/// # Panics
///
/// When the operating system provides no random bytes.
impl Default for Options {
    fn default() -> Self {
        Self {
            access_keys: [AccessKey::generate(), AccessKey::generate()],
            resource_id: random_uuid(),
            clock: Clock::default(),
            clock_skew: Duration::from_secs(15 * 60),
            max_identities: 100_000,
            teams_tokens: Vec::new(),
            entra: None,
            allowed_hosts: Vec::new(),
            control_api: false,
        }
    }
}

/// A random (version 4) UUID.
pub(crate) fn random_uuid() -> Uuid {
    Builder::from_random_bytes(random_bytes()).into_uuid()
}

/// The clock an emulator uses for dates of requests and lifetimes of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Clock {
    /// The system clock plus an offset.
    Running {
        /// The offset in seconds; negative is behind the system clock.
        ahead: i64,
    },
    /// A clock that does not move until it is set.
    Stopped {
        /// The time, in seconds since 1970.
        at: u64,
    },
}

/// The system clock.
impl Default for Clock {
    fn default() -> Self {
        Self::Running { ahead: 0 }
    }
}

impl Clock {
    /// The time of this clock; `system` is the system time, in seconds since 1970.
    pub(crate) fn now(self, system: u64) -> u64 {
        let time = match self {
            Self::Running { ahead } => system.saturating_add_signed(ahead),
            Self::Stopped { at } => at,
        };
        time.min(MAX_UNIX_SECONDS)
    }

    pub(crate) fn advanced(self, seconds: u64) -> Self {
        match self {
            Self::Running { ahead } => Self::Running { ahead: ahead.saturating_add_unsigned(seconds) },
            Self::Stopped { at } => Self::Stopped { at: at.saturating_add(seconds) },
        }
    }
}

/// An issuer of bearer tokens that takes the place of Microsoft Entra ID.
///
/// Real Entra tokens are signed with RSA keys that the service downloads; this issuer signs with HS256 and a shared key.
#[derive(Debug, Clone)]
pub struct EntraOptions {
    /// The claim `iss` of its tokens.
    pub issuer: String,
    /// The HS256 key: the bytes that the text of this access key decodes to.
    pub signing_key: AccessKey,
    /// The object ids (claim `oid`) of identities with a role that allows every operation. Others receive 403.
    pub owners: Vec<String>,
}

/// A Microsoft Entra token of a Teams user that can be exchanged for an access token.
#[derive(Clone)]
pub struct TeamsToken {
    /// The token: any text that is not empty.
    pub token: String,
    /// The id of the application it was issued to (claim `appid`).
    pub app_id: String,
    /// The object id of the user (claim `oid`).
    pub user_id: String,
    /// The expiry of this token and of the access token it is exchanged for, in seconds since 1970.
    pub expires_at: u64,
}

/// Hides the token.
impl fmt::Debug for TeamsToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token: _, app_id, user_id, expires_at } = self;
        let mut text = f.debug_struct("TeamsToken");
        text.field("app_id", app_id).field("user_id", user_id).field("expires_at", expires_at);
        text.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_clock_follows_the_system_and_a_stopped_one_does_not() {
        let (running, stopped) = (Clock::Running { ahead: -10 }, Clock::Stopped { at: 50 });
        assert_eq!([running.now(100), running.now(101), running.advanced(60).now(101)], [90, 91, 151]);
        assert_eq!([stopped.now(100), stopped.advanced(60).now(101)], [50, 110]);
    }

    #[test]
    fn no_clock_exceeds_the_last_date() {
        let extremes = [Clock::Running { ahead: i64::MAX }, Clock::Stopped { at: u64::MAX }];
        for clock in extremes.map(|clock| clock.advanced(u64::MAX)) {
            assert_eq!(clock.now(u64::MAX), MAX_UNIX_SECONDS);
        }
    }

    #[test]
    fn debug_hides_a_teams_token() {
        let [token, app_id, user_id] = ["hush", "app", "oid"].map(str::to_owned);
        let printed = format!("{:?}", TeamsToken { token, app_id, user_id, expires_at: 1 });
        assert!(!printed.contains("hush") && printed.contains("app"));
    }
}
