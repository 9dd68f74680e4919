//! Who is in a room: the lists of the service, shared by all pages that ask at about the same time.
//!
//! Every page that shows who is here asks again and again. So a room has one listing at a time in this process, which all callers wait
//! for, and its result is kept for ten seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::sync::watch;

use super::RoomName;
use crate::error::Error;
use crate::upstream_time::UpstreamTimer;

/// From the begin of a listing.
const KEPT: Duration = Duration::from_secs(10);
/// The same for a listing that failed, so that a service in trouble is not called by every page.
const FAILURE_KEPT: Duration = Duration::from_secs(2);
/// The most rooms whose lists are kept, or being made. Full ones have about 30 KB each.
const MAX_LISTS: usize = 1_000;

/// The JSON of a list, or why there is none.
pub(super) type Outcome = Result<Bytes, azure_signalr::Error>;

/// The lists of members that are kept. Clones share them.
#[derive(Clone, Default)]
pub(super) struct MemberLists(Arc<Mutex<HashMap<RoomName, Listing>>>);

/// A listing that is under way, or its outcome.
#[derive(Clone)]
pub(super) struct Listing {
    started: Instant,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl MemberLists {
    /// The listing of `room` that is under way or kept at `now`; else the one that `start` begins, which goes on even if its caller does
    /// not wait for it.
    ///
    /// # Errors
    ///
    /// Those of `start`, and [`Error::Overloaded`] if the lists of too many rooms are being made.
    pub(super) fn get_or_start<L>(
        &self,
        room: &RoomName,
        now: Instant,
        start: impl FnOnce() -> Result<L, Error>,
    ) -> Result<Listing, Error>
    where
        L: Future<Output = Outcome> + Send + 'static,
    {
        // Poisoning is ignored: no update can panic halfway.
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = lists.get(room).filter(|listing| listing.is_usable(now)) {
            return Ok(listing.clone());
        }
        make_room(&mut lists, now)?;
        let listing = start()?;
        let (sender, outcome) = watch::channel(None);
        tokio::spawn(async move {
            // Fails if the list is not kept any more, and no caller waits for it.
            let _ = sender.send(Some(listing.await));
        });
        let listing = Listing { started: now, outcome };
        lists.insert(room.clone(), listing.clone());
        Ok(listing)
    }
}

/// Removes lists that are no longer usable, or else the oldest that is not being made.
fn make_room(lists: &mut HashMap<RoomName, Listing>, now: Instant) -> Result<(), Error> {
    lists.retain(|_, listing| listing.is_usable(now));
    if lists.len() >= MAX_LISTS {
        let made = lists.iter().filter(|(_, listing)| listing.outcome.borrow().is_some());
        let oldest = made.min_by_key(|(_, listing)| listing.started).map(|(room, _)| room.clone());
        lists.remove(&oldest.ok_or(Error::Overloaded)?);
    }
    Ok(())
}

impl Listing {
    fn is_usable(&self, now: Instant) -> bool {
        // Before the outcome is read: it can be sent in between.
        let is_under_way = self.outcome.has_changed().is_ok();
        let age = now.saturating_duration_since(self.started);
        match &*self.outcome.borrow() {
            None => is_under_way,
            Some(Ok(_)) => age < KEPT,
            Some(Err(_)) => age < FAILURE_KEPT,
        }
    }

