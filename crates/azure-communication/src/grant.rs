//! What an access token is to allow, and for how long.
//!
//! The service takes neither a token without a scope nor a lifetime out of bounds; here neither can be written down.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::value_error::ValueError;

/// Something an access token allows. Which scopes there are is up to the service, so any name that looks like one can be parsed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Scope(Cow<'static, str>);

impl Scope {
    /// All of chat.
    pub const CHAT: Self = Self(Cow::Borrowed("chat"));
    /// Chat, but neither to create nor to change nor to delete threads.
    pub const CHAT_JOIN: Self = Self(Cow::Borrowed("chat.join"));
    /// As `CHAT_JOIN`, and neither to add nor to remove participants: for guests.
    pub const CHAT_JOIN_LIMITED: Self = Self(Cow::Borrowed("chat.join.limited"));
    /// To start calls and to join them.
    pub const VOIP: Self = Self(Cow::Borrowed("voip"));
    /// To join calls that are running, and to start those of a room the user was invited to.
    pub const VOIP_JOIN: Self = Self(Cow::Borrowed("voip.join"));

    /// The name as it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let right = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        right.then(|| Self(Cow::Owned(text.to_owned()))).ok_or(ValueError::Scope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long an access token lives: 60 to 1440 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(u16);

impl Lifetime {
    /// One hour.
    pub const SHORTEST: Self = Self(60);
    /// One day, which is also what the service takes where nothing is said.
    pub const LONGEST: Self = Self(1_440);

    /// So many minutes.
    ///
    /// # Errors
    ///
    /// When that is under an hour or over a day.
    pub const fn from_minutes(minutes: u16) -> Result<Self, ValueError> {
        if minutes < Self::SHORTEST.0 || minutes > Self::LONGEST.0 {
            return Err(ValueError::Lifetime);
        }
        Ok(Self(minutes))
    }

    /// The same as a number of minutes.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

/// What an access token is to allow, at least one thing, and for how long.
///
/// ```
/// use azure_communication::{Grant, Lifetime, Scope};
///
/// let guest = Grant::of([Scope::CHAT_JOIN_LIMITED, Scope::VOIP_JOIN]).expect("two scopes");
/// let guest = guest.lasting(Lifetime::SHORTEST);
/// assert_eq!(Grant::of([]), None);
/// # let _ = guest;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    scopes: Vec<Scope>,
    lifetime: Option<Lifetime>,
}

impl Grant {
    /// These scopes, each of them once; `None` if there are none. It lasts a day unless it is said [how long](Self::lasting).
    #[must_use]
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Option<Self> {
        let mut distinct = Vec::new();
        for scope in scopes {
            if !distinct.contains(&scope) {
                distinct.push(scope);
            }
        }
        (!distinct.is_empty()).then_some(Self { scopes: distinct, lifetime: None })
    }

    /// The same for so long.
    #[must_use]
    pub fn lasting(self, lifetime: Lifetime) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// What is allowed.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// How long, where that was said.
    #[must_use]
    pub fn lifetime(&self) -> Option<Lifetime> {
        self.lifetime
    }
}

impl From<Scope> for Grant {
    fn from(scope: Scope) -> Self {
        Self { scopes: vec![scope], lifetime: None }
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_an_hour_at_least_and_a_day_at_most() {
        for minutes in [60, 61, 1_439, 1_440] {
            assert_eq!(Lifetime::from_minutes(minutes).unwrap().minutes(), minutes);
        }
        for minutes in [0, 1, 59, 1_441, u16::MAX] {
            assert_eq!(Lifetime::from_minutes(minutes), Err(ValueError::Lifetime));
        }
    }

    #[test]
    fn a_scope_may_be_one_we_have_never_heard_of() {
        assert_eq!("voip.join".parse(), Ok(Scope::VOIP_JOIN));
        assert_eq!("rooms.host".parse::<Scope>().unwrap().as_str(), "rooms.host");
        for wrong in ["", "chat voip", "chat,voip", "\"", "ä", &"a".repeat(65)] {
            assert_eq!(wrong.parse::<Scope>(), Err(ValueError::Scope), "{wrong}");
        }
    }

    #[test]
    fn a_grant_has_each_scope_once_and_one_at_least() {
        let grant = Grant::of([Scope::VOIP, "chat".parse().unwrap(), Scope::VOIP, Scope::CHAT]).unwrap();
        assert_eq!(grant.scopes(), [Scope::VOIP, Scope::CHAT]);
        assert_eq!(Grant::of([Scope::CHAT]), Some(Scope::CHAT.into()));
        assert_eq!(Grant::of([]), None);
    }
}
