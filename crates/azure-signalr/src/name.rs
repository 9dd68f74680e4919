//! The names of hubs and groups, and the ids of users and connections.
//!
//! Hub names compare without case and are sent in lower case; all others are taken exactly as they are.

use std::fmt;
use std::str::FromStr;

/// The name of a hub, in lower case.
///
/// Up to 128 characters: a letter, then letters, digits and ``_`,.[]``.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HubName(String);

impl HubName {
    /// The name as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HubName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() <= 128
            && text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "_`,.[]".contains(c));
        valid.then(|| Self(text.to_ascii_lowercase())).ok_or(NameError::Hub)
    }
}

/// The id of a user: as the identity provider gives it, and as the service addresses the user.
///
/// Any text that can be a path segment, so not `.` and `..`: URLs drop them, encoded or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// The longest user id, in bytes: its access token then stays under the service's 4,096 characters.
    pub const MAX_BYTES: usize = 1_024;

    /// The id as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() <= Self::MAX_BYTES && is_path_segment(text);
        valid.then(|| Self(text.to_owned())).ok_or(NameError::User)
    }
}

/// The name of a group of connections, in the letter case in which it is written.
///
/// Up to 1,024 characters without control characters, not only white space, and not `.` or `..`, which URLs drop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupName(String);

impl GroupName {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GroupName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.chars().count() <= 1_024 && is_path_segment(text);
        valid.then(|| Self(text.to_owned())).ok_or(NameError::Group)
    }
}

/// The id of a connection: as the service gives it to the client, in the same letter case.
///
/// It is opaque: 1 to 256 visible ASCII characters, and not `.` or `..`, which URLs drop. A caller who has it can put the connection
/// into groups, so its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ConnectionId(String);

impl ConnectionId {
    /// The longest id, in bytes. Those of the service have about 30.
    pub const MAX_BYTES: usize = 256;

    /// The id as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConnectionId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        let valid = text.len() <= Self::MAX_BYTES && is_visible && is_path_segment(text);
        valid.then(|| Self(text.to_owned())).ok_or(NameError::Connection)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionId(***)")
    }
}

/// Whether `text` can be a segment of a path.
fn is_path_segment(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains(|c: char| c.is_control()) && !matches!(text, "." | "..")
}

/// Why a text is not a valid name or id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not a hub name.
    #[error("a hub name is a letter, then up to 127 letters, digits and any of _`,.[]")]
    Hub,
    /// Not a user id.
    #[error("a user id is 1 to 1,024 bytes of text without control characters, and not only spaces, `.` or `..`")]
    User,
    /// Not the name of a group.
    #[error("a group name is 1 to 1,024 characters without control characters, and not only white space, `.` or `..`")]
    Group,
    /// Not the id of a connection.
    #[error("a connection id is 1 to 256 visible ASCII characters, and not `.` or `..`")]
    Connection,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_names_are_lower_cased_and_checked() {
        assert_eq!("Chat.v2".parse::<HubName>().unwrap().as_str(), "chat.v2");
        for wrong in ["", "1abc", "a-b", "a/b", "ä", &"a".repeat(129)] {
            assert_eq!(wrong.parse::<HubName>(), Err(NameError::Hub), "{wrong}");
        }
    }

    #[test]
    fn user_ids_keep_their_case_and_their_slashes() {
        assert_eq!("Ann/B ö".parse::<UserId>().unwrap().as_str(), "Ann/B ö");
        for wrong in ["", "  ", "a\nb", ".", "..", &"a".repeat(1_025)] {
            assert_eq!(wrong.parse::<UserId>(), Err(NameError::User), "{wrong:?}");
        }
    }

    #[test]
    fn group_names_keep_their_case_and_their_characters() {
        let longest = "ä".repeat(1_024);
        for name in ["room:games", "A/b c", &longest] {
            assert_eq!(name.parse::<GroupName>().unwrap().as_str(), name);
        }
        for wrong in ["", "  ", "a\nb", ".", "..", &"a".repeat(1_025)] {
            assert_eq!(wrong.parse::<GroupName>(), Err(NameError::Group), "{wrong:?}");
        }
    }

    #[test]
    fn connection_ids_are_opaque_and_not_printed() {
        let longest = "a".repeat(256);
        for id in ["Ab-_9", "a/b+c=", "%2e", &longest] {
            let parsed = id.parse::<ConnectionId>().unwrap();
            assert_eq!((parsed.as_str(), format!("{parsed:?}").as_str()), (id, "ConnectionId(***)"));
        }
        for wrong in ["", " ", "a b", "a\tb", "ä", ".", "..", &"a".repeat(257)] {
            assert_eq!(wrong.parse::<ConnectionId>(), Err(NameError::Connection), "{wrong:?}");
        }
    }
}