    /// The list, as soon as it is there. `timer` measures the wait for it.
    ///
    /// # Errors
    ///
    /// Those of the service; [`Error::Overloaded`] if the listing ended without an outcome, as at the end of the process.
    pub(super) async fn outcome(mut self, timer: &UpstreamTimer) -> Result<Bytes, Error> {
        let kept = self.outcome.borrow().clone();
        let outcome = match kept {
            Some(outcome) => Some(outcome),
            None => {
                timer.measure(self.outcome.wait_for(Option::is_some)).await.ok().and_then(|outcome| outcome.clone())
            }
        };
        Ok(outcome.ok_or(Error::Overloaded)??)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    fn room(name: impl AsRef<str>) -> RoomName {
        name.as_ref().parse().unwrap()
    }

    /// Lists that count how often the service is called.
    #[derive(Clone, Default)]
    struct TestLists {
        lists: MemberLists,
        calls: Arc<AtomicUsize>,
    }

    impl TestLists {
        /// The outcome of a listing by a service that answers at once.
        async fn get(&self, name: &str, now: Instant, answer: Outcome) -> Result<Bytes, Error> {
            let listing = self.lists.get_or_start(&room(name), now, || {
                self.calls.fetch_add(1, Ordering::SeqCst);
                Ok(async move { answer })
            });
            listing?.outcome(&UpstreamTimer::default()).await
        }

        fn calls(&self) -> usize {
            self.calls.load(Ordering::SeqCst)
        }
    }

    fn failure() -> azure_signalr::Error {
        // JSON has no map with such keys.
        azure_signalr::Message::new("t", &[HashMap::from([(Vec::<u8>::new(), 0)])]).unwrap_err()
    }

    #[tokio::test]
    async fn a_list_is_kept_for_ten_seconds_from_the_begin_of_its_listing() {
        let (lists, start) = (TestLists::default(), Instant::now());
        for (seconds, expected) in [(0.0, "a"), (1.0, "a"), (9.9, "a"), (10.0, "b"), (19.9, "b"), (20.0, "c")] {
            let answer = Bytes::from_static(expected.as_bytes());
            let list = lists.get("games", start + Duration::from_secs_f64(seconds), Ok(answer)).await.unwrap();
            assert_eq!(list, expected, "{seconds}");
        }
        assert_eq!(lists.calls(), 3);
    }

    #[tokio::test]
    async fn each_room_has_a_list_of_its_own() {
        let (lists, now) = (TestLists::default(), Instant::now());
        for name in ["games", "support"] {
            let list = lists.get(name, now, Ok(Bytes::copy_from_slice(name.as_bytes()))).await.unwrap();
            assert_eq!(list, name);
        }
        assert_eq!(lists.calls(), 2);
    }

    #[tokio::test]
    async fn callers_share_a_listing_that_is_under_way_however_long_it_takes() {
        let (lists, now, release) = (TestLists::default(), Instant::now(), Arc::new(Semaphore::new(0)));
        let get = |age: u64| {
            let (lists, release) = (lists.clone(), release.clone());
            let started = lists.lists.get_or_start(&room("games"), now + Duration::from_secs(age), || {
                lists.calls.fetch_add(1, Ordering::SeqCst);
                Ok(async move {
                    let _closed = release.acquire().await;
                    Ok(Bytes::from_static(b"list"))
                })
            });
            async move { started.unwrap().outcome(&UpstreamTimer::default()).await.unwrap() }
        };
        // The first caller does not wait for it.
        drop(get(0));
        let waiting: Vec<_> = (0..200).map(|number| get(number % 20)).collect();
        release.close();
        assert!(join_all(waiting).await.iter().all(|list| list == "list"));
        assert_eq!(lists.calls(), 1);
    }

    #[tokio::test]
    async fn a_failure_is_kept_for_two_seconds() {
        let (lists, start) = (TestLists::default(), Instant::now());
        for (seconds, is_failure) in [(0.0, true), (1.9, true), (2.0, false), (11.9, false)] {
            let answer = if seconds == 0.0 { Err(failure()) } else { Ok(Bytes::new()) };
            let list = lists.get("games", start + Duration::from_secs_f64(seconds), answer).await;
            assert_eq!(matches!(list, Err(Error::Upstream(_))), is_failure, "{seconds}");
        }
        assert_eq!(lists.calls(), 2);
    }

    #[tokio::test]
    async fn a_listing_that_is_not_allowed_is_not_kept() {
        let (lists, now) = (TestLists::default(), Instant::now());
        let refused = || Err::<std::future::Ready<Outcome>, _>(Error::RateLimited(Duration::ZERO));
        let refused = lists.lists.get_or_start(&room("games"), now, refused);
        assert!(matches!(refused, Err(Error::RateLimited(_))));
        assert_eq!(lists.get("games", now, Ok(Bytes::from_static(b"list"))).await.unwrap(), "list");
    }

    #[tokio::test]
    async fn a_listing_that_ends_without_an_outcome_is_an_error_and_the_next_one_succeeds() {
        let (lists, now) = (TestLists::default(), Instant::now());
        let broken = lists.lists.get_or_start(&room("games"), now, || Ok(async { panic!("a bug") })).unwrap();
        assert!(matches!(broken.outcome(&UpstreamTimer::default()).await, Err(Error::Overloaded)));
        assert_eq!(lists.get("games", now, Ok(Bytes::from_static(b"list"))).await.unwrap(), "list");
    }

    #[tokio::test]
    async fn the_oldest_list_makes_room_for_another_and_none_that_is_being_made() {
        let (lists, now) = (TestLists::default(), Instant::now());
        for number in 0..MAX_LISTS as u64 {
            let now = now + Duration::from_millis(number);
            lists.get(&format!("room-{number}"), now, Ok(Bytes::new())).await.unwrap();
        }
        let later = now + Duration::from_secs(5);
        lists.get("one-more", later, Ok(Bytes::new())).await.unwrap();
        assert_eq!(lists.lists.0.lock().unwrap().len(), MAX_LISTS);
        let before = lists.calls();
        for (name, calls) in [("room-1", 0), ("one-more", 0), ("room-0", 1)] {
            lists.get(name, later, Ok(Bytes::new())).await.unwrap();
            assert_eq!(lists.calls(), before + calls, "{name}");
        }

        let busy = TestLists::default();
        let start = |name: String| busy.lists.get_or_start(&room(name), now, || Ok(pending::<Outcome>()));
        let under_way: Vec<_> = (0..MAX_LISTS).map(|number| start(format!("room-{number}")).unwrap()).collect();
        assert!(matches!(start("one-more".to_owned()), Err(Error::Overloaded)));
        assert!(start("room-7".to_owned()).is_ok(), "one that is under way can be waited for");
        assert_eq!(under_way.len(), MAX_LISTS);
    }

    #[tokio::test]
    async fn lists_that_are_too_old_are_dropped_when_another_is_made() {
        let (lists, now) = (TestLists::default(), Instant::now());
        for name in ["a", "b"] {
            lists.get(name, now, Ok(Bytes::new())).await.unwrap();
        }
        lists.get("c", now + KEPT, Ok(Bytes::new())).await.unwrap();
        assert_eq!(lists.lists.0.lock().unwrap().len(), 1);
    }
}
