//! The streams of the log, and where each of them is stored.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::position::{PartNumber, parse_part_file_name, part_file_name};

/// The prefix of the streams of everyone and of rooms.
pub(super) const ROOMS: &str = "rooms/";
/// The prefix of the streams of people.
pub(super) const PEOPLE: &str = "people/";
/// The prefix of the lists of removed messages.
pub(super) const REMOVED: &str = "removed/";
/// The name that is stored for the messages to everyone. No room has it.
const EVERYONE: &str = "everyone";
const MAX_ROOM_CHARS: usize = 64;

/// A sequence of lines: what is said to everyone, in a room or to a person.
///
/// Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stream(Arc<str>);

impl Stream {
    /// The messages to everyone.
    pub(crate) fn everyone() -> Self {
        Self(format!("{ROOMS}{EVERYONE}/").into())
    }

    /// The messages in a room, whose name is compared ignoring case; `None` if no room can have this name.
    pub(crate) fn room(name: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_name = (1..=MAX_ROOM_CHARS).contains(&name.len()) && name.bytes().all(is_allowed);
        let name = name.to_ascii_lowercase();
        (is_name && name != EVERYONE).then(|| Self(format!("{ROOMS}{name}/").into()))
    }

    /// The private messages that the user with exactly this id has sent and received. The name of the stream does not contain the id.
    pub(crate) fn person(user_id: &str) -> Self {
        let mut prefix = PEOPLE.to_owned();
        for byte in Sha256::digest(user_id) {
            let _ = write!(prefix, "{byte:02x}");
        }
        prefix.push('/');
        Self(prefix.into())
    }

    /// The name of the list of removed messages of this room, or to everyone; `None` for a person's stream, of which none can be removed.
    pub(crate) fn removals_name(&self) -> Option<String> {
        let room = self.0.strip_prefix(ROOMS)?.strip_suffix('/')?;
        Some(format!("{REMOVED}{room}.jsonl"))
    }

    /// The beginning of the names of all its parts; it ends with `/`.
    pub(crate) fn prefix(&self) -> &str {
        &self.0
    }

    /// The name of the blob or file of a part.
    #[allow(dead_code, reason = "for the store in append blobs")]
    pub(crate) fn part_name(&self, part: PartNumber) -> String {
        format!("{}{}", self.0, part_file_name(part))
    }

    /// The number of the part with this name; `None` for blobs that are no parts of this stream.
    #[allow(dead_code, reason = "for the store in append blobs")]
    pub(crate) fn parse_part_name(&self, name: &str) -> Option<PartNumber> {
        parse_part_file_name(name.strip_prefix(&*self.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_has_a_prefix_of_its_own() {
        assert_eq!(Stream::everyone().prefix(), "rooms/everyone/");
        assert_eq!(Stream::room("Tea_Room-1").unwrap().prefix(), "rooms/tea_room-1/");
        assert_eq!(Stream::room("Tea").unwrap().removals_name().unwrap(), "removed/tea.jsonl");
        assert_eq!(Stream::everyone().removals_name().unwrap(), "removed/everyone.jsonl");
        let ann = Stream::person("ann");
        assert_eq!(ann.prefix(), "people/49915e0d7d4b402e3017d010bc1c0e83cac6c797d6c16e66340fe3268693a6a1/");
        assert_ne!(ann, Stream::person("Ann"));
        assert_eq!(ann.removals_name(), None);
    }

    #[test]
    fn a_room_is_never_the_stream_of_everyone_or_a_path() {
        let long = "r".repeat(65);
        for name in ["", "everyone", "Everyone", "..", "a/b", "a\\b", "é", "a b", "a.b", &long] {
            assert_eq!(Stream::room(name), None, "{name:?}");
        }
    }

    #[test]
    fn only_parts_of_the_stream_are_recognized() {
        let room = Stream::room("tea").unwrap();
        assert_eq!(room.part_name(17), "rooms/tea/00000017.jsonl");
        assert_eq!(room.parse_part_name("rooms/tea/00000017.jsonl"), Some(17));
        for name in ["rooms/tea2/00000017.jsonl", "rooms/tea/x/00000017.jsonl", "rooms/tea/.lock", "00000017.jsonl"] {
            assert_eq!(room.parse_part_name(name), None, "{name}");
        }
    }
}
