//! The parameters of the calls, each checked when it is made: users, scopes, lifetimes, tokens of Microsoft Entra ID.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use azure_http::Secret;
use serde::Serialize;

/// The id of a user of Azure Communication Services: an opaque text the service has made, like `8:acs:…`.
///
/// It stands for a person, so it is personal data: its `Debug` form is always `UserId(***)`, and it has no `Display`. Its parts are in no
/// contract, so it is stored, compared and sent as a whole.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// Three times what the service makes.
    const MAX_BYTES: usize = 256;

    /// The id as the service writes it, to be stored or sent to its owner, not to be logged.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = ValueError;

    /// URLs drop `.` and `..`, encoded or not, so no request could be made for them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = (1..=Self::MAX_BYTES).contains(&text.len())
            && !text.contains(|c: char| c.is_control() || c.is_whitespace())
            && !matches!(text, "." | "..");
        valid.then(|| Self(text.to_owned())).ok_or(ValueError::UserId)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(***)")
    }
}

/// Something an access token allows. The service decides which scopes exist, so any text of their form can be parsed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Scope(Cow<'static, str>);

impl Scope {
    /// All of chat.
    pub const CHAT: Self = Self(Cow::Borrowed("chat"));
    /// Chat, without creating, changing and deleting threads.
    pub const CHAT_JOIN: Self = Self(Cow::Borrowed("chat.join"));
    /// As `CHAT_JOIN`, without adding and removing participants: for guests.
    pub const CHAT_JOIN_LIMITED: Self = Self(Cow::Borrowed("chat.join.limited"));
    /// To start calls and to join them.
    pub const VOIP: Self = Self(Cow::Borrowed("voip"));
    /// To join calls that are running, and to start those of a room the user was invited to.
    pub const VOIP_JOIN: Self = Self(Cow::Borrowed("voip.join"));

    const MAX_BYTES: usize = 64;

    /// The name as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = (1..=Self::MAX_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        valid.then(|| Self(Cow::Owned(text.to_owned()))).ok_or(ValueError::Scope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long an access token is valid: 60 to 1440 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Lifetime(u16);

impl Lifetime {
    /// One hour.
    pub const MIN: Self = Self(60);
    /// One day, which is also the service's default.
    pub const MAX: Self = Self(1_440);

    /// A lifetime of so many minutes.
    ///
    /// # Errors
    ///
    /// When that is under an hour or over a day.
    pub const fn from_minutes(minutes: u16) -> Result<Self, ValueError> {
        if minutes < Self::MIN.0 || minutes > Self::MAX.0 {
            return Err(ValueError::Lifetime);
        }
        Ok(Self(minutes))
    }

    /// The lifetime in minutes.
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

/// What an access token is to allow, at least one scope, and for how long.
///
/// ```
/// use azure_communication::{Grant, Lifetime, Scope};
///
/// let guest = Grant::new([Scope::CHAT_JOIN_LIMITED, Scope::VOIP_JOIN]).expect("two scopes");
/// let guest = guest.with_lifetime(Lifetime::MIN);
/// assert_eq!(Grant::new([]), None);
/// # let _ = guest;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    scopes: Vec<Scope>,
    lifetime: Option<Lifetime>,
}

impl Grant {
    /// These scopes, each of them once, for a day; `None` if there are none.
    #[must_use]
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Option<Self> {
        let mut distinct = Vec::new();
        for scope in scopes {
            if !distinct.contains(&scope) {
                distinct.push(scope);
            }
        }
        (!distinct.is_empty()).then_some(Self { scopes: distinct, lifetime: None })
    }

    /// The same scopes for another lifetime.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// What is allowed.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// For how long, if it is not the service's default.
    pub fn lifetime(&self) -> Option<Lifetime> {
        self.lifetime
    }
}

impl From<Scope> for Grant {
    fn from(scope: Scope) -> Self {
        Self { scopes: vec![scope], lifetime: None }
    }
}

/// A token of Microsoft Entra ID. It cannot be printed.
#[derive(Clone, Debug)]
pub struct EntraToken(pub(crate) Secret);

impl EntraToken {
    /// The common limit for all headers of a request.
    const MAX_BYTES: usize = 16_384;
}

impl FromStr for EntraToken {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        valid.then(|| Self(Secret::new(text))).ok_or(ValueError::EntraToken)
    }
}

/// A user who has signed in to Teams, whose token is exchanged. Its `Debug` form shows nothing.
#[derive(Clone, Copy)]
pub struct TeamsUser<'a> {
    /// The token the user has for the app, with the permissions `Teams.ManageCalls` and `Teams.ManageChats`.
    pub token: &'a EntraToken,
    /// The app's client id.
    pub app_id: &'a str,
    /// The user's object id in the tenant.
    pub user_id: &'a str,
}

impl fmt::Debug for TeamsUser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TeamsUser(***)")
    }
}

/// Why a text or number is not a parameter of the service. It does not repeat the value, which may be secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Not a [`UserId`].
    #[error("a user id is 1 to 256 bytes of text without spaces or control characters, and not `.` or `..`")]
    UserId,
    /// Not a [`Scope`].
    #[error("a scope is 1 to 64 ASCII letters, digits and any of .-_, like `chat` or `voip.join`")]
    Scope,
    /// Not a [`Lifetime`].
    #[error("an access token lives from 60 to 1440 minutes")]
    Lifetime,
    /// Not an [`EntraToken`].
    #[error("a Microsoft Entra token is 1 to 16,384 visible ASCII characters")]
    EntraToken,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_as_it_is_and_does_not_print() {
        let id: UserId = "8:acs:2dee53b4_0000/ö".parse().unwrap();
        assert_eq!((id.as_str(), format!("{id:?}").as_str()), ("8:acs:2dee53b4_0000/ö", "UserId(***)"));
    }

    #[test]
    fn what_cannot_be_in_an_address_is_no_id() {
        for wrong in ["", " ", "a b", "a\nb", "a\u{a0}b", ".", "..", &"a".repeat(257)] {
            assert_eq!(wrong.parse::<UserId>(), Err(ValueError::UserId), "{wrong:?}");
        }
        "a".repeat(256).parse::<UserId>().unwrap();
    }

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
    fn a_scope_need_not_be_a_known_one() {
        assert_eq!("voip.join".parse(), Ok(Scope::VOIP_JOIN));
        assert_eq!("rooms.host".parse::<Scope>().unwrap().as_str(), "rooms.host");
        for wrong in ["", "chat voip", "chat,voip", "\"", "ä", &"a".repeat(65)] {
            assert_eq!(wrong.parse::<Scope>(), Err(ValueError::Scope), "{wrong}");
        }
    }

    #[test]
    fn a_grant_has_each_scope_once_and_one_at_least() {
        let grant = Grant::new([Scope::VOIP, "chat".parse().unwrap(), Scope::VOIP, Scope::CHAT]).unwrap();
        assert_eq!(grant.scopes(), [Scope::VOIP, Scope::CHAT]);
        assert_eq!(Grant::new([Scope::CHAT]), Some(Scope::CHAT.into()));
        assert_eq!(Grant::new([]), None);
    }

    #[test]
    fn a_token_is_what_fits_into_a_header_and_does_not_print() {
        let token: EntraToken = "hush.hush-hush_hush".parse().unwrap();
        assert!(!format!("{token:?}").contains("hush"));
        for wrong in ["", "a b", "a\r\nb", "ä", &"a".repeat(16_385)] {
            assert_eq!(wrong.parse::<EntraToken>().unwrap_err(), ValueError::EntraToken);
        }
    }
}
