//! The setting of the rooms there are.

use serde::{Serialize, Serializer};

use super::{ConfigError, Env, ROOMS};
use crate::rooms::{RoomName, RoomNameError};

/// The setting's value for rooms of any name.
const ANY: &str = "*";
const MAX_ROOMS: usize = 1_000;

const RULE: &str = "must be names of rooms separated by commas, such as games,support: each 1 to 64 of A-Z, a-z, 0-9, _ and -, at most 1000; \
                    or * alone for any name";
const RESERVED: &str = "must not list `everyone`, which is reserved: people outside of rooms always write to everyone";
const OWN_NAME: &str = "is its own name; set it to names of rooms separated by commas, or to * for any name";

/// Which rooms people may enter. Everyone outside of rooms can always be reached.
///
/// Serialises to a list of names, or `"*"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedRooms {
    /// Those with any name: a user begins one by entering it.
    Any,
    /// These, in the order of the setting, each once.
    Listed(Vec<RoomName>),
}

impl Serialize for AllowedRooms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str(ANY),
            Self::Listed(rooms) => rooms.serialize(serializer),
        }
    }
}

/// Reads the rooms. Behind a host there are none by default: a deployment lists those that its operator wants.
pub(super) fn read(env: &Env) -> Result<AllowedRooms, ConfigError> {
    match env.get(ROOMS) {
        None if env.is_behind_host() => Ok(AllowedRooms::Listed(Vec::new())),
        None | Some(ANY) => Ok(AllowedRooms::Any),
        Some(text) => parse(text).map(AllowedRooms::Listed).map_err(|rule| ConfigError::new(ROOMS, rule)),
    }
}

fn parse(text: &str) -> Result<Vec<RoomName>, &'static str> {
    if text.eq_ignore_ascii_case(ROOMS) {
        return Err(OWN_NAME);
    }
    let mut rooms = Vec::new();
    for name in text.split(',') {
        let room = name.trim().parse().map_err(|error| match error {
            RoomNameError::Malformed => RULE,
            RoomNameError::Reserved => RESERVED,
        })?;
        if !rooms.contains(&room) {
            rooms.push(room);
        }
        if rooms.len() > MAX_ROOMS {
            return Err(RULE);
        }
    }
    Ok(rooms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HOST_PORT;
    use crate::config::SIGNALR;
    use crate::config::tests::{KEY, problems, read};

    fn listed(names: &[&str]) -> AllowedRooms {
        AllowedRooms::Listed(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn rooms_are_listed_in_lower_case_each_once_or_have_any_name() {
        for (value, expected) in [
            ("games", listed(&["games"])),
            ("Games, support ,GAMES", listed(&["games", "support"])),
            ("everyone-else,any_1", listed(&["everyone-else", "any_1"])),
            ("*", AllowedRooms::Any),
            (" * ", AllowedRooms::Any),
        ] {
            assert_eq!(read(&[(ROOMS, value)]).unwrap().rooms, expected, "{value}");
        }
    }

    #[test]
    fn without_the_setting_any_room_can_be_entered_locally_and_none_behind_a_host() {
        for value in ["", "  "] {
            assert_eq!(read(&[(ROOMS, value)]).unwrap().rooms, AllowedRooms::Any);
            let behind_host = [(ROOMS, value), (HOST_PORT, "1"), (SIGNALR, KEY)];
            assert_eq!(read(&behind_host).unwrap().rooms, listed(&[]));
        }
        let behind_host = [(ROOMS, "*"), (HOST_PORT, "1"), (SIGNALR, KEY)];
        assert_eq!(read(&behind_host).unwrap().rooms, AllowedRooms::Any);
    }

    #[test]
    fn what_is_no_list_of_names_is_a_problem() {
        let many = (0..=MAX_ROOMS).map(|number| format!("hush{number}")).collect::<Vec<_>>().join(",");
        for value in [
            "hush,",
            ",hush",
            "hush,,b",
            "hush b",
            "hush;b",
            "hush/b",
            "*,hush",
            "hush,*",
            "**",
            "\"hush\"",
            "'hush'",
            "hüsh",
            "%ChatRooms%",
            "\u{feff}hush",
            "@Microsoft.KeyVault(SecretUri=https://hush)",
            &"hush".repeat(17),
            "everyone",
            "hush,Everyone",
            "ChatRooms",
            "chatrooms",
            &many,
        ] {
            assert_eq!(problems(&[(ROOMS, value)]), [ROOMS], "{value}");
        }
        for (value, word) in [("everyone", "reserved"), ("ChatRooms", "own name")] {
            assert!(read(&[(ROOMS, value)]).unwrap_err().problems[0].reason.contains(word), "{value}");
        }
    }

    #[test]
    fn as_many_rooms_as_allowed_can_be_listed() {
        let names = (0..MAX_ROOMS).map(|number| format!("room-{number}")).collect::<Vec<_>>().join(",");
        let AllowedRooms::Listed(rooms) = read(&[(ROOMS, &names)]).unwrap().rooms else { panic!("no list") };
        assert_eq!(rooms.len(), MAX_ROOMS);
    }
}
