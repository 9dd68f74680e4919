//! What sending took: one entry for each request that was made to the service.
//!
//! Whoever runs an application wants to know how long it waited for the service, and how often it asked. Nothing here names a hub, a
//! user or an address, so all of it may be logged.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind};

/// A message that the service has, and what that took.
#[derive(Clone, Debug)]
pub struct Sent {
    pub(crate) tries: Vec<Try>,
}

impl Sent {
    /// The requests that were made, in order; the last one succeeded.
    #[must_use]
    pub fn tries(&self) -> &[Try] {
        &self.tries
    }
}

/// One request to the service. The waits between tries are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    route: &'static str,
    begun: Instant,
    duration: Duration,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered(u16),
    Failed(&'static str),
}

impl Try {
    /// A request for `route` that was made at `begun` and ended just now: with a status, or not.
    pub(crate) fn of(route: &'static str, begun: Instant, answer: &Result<u16, Error>) -> Self {
        let outcome = match answer {
            Ok(status) => Outcome::Answered(*status),
            Err(error) => Outcome::of(&error.kind),
        };
        Self { route, begun, duration: begun.elapsed(), outcome }
    }

    /// What was asked for, with placeholders where names are: `/api/hubs/{hub}/:send` or `/api/hubs/{hub}/users/{user}/:send`.
    #[must_use]
    pub fn route(&self) -> &'static str {
        self.route
    }

    /// When it was made.
    #[must_use]
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// From then until the head of the answer was there, or the failure.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Answered(status) => Some(status),
            Outcome::Failed(_) => None,
        }
    }

    /// Why there was no answer, in a word: `unreachable`, `interrupted` or `timed_out`.
    #[must_use]
    pub fn failure(&self) -> Option<&'static str> {
        match self.outcome {
            Outcome::Answered(_) => None,
            Outcome::Failed(why) => Some(why),
        }
    }
}

impl Outcome {
    fn of(failure: &Kind) -> Self {
        match failure {
            Kind::Rejected { status, .. } | Kind::IdentityRefused { status, .. } => Self::Answered(*status),
            Kind::Unreachable => Self::Failed("unreachable"),
            Kind::TimedOut => Self::Failed("timed_out"),
            _ => Self::Failed("interrupted"),
        }
    }
}
