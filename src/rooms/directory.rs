//! Which rooms there are, and who may use them.
//!
//! Every room is open to everyone who may chat: guests too, where they may chat. Where rooms can have any name, a user begins one by
//! entering or writing to it. Guests use only rooms that are known and begin none, or they could fill the list of rooms.

use std::sync::Arc;

use tokio::time::Instant;

use super::RoomName;
use super::known_rooms::KnownRooms;
use crate::auth::Caller;
use crate::config::AllowedRooms;
use crate::error::Error;
use crate::history::HistoryLog;

/// The rooms of the chat. Clones share them.
#[derive(Clone)]
pub(crate) struct Directory {
    allowed: Arc<AllowedRooms>,
    /// Those that have messages, where there is a history.
    begun: Option<KnownRooms>,
}

impl Directory {
    pub(crate) fn new(allowed: AllowedRooms, history: Option<HistoryLog>) -> Self {
        Self { allowed: Arc::new(allowed), begun: history.map(KnownRooms::new) }
    }

    /// What the settings allow.
    pub(crate) fn allowed(&self) -> &AllowedRooms {
        &self.allowed
    }

    /// The rooms that are known: those in the settings. Where rooms can have any name, those that have messages, as they were up to 30
    /// seconds ago; without a history, nothing remembers those that were begun, so there is none.
    ///
    /// # Errors
    ///
    /// [`Error::HistoryUnavailable`].
    pub(crate) async fn known(&self) -> Result<Arc<[RoomName]>, Error> {
        match (&*self.allowed, &self.begun) {
            (AllowedRooms::Listed(rooms), _) => Ok(rooms.as_slice().into()),
            (AllowedRooms::Any, Some(begun)) => Ok(begun.get(Instant::now()).await?),
            (AllowedRooms::Any, None) => Ok(Arc::default()),
        }
    }

    /// Checks that `caller` may enter `room`, write to it, and see who is there. `everyone` is open to all callers.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownRoom`], and [`Error::HistoryUnavailable`] where a guest's room has to be looked up.
    pub(crate) async fn check(&self, room: &RoomName, caller: &Caller) -> Result<(), Error> {
        let is_open = match (&*self.allowed, caller) {
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
            let is_open = Directory::new(allowed.clone(), None).check(&room(name), caller).await.is_ok();
            assert_eq!(is_open, expected, "{allowed:?} {caller:?} {name}");
        }
    }

    #[tokio::test]
    async fn the_rooms_of_the_settings_are_known() {
        let rooms = vec![room("b"), room("a")];
        let listed = Directory::new(AllowedRooms::Listed(rooms.clone()), None);
        assert_eq!(*listed.known().await.unwrap(), rooms);
        assert!(Directory::new(AllowedRooms::Any, None).known().await.unwrap().is_empty());
    }
}
