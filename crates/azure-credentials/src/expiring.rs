//! `Expiring`: a value with the times of its renewal and expiry, and when to fetch the next one. Pure: the time is an argument.

use std::time::{Duration, SystemTime};

/// Tokens are renewed this long before they expire. `azure_identity` has a new token from then on, not earlier.
const TOKEN_RENEWAL: Duration = Duration::from_secs(5 * 60);

/// Between two fetches, also for a value that is issued again and again shortly before its expiry.
const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(1);
/// Short enough for an operator who has just assigned the missing role and checks whether it works now.
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// A value with the times of its renewal and expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring<T> {
    pub(crate) value: T,
    renew_at: SystemTime,
    expires_at: SystemTime,
}

/// What to do with a value at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Use it.
    Fresh,
    /// Use it, and fetch the next one.
    Renew,
    /// Do not use it.
    Expired,
}

impl<T> Expiring<T> {
    /// A value that is valid until `expires_at` and renewed from `renew_at` on.
    #[must_use]
    pub fn new(value: T, renew_at: SystemTime, expires_at: SystemTime) -> Self {
        Self { value, renew_at, expires_at }
    }

    /// A token issued at `now`. One that lives less than 15 minutes is renewed after two thirds of its lifetime.
    pub(crate) fn token(value: T, now: SystemTime, expires_at: SystemTime) -> Self {
        let lifetime = expires_at.duration_since(now).unwrap_or_default();
        Self::new(value, expires_at - TOKEN_RENEWAL.min(lifetime / 3), expires_at)
    }

    /// What to do with the value at `now`.
    pub fn freshness(&self, now: SystemTime) -> Freshness {
        if now < self.renew_at {
            Freshness::Fresh
        } else if now < self.expires_at {
            Freshness::Renew
        } else {
            Freshness::Expired
        }
    }

    /// When to fetch the next value, if this one was fetched at `now`.
    pub(crate) fn next_fetch(&self, now: SystemTime) -> SystemTime {
        self.renew_at.max(now + MIN_FETCH_INTERVAL)
    }
}

/// When to fetch again after `failures` in a row, the last one at `now`; `jitter` is from 0 to 1.
pub(crate) fn next_retry(failures: u32, now: SystemTime, jitter: f64) -> SystemTime {
    let longest = MIN_FETCH_INTERVAL.saturating_mul(1 << failures.min(16)).min(MAX_RETRY_INTERVAL);
    now + longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use Freshness::{Expired, Fresh, Renew};

    use super::*;

    fn at(minutes: f64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(minutes * 60.0)
    }

    fn freshness<T>(value: &Expiring<T>, minutes: &[f64]) -> Vec<Freshness> {
        minutes.iter().map(|minutes| value.freshness(at(*minutes))).collect()
    }

    #[test]
    fn a_token_is_renewed_five_minutes_before_its_expiry_and_used_until_then() {
        let token = Expiring::token((), at(0.0), at(60.0));
        assert_eq!(freshness(&token, &[0.0, 54.9, 55.0, 59.9, 60.0]), [Fresh, Fresh, Renew, Renew, Expired]);
        assert_eq!(token.next_fetch(at(0.0)), at(55.0));
    }

    #[test]
    fn a_short_token_is_renewed_after_two_thirds_of_its_lifetime() {
        let token = Expiring::token((), at(0.0), at(3.0));
        assert_eq!(freshness(&token, &[1.9, 2.0, 3.0]), [Fresh, Renew, Expired]);
    }

    #[test]
    fn a_token_that_arrives_expired_is_not_fetched_again_at_once() {
        let token = Expiring::token((), at(1.0), at(0.0));
        assert_eq!(freshness(&token, &[1.0]), [Expired]);
        assert_eq!(token.next_fetch(at(1.0)), at(1.0) + MIN_FETCH_INTERVAL);
    }

    #[test]
    fn a_token_of_any_expiry_is_used_until_then() {
        let year_9999 = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        let now = at(60.0);
        for (expires_at, expected) in [
            (UNIX_EPOCH, Expired),
            (UNIX_EPOCH - Duration::from_secs(253_402_300_799), Expired),
            (now, Expired),
            (now + Duration::from_nanos(1), Fresh),
            (now + Duration::from_nanos(3), Fresh),
            (now + Duration::from_millis(1), Fresh),
            (now + Duration::from_secs(1), Fresh),
            (at(61.0), Fresh),
            (at(120.0), Fresh),
            (year_9999, Fresh),
            (UNIX_EPOCH + Duration::from_secs(i64::MAX as u64), Fresh),
        ] {
            let token = Expiring::token((), now, expires_at);
            assert_eq!(token.freshness(now), expected, "{expires_at:?}");
            assert!(token.next_fetch(now) > now, "{expires_at:?}");
        }
    }

    #[test]
    fn retries_are_further_and_further_apart_and_never_stop() {
        let waits: Vec<_> = (1..=8).map(|failures| next_retry(failures, at(0.0), 1.0)).collect();
        let s = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(waits, [s(2), s(4), s(8), s(16), s(32), s(60), s(60), s(60)]);
        assert_eq!(next_retry(1, at(0.0), 0.0), s(1));
        assert_eq!(next_retry(u32::MAX, at(0.0), 1.0), s(60));
    }
}
