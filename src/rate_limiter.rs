//! Token buckets: how many requests each person may make.
//!
//! The buckets are those of this process: with several processes a limit is multiplied by their number.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most buckets at a time, less than 1 MB.
const MAX_BUCKETS: usize = 20_000;

/// How many requests are allowed: some at once, then one each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    interval: Duration,
}

impl Rate {
    /// `burst` requests at once, then one each `interval`.
    pub const fn new(burst: u32, interval: Duration) -> Self {
        Self { burst, interval }
    }

    /// This many times the requests, at once and afterwards.
    #[must_use]
    pub(crate) fn times(self, factor: u32) -> Self {
        Self::new(self.burst * factor, self.interval / factor)
    }
}

/// A bucket for each person, who is identified by any value that can be hashed.
///
/// A bucket is stored as the time at which it is full again. A full bucket need not be stored.
pub(crate) struct RateLimiter {
    rate: Rate,
    /// Keyed at random, so that no two people can be made to share a bucket.
    hasher: RandomState,
    full_at: Mutex<HashMap<u64, Instant>>,
}

impl RateLimiter {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, hasher: RandomState::new(), full_at: Mutex::default() }
    }

    /// Counts a request of `person`. The error is the time until the next one is allowed; a rejected request is not counted.
    pub(crate) fn check(&self, person: &impl Hash, now: Instant) -> Result<(), Duration> {
        let person = self.hasher.hash_one(person);
        // Poisoning is ignored: no update can panic halfway.
        take(&mut self.full_at.lock().unwrap_or_else(PoisonError::into_inner), person, self.rate, now)
    }
}

fn take(full_at: &mut HashMap<u64, Instant>, person: u64, rate: Rate, now: Instant) -> Result<(), Duration> {
    let after = full_at.get(&person).map_or(now, |full_at| now.max(*full_at)) + rate.interval;
    let over = after.saturating_duration_since(now + rate.interval * rate.burst);
    if !over.is_zero() {
        return Err(over);
    }
    if full_at.len() >= MAX_BUCKETS && !full_at.contains_key(&person) {
        make_room(full_at, now);
    }
    full_at.insert(person, after);
    Ok(())
}

/// Removes full buckets, or else the fullest quarter, so that the cost for each request stays small.
///
/// Emptier buckets stay. A person who is limited gets rid of that only with as many accounts as there are buckets, each of which has
/// used up as much.
fn make_room(full_at: &mut HashMap<u64, Instant>, now: Instant) {
    full_at.retain(|_, full_at| *full_at > now);
    if full_at.len() >= MAX_BUCKETS {
        let mut times: Vec<Instant> = full_at.values().copied().collect();
        let (_, last_removed, _) = times.select_nth_unstable(MAX_BUCKETS / 4);
        full_at.retain(|_, full_at| full_at > last_removed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u32 = 20;
    const INTERVAL: Duration = Duration::from_secs(6);
    const RATE: Rate = Rate::new(BURST, INTERVAL);

    #[test]
    fn the_requests_of_a_burst_are_allowed_and_then_one_each_interval() {
        let (limit, now) = (RateLimiter::new(RATE), Instant::now());
        for _ in 0..BURST {
            assert_eq!(limit.check(&"ann", now), Ok(()));
        }
        assert_eq!(limit.check(&"ann", now), Err(INTERVAL));
        let later = now + INTERVAL / 3;
        assert_eq!(limit.check(&"ann", later), Err(INTERVAL - INTERVAL / 3));
        assert_eq!(limit.check(&"ann", now + INTERVAL), Ok(()));
        assert_eq!(limit.check(&"ann", now + INTERVAL), Err(INTERVAL));
    }

    #[test]
    fn each_person_has_a_bucket_which_holds_one_burst_after_any_time() {
        let (limit, now) = (RateLimiter::new(RATE), Instant::now());
        while limit.check(&"ann", now).is_ok() {}
        assert_eq!(limit.check(&"bob", now), Ok(()));
        let tomorrow = now + Duration::from_secs(86_400);
        assert_eq!((0..=BURST).filter(|_| limit.check(&"ann", tomorrow).is_ok()).count(), BURST as usize);
    }

    #[test]
    fn a_multiple_of_a_rate_allows_more_at_once_and_more_often() {
        let (limit, now) = (RateLimiter::new(RATE.times(10)), Instant::now());
        assert_eq!((0..1_000).filter(|_| limit.check(&(), now).is_ok()).count(), 200);
        assert_eq!(limit.check(&(), now), Err(INTERVAL / 10));
    }

    #[test]
    fn a_full_table_keeps_limited_people_limited_and_rejects_no_other() {
        let (mut full_at, now) = (HashMap::new(), Instant::now());
        let limited: Vec<u64> = (0..100).collect();
        for person in &limited {
            while take(&mut full_at, *person, RATE, now).is_ok() {}
        }
        for person in 0..3 * MAX_BUCKETS as u64 {
            assert_eq!(take(&mut full_at, 1_000 + person, RATE, now), Ok(()));
            assert!(full_at.len() <= MAX_BUCKETS);
        }
        assert!(limited.iter().all(|person| take(&mut full_at, *person, RATE, now).is_err()));
    }

    #[test]
    fn a_full_table_drops_the_buckets_that_are_full_again() {
        let (mut full_at, now) = (HashMap::new(), Instant::now());
        while take(&mut full_at, 0, RATE, now).is_ok() {}
        for person in 1..MAX_BUCKETS as u64 {
            assert_eq!(take(&mut full_at, person, RATE, now), Ok(()));
        }
        assert_eq!(take(&mut full_at, u64::MAX, RATE, now + INTERVAL), Ok(()));
        assert_eq!(full_at.len(), 2);
    }
}
