//! The rooms that have messages, from the history. Pages ask for them again and again, so they are listed once for all and kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::RoomName;
use crate::history::{HistoryError, HistoryLog, SharedReads};

const KEPT: Duration = Duration::from_secs(30);
/// The most rooms in the list.
const MAX_ROOMS: usize = 1_000;

/// The rooms of a history. Clones share what is kept.
#[derive(Clone, Debug)]
pub(super) struct KnownRooms(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: HistoryLog,
    kept: Mutex<Option<(Instant, Arc<[RoomName]>)>>,
    listings: SharedReads<(), Result<Arc<[RoomName]>, HistoryError>>,
}

impl KnownRooms {
    pub(super) fn new(log: HistoryLog) -> Self {
        Self(Arc::new(Inner { log, kept: Mutex::default(), listings: SharedReads::default() }))
    }

    /// The rooms as they were up to 30 seconds before `now`, at most 1,000, without everyone.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Unavailable`].
    pub(super) async fn get(&self, now: Instant) -> Result<Arc<[RoomName]>, HistoryError> {
        if let Some(rooms) = self.kept(now) {
            return Ok(rooms);
        }
        let list = async {
            // With one more, for everyone.
            let names = self.0.log.rooms(MAX_ROOMS + 1).await?;
            let rooms = names.iter().filter_map(|name| name.parse::<RoomName>().ok()).take(MAX_ROOMS);
            let rooms: Arc<[_]> = rooms.collect();
            *self.0.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, rooms.clone()));
            Ok(rooms)
        };
        self.0.listings.get((), list).await
    }

    fn kept(&self, now: Instant) -> Option<Arc<[RoomName]>> {
        // Poisoning is ignored: no update can panic halfway.
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(at, _)| now.saturating_duration_since(*at) < KEPT).map(|(_, rooms)| rooms.clone())
    }
}
