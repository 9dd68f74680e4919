//! Which rooms there are, and who may use them.
//!
//! Every room is open to everyone who may chat: guests too, where they may chat. Where rooms can have any name, a user begins one by
//! entering or writing to it. Guests use only rooms that are known and begin none, or they could fill the list of rooms.

use std::sync::Arc;

use super::RoomName;
use crate::auth::Caller;
use crate::config::AllowedRooms;
use crate::error::Error;

/// The rooms of the chat. Clones share them.
#[derive(Clone)]
pub(crate) struct Directory(Arc<AllowedRooms>);

impl Directory {
    pub(crate) fn new(allowed: AllowedRooms) -> Self {
        Self(Arc::new(allowed))
    }

    /// What the settings allow.
    pub(crate) fn allowed(&self) -> &AllowedRooms {
        &self.0
    }

    /// The rooms that are known: those in the settings. This is the only place where the list comes from. Where rooms can have any name, no
    /// part of the app remembers those that were begun, so it is empty.
    ///
    /// # Errors
    ///
    /// None so far.
    pub(crate) async fn known(&self) -> Result<Vec<RoomName>, Error> {
        match &*self.0 {
            AllowedRooms::Any => Ok(Vec::new()),
            AllowedRooms::Listed(rooms) => Ok(rooms.clone()),
        }
    }

    /// Checks that `caller` may enter `room`, write to it, and see who is there. `everyone` is open to all callers.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownRoom`]
    pub(crate) async fn check(&self, room: &RoomName, caller: &Caller) -> Result<(), Error> {
        let is_open = match (&*self.0, caller) {
            _ if room.is_everyone() => true,
            (AllowedRooms::Listed(rooms), _) => rooms.contains(room),
            (AllowedRooms::Any, Caller::User(_)) => true,
            (AllowedRooms::Any, Caller::Anonymous) => self.known().await?.contains(room),
        };
        if is_open { Ok(()) } else { Err(Error::UnknownRoom) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomName {
        RoomName::or_everyone(name).unwrap()
    }

    #[tokio::test]
    async fn users_and_guests_use_the_rooms_that_the_settings_allow() {
        let user = Caller::User("ann".parse().unwrap());
        let listed = || AllowedRooms::Listed(vec![room("games")]);
        for (allowed, caller, name, expected) in [
            (listed(), &user, "games", true),
            (listed(), &user, "Games", true),
            (listed(), &user, "other", false),
            (listed(), &user, "everyone", true),
            (listed(), &Caller::Anonymous, "games", true),
            (listed(), &Caller::Anonymous, "other", false),
            (listed(), &Caller::Anonymous, "everyone", true),
            (AllowedRooms::Any, &user, "games", true),
            (AllowedRooms::Any, &user, "everyone", true),
            (AllowedRooms::Any, &Caller::Anonymous, "games", false),
            (AllowedRooms::Any, &Caller::Anonymous, "everyone", true),
            (AllowedRooms::Listed(Vec::new()), &user, "games", false),
            (AllowedRooms::Listed(Vec::new()), &user, "everyone", true),
        ] {
            let is_open = Directory::new(allowed.clone()).check(&room(name), caller).await.is_ok();
            assert_eq!(is_open, expected, "{allowed:?} {caller:?} {name}");
        }
    }

    #[tokio::test]
    async fn the_rooms_of_the_settings_are_known() {
        let rooms = vec![room("b"), room("a")];
        assert_eq!(Directory::new(AllowedRooms::Listed(rooms.clone())).known().await.unwrap(), rooms);
        assert!(Directory::new(AllowedRooms::Any).known().await.unwrap().is_empty());
    }
}
