//! How often each person may ask.
//!
//! Everybody has a bucket of asks that fills up again with time. It is this process's own: where several run, each has its own
//! buckets, and what a person may ask grows with them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::PersonKey;

/// Asks at once. A page asks when it starts and every hour; this is for a browser that opens all its tabs again.
const BURST: u32 = 20;
/// One more after this.
const REFILL: Duration = Duration::from_secs(6);
/// Most buckets at a time, some two megabytes.
const MAX_BUCKETS: usize = 20_000;

/// The buckets, by person; of each, when it will be full again. One that is full is as good as none.
#[derive(Default)]
pub(super) struct RateLimiter(Mutex<HashMap<PersonKey, Instant>>);

impl RateLimiter {
    /// Takes an ask from the bucket of `person`; or says how long until there is one.
    pub(super) fn check(&self, person: PersonKey, now: Instant) -> Result<(), Duration> {
        // Every change is a single insertion or removal, so a panic elsewhere cannot have left it half done.
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

/// Forgets full buckets, or where there are none the fullest: whoever is throttled stays so, and nobody is refused for want of room.
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
    fn a_full_table_forgets_the_fullest_bucket_and_refuses_nobody() {
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
