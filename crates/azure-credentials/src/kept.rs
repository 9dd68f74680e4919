//! Something that is good for a while: whether it is fresh, and when to try again where there is none. Pure: the time is an argument.

use std::time::{Duration, SystemTime};

/// Tokens are asked for again this long before they end. `azure_identity` has a new one to give from then on, not earlier.
const TOKEN_AHEAD: Duration = Duration::from_secs(5 * 60);

/// Between two tries, whatever happens: something that is given out again and again shortly before its end is no reason to hurry.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// Short enough for whoever has just assigned the missing role and looks whether it works now.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A value with its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    pub(crate) value: T,
    renew_at: SystemTime,
    expires_at: SystemTime,
}

/// What a value is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Use it.
    Fresh,
    /// Use it, and get another.
    Renew,
    /// It is of no use any more.
    Expired,
}

impl<T> Kept<T> {
    /// Good until `expires_at`, to be renewed from `renew_at` on.
    #[must_use]
    pub fn new(value: T, renew_at: SystemTime, expires_at: SystemTime) -> Self {
        Self { value, renew_at, expires_at }
    }

    /// A token that came at `now`. What lives shorter than a quarter of an hour is renewed when two thirds of its life are over.
    pub(crate) fn token(value: T, now: SystemTime, expires_at: SystemTime) -> Self {
        let life = expires_at.duration_since(now).unwrap_or_default();
        Self::new(value, expires_at - TOKEN_AHEAD.min(life / 3), expires_at)
    }

    /// What it is good for at `now`.
    #[must_use]
    pub fn freshness(&self, now: SystemTime) -> Freshness {
        if now < self.renew_at {
            Freshness::Fresh
        } else if now < self.expires_at {
            Freshness::Renew
        } else {
            Freshness::Expired
        }
    }

    /// When to ask for the next one, if this one came at `now`.
    pub(crate) fn next(&self, now: SystemTime) -> SystemTime {
        self.renew_at.max(now + SHORTEST_WAIT)
    }
}

/// When to ask again after so many failures in a row, the last of them at `now`; `jitter` is from 0 to 1.
pub(crate) fn next_try(failures: u32, now: SystemTime, jitter: f64) -> SystemTime {
    let longest = SHORTEST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
    now + longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(minutes: f64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(minutes * 60.0)
    }

    fn freshness<T>(kept: &Kept<T>, minutes: &[f64]) -> Vec<Freshness> {
        minutes.iter().map(|minutes| kept.freshness(at(*minutes))).collect()
    }

    use Freshness::{Expired, Fresh, Renew};

    #[test]
    fn a_token_is_renewed_five_minutes_before_its_end_and_used_until_then() {
        let token = Kept::token((), at(0.0), at(60.0));
        assert_eq!(freshness(&token, &[0.0, 54.9, 55.0, 59.9, 60.0]), [Fresh, Fresh, Renew, Renew, Expired]);
        assert_eq!(token.next(at(0.0)), at(55.0));
    }

    #[test]
    fn a_short_token_is_renewed_when_a_third_of_it_is_left() {
        let token = Kept::token((), at(0.0), at(3.0));
        assert_eq!(freshness(&token, &[1.9, 2.0, 3.0]), [Fresh, Renew, Expired]);
    }

    #[test]
    fn a_token_that_came_too_late_is_expired_and_does_not_make_us_run() {
        let token = Kept::token((), at(1.0), at(0.0));
        assert_eq!(freshness(&token, &[1.0]), [Expired]);
        assert_eq!(token.next(at(1.0)), at(1.0) + SHORTEST_WAIT);
    }

    #[test]
    fn tries_are_further_and_further_apart_and_never_stop() {
        let waits: Vec<_> = (1..=8).map(|failures| next_try(failures, at(0.0), 1.0)).collect();
        let s = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(waits, [s(2), s(4), s(8), s(16), s(32), s(60), s(60), s(60)]);
        assert_eq!(next_try(1, at(0.0), 0.0), s(1));
        assert_eq!(next_try(u32::MAX, at(0.0), 1.0), s(60));
    }
}
