//! What sending a message took: one [`Attempt`] for each request to the service.
//!
//! Nothing here names a hub, a user or an address, so all of it may be logged.

use std::time::{Duration, Instant};

/// The requests that were made for a message that the service has accepted.
#[derive(Clone, Debug)]
pub struct SendReceipt {
    pub(crate) attempts: Vec<Attempt>,
}

impl SendReceipt {
    /// The requests that were made, in order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Adds the requests for a second message that belongs to the first, such as a copy for another user.
    pub fn add(&mut self, attempts: &[Attempt]) {
        self.attempts.extend_from_slice(attempts);
    }
}

/// One request to the service, without the delays before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    route: &'static str,
    resend_count: u32,
    started: Instant,
    duration: Duration,
    /// The status, or why there was none.
    outcome: Result<u16, &'static str>,
}

impl Attempt {
    /// A request for `route` that was made at `started` and ended just now.
    pub(crate) fn ended(
        route: &'static str,
        resend_count: u32,
        started: Instant,
        outcome: Result<u16, &'static str>,
    ) -> Self {
        Self { route, resend_count, started, duration: started.elapsed(), outcome }
    }

    /// The path with placeholders for names, such as `/api/hubs/{hub}/users/{user}/:send`.
    pub fn route(&self) -> &'static str {
        self.route
    }

    /// How many requests for the same message to the same recipient came before this one.
    pub fn resend_count(&self) -> u32 {
        self.resend_count
    }

    /// When the request was made.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// From then until the head of the response arrived, or the failure.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The status of the response, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.outcome.ok()
    }

    /// Why there was no response, in a word: `unreachable`, `interrupted` or `timed_out`.
    pub fn failure(&self) -> Option<&'static str> {
        self.outcome.err()
    }
}
