//! The names of hubs and the ids of users.
//!
//! Hub names compare without case and are sent in lower case; user ids are taken exactly as they are.

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
        let valid = text.len() <= Self::MAX_BYTES
            && !text.trim().is_empty()
            && !text.contains(|c: char| c.is_control())
            && !matches!(text, "." | "..");
        valid.then(|| Self(text.to_owned())).ok_or(NameError::User)
    }
}

/// Why a text is not a valid name of a hub or user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not a hub name.
    #[error("a hub name is a letter, then up to 127 letters, digits and any of _`,.[]")]
    Hub,
    /// Not a user id.
    #[error("a user id is 1 to 1,024 bytes of text without control characters, and not only spaces, `.` or `..`")]
    User,
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
}
