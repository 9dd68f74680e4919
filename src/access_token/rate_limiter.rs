//! A token bucket for each person: how many access tokens they may request.
//!
//! The buckets are those of this process: with several processes the limit is multiplied by their number.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::PersonKey;

/// Requests at once. A page sends one at start and one each hour; a browser may reopen many tabs.
const BURST: u32 = 20;
/// The time until one more request is allowed.
const REFILL: Duration = Duration::from_secs(6);
/// The most buckets at a time, about 2 MB.
const MAX_BUCKETS: usize = 20_000;

/// Maps each person to the time at which their bucket is full again. A full bucket need not be stored.
#[derive(Default)]
pub(super) struct RateLimiter(Mutex<HashMap<PersonKey, Instant>>);

impl RateLimiter {
    /// Counts a request of `person`. The error is the time until the next one is allowed.
    pub(super) fn check(&self, person: PersonKey, now: Instant) -> Result<(), Duration> {
        // Poisoning is ignored: every update is a single insertion or removal.
        take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), person, now)
    }
}

fn take(full_at: &mut HashMap<PersonKey, Instant>, person: PersonKey, now: Instant) -> Result<(), Duration> {
    let after = full_at.get(&person).map_or(now, |full_at| now.max(*full_at)) + REFILL;
    let over = after.saturating_duration_since(now + REFILL * BURST);
    if !over.is_zero() {
        return Err(over);
    }
    if full_at.len() >= MAX_BUCKETS && !full_at.contains_key(&person) {
        make_room(full_at, now);
    }
    full_at.insert(person, after);
    Ok(())
}

/// Removes full buckets, or else the fullest one: people who are throttled stay throttled, and the table never rejects a request.
fn make_room(full_at: &mut HashMap<PersonKey, Instant>, now: Instant) {
    full_at.retain(|_, full_at| *full_at > now);
    if full_at.len() >= MAX_BUCKETS
        && let Some(fullest) = full_at.iter().min_by_key(|(_, full_at)| **full_at).map(|(person, _)| *person)
    {
        full_at.remove(&fullest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(number: usize) -> PersonKey {
        PersonKey::of_number(number)
    }

    #[test]
    fn who_asks_too_often_waits_for_the_next_ask_and_no_longer() {
        let (limit, now, ann) = (RateLimiter::default(), Instant::now(), person(1));
        for _ in 0..BURST {
            assert_eq!(limit.check(ann, now), Ok(()));
        }
        assert_eq!(limit.check(ann, now), Err(REFILL));
        let later = now + REFILL / 3;
        assert_eq!(limit.check(ann, later), Err(REFILL - REFILL / 3));
        assert_eq!(limit.check(ann, now + REFILL), Ok(()));
        assert_eq!(limit.check(ann, now + REFILL), Err(REFILL));
    }

    #[test]
    fn others_are_not_made_to_wait_and_a_bucket_holds_no_more_than_it_does() {
        let (limit, now, ann, bob) = (RateLimiter::default(), Instant::now(), person(1), person(2));
        while limit.check(ann, now).is_ok() {}
        assert_eq!(limit.check(bob, now), Ok(()));
        let tomorrow = now + Duration::from_secs(86_400);
        assert_eq!((0..=BURST).filter(|_| limit.check(ann, tomorrow).is_ok()).count(), BURST as usize);
    }

    #[test]
    fn a_full_table_removes_the_fullest_bucket_and_rejects_no_request() {
        let (mut full_at, now) = (HashMap::new(), Instant::now());
        while take(&mut full_at, person(0), now).is_ok() {}
        for number in 1..MAX_BUCKETS + 10 {
            assert_eq!(take(&mut full_at, person(number), now), Ok(()));
        }
        assert_eq!(full_at.len(), MAX_BUCKETS);
        assert!(take(&mut full_at, person(0), now).is_err());
        let later = now + REFILL;
        assert_eq!(take(&mut full_at, person(MAX_BUCKETS + 10), later), Ok(()));
        assert_eq!(full_at.len(), 2, "all but the one of who is throttled were full again");
    }
}
