//! Calls of the store within a time budget.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::store::StoreError;

/// The longest that one call of the store may take. Then its outcome is unknown.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// The delay before the second attempt. It doubles with each.
const FIRST_DELAY: Duration = Duration::from_millis(20);
const MAX_DELAY: Duration = Duration::from_millis(320);

/// A call of a method of [`LogStore`](super::store::LogStore).
pub(super) type StoreCall<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The time in which all calls of one operation have to end, and the delays between them.
#[derive(Debug)]
pub(super) struct Attempts {
    deadline: Instant,
    delay: Duration,
}

impl Attempts {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { deadline, delay: FIRST_DELAY }
    }

    /// Makes one call. [`StoreError::Unknown`] also if the time is over.
    pub(super) async fn once<T>(&self, call: StoreCall<'_, T>) -> Result<T, StoreError> {
        let until = self.deadline.min(Instant::now() + ATTEMPT_TIMEOUT);
        if until <= Instant::now() {
            return Err(StoreError::Unknown);
        }
        timeout_at(until, call).await.unwrap_or(Err(StoreError::Unknown))
    }

    /// Makes a call that may be repeated, until it is answered or the time is over.
    pub(super) async fn repeat<'a, T>(&mut self, call: impl Fn() -> StoreCall<'a, T>) -> Result<T, StoreError> {
        loop {
            match self.once(call()).await {
                Err(StoreError::Unknown) => self.wait(None, StoreError::Unknown).await?,
                Err(StoreError::Throttled(wait)) => self.wait(wait, StoreError::Throttled(wait)).await?,
                outcome => return outcome,
            }
        }
    }

    /// Waits before the next attempt, at least `least`. Fails with `error` if the time would be over then.
    pub(super) async fn wait(&mut self, least: Option<Duration>, error: StoreError) -> Result<(), StoreError> {
        let until = Instant::now() + least.unwrap_or_default().max(self.delay);
        if until >= self.deadline {
            return Err(error);
        }
        sleep_until(until).await;
        self.delay = (self.delay * 2).min(MAX_DELAY);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    async fn repeat(outcome: &'static Result<(), StoreError>) -> (usize, Duration, Result<(), StoreError>) {
        let (calls, begin) = (AtomicUsize::new(0), Instant::now());
        let mut attempts = Attempts::until(begin + Duration::from_secs(3));
        let call = || {
            calls.fetch_add(1, Relaxed);
            Box::pin(async { outcome.clone() }) as StoreCall<'_, ()>
        };
        let outcome = attempts.repeat(call).await;
        (calls.load(Relaxed), begin.elapsed(), outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn only_failures_that_pass_are_repeated_and_not_for_long() {
        static THROTTLED: Result<(), StoreError> = Err(StoreError::Throttled(Some(Duration::from_secs(2))));
        let (calls, elapsed, outcome) = repeat(&Err(StoreError::Unknown)).await;
        assert!((5..20).contains(&calls) && elapsed < Duration::from_secs(3), "{calls} {elapsed:?}");
        assert_eq!(outcome, Err(StoreError::Unknown));
        assert_eq!(repeat(&THROTTLED).await, (2, Duration::from_secs(2), THROTTLED.clone()));
        assert_eq!(repeat(&Ok(())).await, (1, Duration::ZERO, Ok(())));
        assert_eq!(repeat(&Err(StoreError::BlobIsSealed)).await.0, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_does_not_end_is_abandoned() {
        let begin = Instant::now();
        let attempts = Attempts::until(begin + Duration::from_millis(1_500));
        for elapsed in [1_000, 1_500, 1_500] {
            let never = Box::pin(std::future::pending::<Result<(), StoreError>>());
            assert_eq!(attempts.once(never).await, Err(StoreError::Unknown));
            assert_eq!(begin.elapsed(), Duration::from_millis(elapsed));
        }
    }
}
