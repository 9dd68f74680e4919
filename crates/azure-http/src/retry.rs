//! The retry policy of all clients: which failed attempts are repeated, after how long, and within which times.
//!
//! Sources: [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110) §9.2.2 (idempotent methods), §10.2.3 (`Retry-After`) and §15.6;
//! [Azure REST API guidelines](https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md), and the defaults of the
//! official SDKs: three retries of 408, 429, 500, 502, 503 and 504 with exponential, jittered delays.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::client::{Connection, HttpError, HttpErrorKind};

/// The time for a whole call: attempts and the delays between them.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The time for an attempt that another may follow: request, response and body.
///
/// Calls that are [`Retry::Unsafe`] and last attempts have all the time that is left: to cut them off would gain nothing.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// Attempts of a call, the first included.
pub const MAX_ATTEMPTS: u32 = 4;

const FIRST_DELAY: Duration = Duration::from_millis(200);
/// Every call counts against the limit of a service, so one that exceeded it waits longer.
const FIRST_DELAY_THROTTLED: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(3);

/// Whether a call may be repeated: what a second attempt does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It has a second effect, like a create: repeated only where the first attempt certainly had none.
    Unsafe,
    /// It has no further effect.
    Idempotent,
    /// It has no further effect, and a 404 after an attempt with an unknown result means success.
    Delete,
}

/// How an attempt failed, as far as that decides about the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection was made: nothing was sent.
    Unreachable,
    /// The connection broke after something was sent.
    Interrupted,
    /// The attempt took too long.
    TimedOut,
    /// The service responded with an error.
    Status {
        /// Its HTTP status.
        status: u16,
        /// The delay it asks for.
        retry_after: Option<Duration>,
    },
    /// The same call would fail again.
    Permanent,
}

impl Failure {
    /// The first delay after this failure, if it may be repeated at all, and what the service asks for on top.
    fn first_delay(self, retry: Retry) -> Option<(Duration, Option<Duration>)> {
        let idempotent = retry != Retry::Unsafe;
        match self {
            Self::Unreachable => Some((FIRST_DELAY, None)),
            Self::Status { status: 429, retry_after } => Some((FIRST_DELAY_THROTTLED, retry_after)),
            Self::Status { status: 408 | 500 | 502..=504, retry_after } if idempotent => {
                Some((FIRST_DELAY, retry_after))
            }
            Self::Interrupted | Self::TimedOut if idempotent => Some((FIRST_DELAY, None)),
            _ => None,
        }
    }
}

impl From<HttpErrorKind> for Failure {
    fn from(kind: HttpErrorKind) -> Self {
        match kind {
            HttpErrorKind::Unreachable => Self::Unreachable,
            HttpErrorKind::Interrupted => Self::Interrupted,
            HttpErrorKind::TimedOut => Self::TimedOut,
            HttpErrorKind::BodyTooLarge | HttpErrorKind::Unusable => Self::Permanent,
        }
    }
}

/// The delay before the next attempt, or `None` if there is to be none.
///
/// `attempts` counts those made so far, `jitter` is from 0 to 1. Delays double from 200 ms (1 s after 429) to 3 s and are cut by up to
/// half; what `Retry-After` asks for is added, so that the service is never called sooner.
#[must_use]
pub fn retry_delay(failure: Failure, retry: Retry, attempts: u32, jitter: f64) -> Option<Duration> {
    let (first, retry_after) = failure.first_delay(retry).filter(|_| attempts < MAX_ATTEMPTS)?;
    let longest = first.saturating_mul(1 << attempts.saturating_sub(1)).min(MAX_DELAY);
    let own = longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
    Some(own.saturating_add(retry_after.unwrap_or_default()))
}

/// The attempts of one call, and the time that is left for it, on the monotonic clock of tokio.
///
/// ```
/// use azure_http::{Failure, HttpClient, HttpError, Request, Response, Retry, RetryState};
///
/// async fn send(client: &HttpClient, request: &Request) -> Result<Response, HttpError> {
///     let mut state = RetryState::start(Retry::Idempotent);
///     loop {
///         let attempt = Request { connection: state.connection(), ..request.clone() };
///         match state.attempt(client.send(attempt)).await {
///             Err(error) if state.wait(Failure::from(error.kind())).await => {}
///             result => return result,
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct RetryState {
    retry: Retry,
    deadline: Instant,
    attempts: u32,
    connection: Connection,
}

impl RetryState {
    /// Starts a call now; it ends within [`CALL_TIMEOUT`].
    #[must_use]
    pub fn start(retry: Retry) -> Self {
        // An unsafe call that a dead connection swallows is lost: it is not repeated.
        let connection = if retry == Retry::Unsafe { Connection::Recent } else { Connection::Pooled };
        Self { retry, deadline: Instant::now() + CALL_TIMEOUT, attempts: 0, connection }
    }

