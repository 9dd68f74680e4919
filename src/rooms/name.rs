//! The names of rooms, and the groups of the SignalR service that belong to them.

use std::fmt;
use std::str::FromStr;

use azure_signalr::GroupName;
use serde::{Serialize, Serializer};

use crate::history::Stream;

/// The group of a room is this and the room's name.
const GROUP_PREFIX: &str = "room:";
/// The group of the people outside of rooms. No room has this name.
const EVERYONE: &str = "everyone";
const MAX_CHARS: usize = 64;

/// The name of a room, in lower case: 1 to 64 of `a-z0-9_-`. Names are compared ignoring letter case, and `everyone` is none.
///
/// Inside of the handler, one value is `everyone`: pages enter it as they enter a room, to see who is here.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RoomName(GroupName);

/// Why a text is not the name of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomNameError {
    /// The text has other characters, none, or too many.
    #[error("must be 1 to 64 of A-Z, a-z, 0-9, _ and -")]
    Malformed,
    /// The text is `everyone`, in any letter case.
    #[error("must not be `everyone`, which is reserved")]
    Reserved,
}

impl RoomName {
    /// The name of a room, or `everyone`.
    ///
    /// # Errors
    ///
    /// [`RoomNameError::Malformed`].
    pub(crate) fn or_everyone(text: &str) -> Result<Self, RoomNameError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !(1..=MAX_CHARS).contains(&text.len()) || !text.bytes().all(is_plain) {
            return Err(RoomNameError::Malformed);
        }
        let group = [GROUP_PREFIX, &text.to_ascii_lowercase()].concat();
        group.parse().map(Self).map_err(|_| RoomNameError::Malformed)
    }

    /// The name as it is shown and compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.as_str()[GROUP_PREFIX.len()..]
    }

    pub(crate) fn is_everyone(&self) -> bool {
        self.as_str() == EVERYONE
    }

    /// What is said in the room, or to everyone.
    pub(crate) fn stream(&self) -> Stream {
        Stream::room(self.as_str()).unwrap_or_else(Stream::everyone)
    }

    /// The group of the connections that have entered the room.
    pub(crate) fn group(&self) -> &GroupName {
        &self.0
    }
}

impl FromStr for RoomName {
    type Err = RoomNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = Self::or_everyone(text)?;
        if name.is_everyone() { Err(RoomNameError::Reserved) } else { Ok(name) }
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RoomName").field(&self.as_str()).finish()
    }
}

impl Serialize for RoomName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_in_lower_case_and_so_is_its_group() {
        let longest = "A".repeat(64);
        for (text, expected) in
            [("games", "games"), ("Games", "games"), ("a", "a"), ("-_9", "-_9"), (&longest, &"a".repeat(64))]
        {
            let name: RoomName = text.parse().unwrap();
            assert_eq!((name.as_str(), name.group().as_str()), (expected, format!("room:{expected}").as_str()));
            assert_eq!(name.stream().prefix(), format!("rooms/{expected}/"));
            assert_eq!(Ok(name), RoomName::or_everyone(text));
        }
    }

    #[test]
    fn what_is_no_name_is_malformed() {
        let long = "a".repeat(65);
        for text in ["", " ", "a b", " games", "games ", "a/b", "a.b", "..", "ä", "a\n", "a:b", "*", "games,b", &long]
        {
            assert_eq!(text.parse::<RoomName>(), Err(RoomNameError::Malformed), "{text:?}");
            assert_eq!(RoomName::or_everyone(text), Err(RoomNameError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn everyone_is_reserved_in_any_letter_case() {
        for text in ["everyone", "Everyone", "EVERYONE"] {
            assert_eq!(text.parse::<RoomName>(), Err(RoomNameError::Reserved), "{text}");
            let everyone = RoomName::or_everyone(text).unwrap();
            assert_eq!((everyone.is_everyone(), everyone.group().as_str()), (true, "room:everyone"));
            assert_eq!(everyone.stream(), Stream::everyone());
        }
        assert!(!RoomName::or_everyone("everyone-else").unwrap().is_everyone());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error(text: String) {
            if let Ok(name) = RoomName::or_everyone(&text) {
                proptest::prop_assert!(name.as_str().eq_ignore_ascii_case(&text));
            }
        }
    }
}
