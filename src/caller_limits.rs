//! How many messages a caller may send, and how often they may negotiate, use rooms and read the history.
//!
//! Each user has a bucket. Guests cannot be told apart, so they share one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::auth::Caller;
use crate::error::Error;
use crate::rate_limiter::{Rate, RateLimiter};

/// Guests may send this many times the messages of one user.
const GUESTS_FACTOR: u32 = 10;

/// Negotiations of a user. Twenty tabs that cannot connect negotiate about 150 times in the first minute: each tab of the page repeats
/// after 0.5, 1, 2, 4, 8, 16 and then 30 seconds.
const NEGOTIATION_RATE: Rate = Rate::new(120, Duration::from_millis(500));
/// Negotiations of all guests. After an outage all of them reconnect within seconds, and one who negotiates in a loop must not lock the
/// others out, so this only keeps the processor free for messages: a negotiation takes about 0.1 ms.
const GUEST_NEGOTIATION_RATE: Rate = Rate::new(10_000, Duration::from_millis(1));

/// Calls of a user that enter or leave a room, or list its members anew. Twenty tabs that reconnect together enter ten rooms each.
const ROOM_CALL_RATE: Rate = Rate::new(240, Duration::from_millis(250));

/// Pages of the history that a user reads. Twenty tabs that reconnect together read three conversations each, and fetch what they missed.
const HISTORY_READ_RATE: Rate = Rate::new(240, Duration::from_millis(50));

/// The limits of callers in this process. Clones share the buckets.
#[derive(Clone)]
pub(crate) struct CallerLimits(Option<Arc<Inner>>);

struct Inner {
    messages: CallerLimiter,
    negotiations: CallerLimiter,
    room_calls: CallerLimiter,
    history_reads: CallerLimiter,
}

struct CallerLimiter {
    users: RateLimiter,
    guests: RateLimiter,
}

impl CallerLimits {
    /// The limits for users who may send messages at `message_rate`; `None`: there are no limits.
    pub(crate) fn new(message_rate: Option<Rate>) -> Self {
        Self(message_rate.map(|rate| {
            Arc::new(Inner {
                messages: CallerLimiter::new(rate, rate.times(GUESTS_FACTOR)),
                negotiations: CallerLimiter::new(NEGOTIATION_RATE, GUEST_NEGOTIATION_RATE),
                // Guests enter `everyone` whenever they have negotiated, and perhaps a room.
                room_calls: CallerLimiter::new(ROOM_CALL_RATE, GUEST_NEGOTIATION_RATE.times(2)),
                // They read whenever they have negotiated, and once more a moment later.
                history_reads: CallerLimiter::new(HISTORY_READ_RATE, GUEST_NEGOTIATION_RATE.times(2)),
            })
        }))
    }

    /// Counts a message of `caller`.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] with the time until the next one is allowed.
    pub(crate) fn check_message(&self, caller: &Caller, now: Instant) -> Result<(), Error> {
        self.0.as_ref().map_or(Ok(()), |limits| limits.messages.check(caller, now))
    }

    /// Counts a negotiation of `caller`.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] with the time until the next one is allowed.
    pub(crate) fn check_negotiation(&self, caller: &Caller, now: Instant) -> Result<(), Error> {
        self.0.as_ref().map_or(Ok(()), |limits| limits.negotiations.check(caller, now))
    }

    /// Counts a call of `caller` that enters or leaves a room, or lists its members anew.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] with the time until the next one is allowed.
    pub(crate) fn check_room_call(&self, caller: &Caller, now: Instant) -> Result<(), Error> {
        self.0.as_ref().map_or(Ok(()), |limits| limits.room_calls.check(caller, now))
    }

    /// Counts a page of the history that `caller` reads.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] with the time until the next one is allowed.
    pub(crate) fn check_history_read(&self, caller: &Caller, now: Instant) -> Result<(), Error> {
        self.0.as_ref().map_or(Ok(()), |limits| limits.history_reads.check(caller, now))
    }
}

impl CallerLimiter {
    fn new(users: Rate, guests: Rate) -> Self {
        Self { users: RateLimiter::new(users), guests: RateLimiter::new(guests) }
    }