    /// Which connections the next attempt may be sent on: [`Connection::Recent`] for an unsafe call, and after an attempt that got no
    /// response, since what has killed its connection may have killed every other of the pool.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connection
    }

    /// When the time for the whole call is up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Makes one attempt, within its time.
    ///
    /// # Errors
    ///
    /// Those of `attempt`, and [`HttpErrorKind::TimedOut`].
    pub async fn attempt<T, E: From<HttpError>>(
        &mut self,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.attempts += 1;
        let is_last = self.retry == Retry::Unsafe || self.attempts >= MAX_ATTEMPTS;
        let own = Instant::now() + ATTEMPT_TIMEOUT;
        let deadline = if is_last { self.deadline } else { self.deadline.min(own) };
        timeout_at(deadline, attempt).await.unwrap_or_else(|_| Err(HttpError::timed_out().into()))
    }

    /// Waits until the next attempt is due; `false` at once if there is to be none, or no time for the delay.
    pub async fn wait(&mut self, failure: Failure) -> bool {
        let left = self.deadline.duration_since(Instant::now());
        let delay = retry_delay(failure, self.retry, self.attempts, fastrand::f64());
        let Some(delay) = delay.filter(|delay| *delay < left) else { return false };
        if !matches!(failure, Failure::Status { .. }) {
            self.connection = Connection::Recent;
        }
        sleep(delay).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Retry; 3] = [Retry::Unsafe, Retry::Idempotent, Retry::Delete];

    fn status(status: u16, retry_after: Option<u64>) -> Failure {
        Failure::Status { status, retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn each_failure_is_repeated_where_the_specification_allows_it() {
        let always = [Failure::Unreachable, status(429, None)];
        let idempotent = [408, 500, 502, 503, 504].map(|code| status(code, None));
        let idempotent = idempotent.into_iter().chain([Failure::Interrupted, Failure::TimedOut]);
        let never = [302, 400, 401, 403, 404, 409, 413, 422, 501, 505].map(|code| status(code, Some(0)));
        let never = never.into_iter().chain([Failure::Permanent]);
        let table = always.map(|failure| (failure, [true; 3])).into_iter();
        let table = table.chain(idempotent.map(|failure| (failure, [false, true, true])));
        for (failure, expected) in table.chain(never.map(|failure| (failure, [false; 3]))) {
            let retried = ALL.map(|retry| retry_delay(failure, retry, 1, 0.5).is_some());
            assert_eq!(retried, expected, "{failure:?}");
        }
    }

    #[test]
    fn delays_grow_are_spread_and_end() {
        let delays = |failure| [1, 2, 3, 4].map(|attempts| retry_delay(failure, Retry::Unsafe, attempts, 1.0));
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(delays(Failure::Unreachable), [ms(200), ms(400), ms(800), None]);
        assert_eq!(delays(status(429, None)), [ms(1_000), ms(2_000), ms(3_000), None]);
        assert_eq!(retry_delay(Failure::Unreachable, Retry::Unsafe, 1, 0.0), ms(100));
        assert_eq!(retry_delay(Failure::Unreachable, Retry::Unsafe, u32::MAX, 0.0), None);
    }

    #[test]
    fn the_service_is_never_called_sooner_than_it_asks() {
        for code in [429, 503] {
            let delay = retry_delay(status(code, Some(2)), Retry::Idempotent, 1, 0.0).unwrap();
            assert!(delay >= Duration::from_secs(2));
        }
        let endless = status(429, Some(u64::MAX));
        assert!(retry_delay(endless, Retry::Unsafe, 1, 1.0).unwrap() >= Duration::from_secs(u64::MAX));
    }

    async fn time_out(retry: Retry) -> (u32, Duration) {
        let (mut state, start) = (RetryState::start(retry), Instant::now());
        loop {
            let never = std::future::pending::<Result<(), HttpError>>();
            let error = state.attempt(never).await.unwrap_err();
            assert_eq!(error.kind(), HttpErrorKind::TimedOut);
            if !state.wait(Failure::from(error.kind())).await {
                return (state.attempts, start.elapsed());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_has_four_seconds_if_another_may_follow_and_a_call_ten() {
        for (retry, expected) in [(Retry::Unsafe, 1), (Retry::Idempotent, 3), (Retry::Delete, 3)] {
            let (attempts, elapsed) = time_out(retry).await;
            assert_eq!((attempts, elapsed.as_secs()), (expected, 10), "{retry:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_beyond_the_deadline_is_left_to_the_caller() {
        let (mut state, start) = (RetryState::start(Retry::Idempotent), Instant::now());
        assert!(!state.wait(status(429, Some(10))).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(state.wait(status(429, Some(1))).await);
        assert!(start.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeat_avoids_the_pool_after_a_failure_without_a_response_and_an_unsafe_call_from_the_start() {
        use Connection::{Pooled, Recent};
        for (retry, failure, expected) in [
            (Retry::Idempotent, Failure::TimedOut, [Pooled, Recent]),
            (Retry::Idempotent, Failure::Interrupted, [Pooled, Recent]),
            (Retry::Idempotent, Failure::Unreachable, [Pooled, Recent]),
            (Retry::Idempotent, status(429, None), [Pooled, Pooled]),
            (Retry::Idempotent, status(503, Some(1)), [Pooled, Pooled]),
            (Retry::Delete, Failure::TimedOut, [Pooled, Recent]),
            (Retry::Delete, Failure::Interrupted, [Pooled, Recent]),
            (Retry::Delete, status(500, None), [Pooled, Pooled]),
            (Retry::Unsafe, Failure::Unreachable, [Recent, Recent]),
            (Retry::Unsafe, status(429, None), [Recent, Recent]),
        ] {
            let mut state = RetryState::start(retry);
            let first = state.connection();
            assert!(state.wait(failure).await, "{retry:?} {failure:?}");
            assert_eq!([first, state.connection()], expected, "{retry:?} {failure:?}");
        }
    }

    #[test]
    fn a_connection_is_no_longer_recent_when_an_attempt_has_timed_out() {
        assert!(crate::client::RECENT_TIMEOUT < ATTEMPT_TIMEOUT);
    }
}