    fn check(&self, caller: &Caller, now: Instant) -> Result<(), Error> {
        let checked = match caller {
            Caller::User(user) => self.users.check(user, now),
            Caller::Anonymous => self.guests.check(&(), now),
        };
        checked.map_err(Error::RateLimited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `count` calls are allowed at once.
    fn allowed(count: u32, mut check: impl FnMut() -> Result<(), Error>) -> u32 {
        (0..count).map(|_| u32::from(check().is_ok())).sum()
    }

    fn users<const N: usize>(names: [&str; N]) -> [Caller; N] {
        names.map(|name| Caller::User(name.parse().unwrap()))
    }

    #[test]
    fn each_user_has_a_limit_of_messages_and_guests_share_ten_times_that() {
        let (limits, now) = (CallerLimits::new(Some(Rate::new(60, Duration::from_millis(200)))), Instant::now());
        let [ann, other_ann, bob] = users(["ann", "Ann", "bob"]);
        for (caller, expected) in
            [(ann, 60), (other_ann, 60), (Caller::Anonymous, 600), (Caller::Anonymous, 0), (bob, 60)]
        {
            assert_eq!(allowed(1_000, || limits.check_message(&caller, now)), expected, "{caller:?}");
        }
    }

    #[test]
    fn a_limited_caller_is_told_when_the_next_message_is_allowed() {
        let (limits, now) = (CallerLimits::new(Some(Rate::new(1, Duration::from_secs(5)))), Instant::now());
        let [ann] = users(["ann"]);
        limits.check_message(&ann, now).unwrap();
        let Err(Error::RateLimited(wait)) = limits.check_message(&ann, now) else {
            panic!("a second message is allowed")
        };
        assert_eq!(wait, Duration::from_secs(5));
        assert!(limits.check_message(&ann, now + wait).is_ok());
    }

    #[test]
    fn each_kind_of_request_is_counted_apart() {
        let (limits, now) = (CallerLimits::new(Some(Rate::new(1, Duration::from_secs(5)))), Instant::now());
        let [ann] = users(["ann"]);
        assert_eq!(allowed(1_000, || limits.check_negotiation(&ann, now)), 120);
        assert_eq!(allowed(1_000, || limits.check_room_call(&ann, now)), 240);
        assert_eq!(allowed(1_000, || limits.check_history_read(&ann, now)), 240);
        assert!(limits.check_message(&ann, now).is_ok());
    }

    #[test]
    fn twenty_tabs_that_lose_their_connections_for_ten_minutes_are_not_limited() {
        let (limits, now) = (CallerLimits::new(Some(Rate::new(60, Duration::from_millis(200)))), Instant::now());
        let [ann] = users(["ann"]);
        // The page waits at least half of 0.5 s, 1 s, 2 s … 30 s after a failure.
        let (mut wait, mut elapsed) = (Duration::from_millis(250), Duration::ZERO);
        while elapsed < Duration::from_secs(600) {
            assert_eq!(allowed(20, || limits.check_negotiation(&ann, now + elapsed)), 20, "after {elapsed:?}");
            elapsed += wait;
            wait = (wait * 2).min(Duration::from_secs(15));
        }
    }

    #[test]
    fn ten_thousand_guests_can_reconnect_at_once() {
        let (limits, now) = (CallerLimits::new(Some(Rate::new(60, Duration::from_millis(200)))), Instant::now());
        assert_eq!(allowed(20_000, || limits.check_negotiation(&Caller::Anonymous, now)), 10_000);
        let later = now + Duration::from_secs(1);
        assert_eq!(allowed(20_000, || limits.check_negotiation(&Caller::Anonymous, later)), 1_000);
    }

    #[test]
    fn without_a_rate_of_messages_nothing_is_limited() {
        let (limits, now) = (CallerLimits::new(None), Instant::now());
        let [ann] = users(["ann"]);
        for caller in [ann, Caller::Anonymous] {
            assert_eq!(allowed(20_000, || limits.check_message(&caller, now)), 20_000);
            assert_eq!(allowed(20_000, || limits.check_negotiation(&caller, now)), 20_000);
            assert_eq!(allowed(20_000, || limits.check_room_call(&caller, now)), 20_000);
            assert_eq!(allowed(20_000, || limits.check_history_read(&caller, now)), 20_000);
        }
    }
}
