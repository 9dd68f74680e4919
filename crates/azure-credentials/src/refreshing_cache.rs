//! `RefreshingCache`: caches one value that expires, and fetches the next one ahead of its expiry.
//!
//! A single background task fetches, so any number of callers cause one request. They read what the task has published and wait only
//! while there is no value. No lock is held across an await.

use std::iter::successors;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use crate::expiring::{Expiring, Freshness, next_retry};

/// Fetches the values of a [`RefreshingCache`].
pub trait Fetch: Send + Sync + 'static {
    /// What is fetched.
    type Value: Clone + Send + Sync + 'static;
    /// Why a fetch failed. It is logged and returned to every waiting caller, so it must contain no secret.
    type Error: std::error::Error + Clone + Send + Sync + 'static;

    /// What the value is and what it is for, for the log.
    fn name(&self) -> &str;

    /// Fetches one value. The implementation limits how long that takes.
    fn fetch(&self) -> impl Future<Output = Result<Expiring<Self::Value>, Self::Error>> + Send;
}

/// A value that a background task fetches and renews. Clones share it; when the last one is dropped, the task ends.
pub struct RefreshingCache<T, E> {
    state: watch::Receiver<State<T, E>>,
    signal: Arc<RefreshSignal>,
}

/// Wakes the background task: to compare its schedule with the clock, or to fetch at once.
#[derive(Default)]
struct RefreshSignal {
    wake: Notify,
    /// The number of the last fetch that a caller has asked for.
    fetch: AtomicU64,
}

/// Why a cache has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable<E> {
    /// The last fetch failed.
    Failed {
        /// Why.
        error: E,
        /// How long it takes until the next fetch.
        retry_after: Duration,
    },
    /// The runtime of the background task has ended.
    Stopped,
}

/// A failed renewal keeps a value that is still valid.
struct State<T, E> {
    value: Option<Expiring<T>>,
    failure: Option<Failure<E>>,
    /// The number of fetches so far.
    fetches: u64,
}

struct Failure<E> {
    error: E,
    retry_at: SystemTime,
}

impl<T: Clone + Send + Sync + 'static, E: Clone + Send + Sync + 'static> RefreshingCache<T, E> {
    /// Starts the background task, which fetches the first value at once. `clock` tells it the time.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start<F: Fetch<Value = T, Error = E>>(fetch: F, clock: fn() -> SystemTime) -> Self {
        let (publish, state) = watch::channel(State { value: None, failure: None, fetches: 0 });
        let signal = Arc::<RefreshSignal>::default();
        tokio::spawn(refresh(fetch, publish, signal.clone(), clock));
        Self { state, signal }
    }

    /// The value, if there is one that is valid at `now`.
    pub fn cached(&self, now: SystemTime) -> Option<T> {
        self.state.borrow().valid(now).map(|valid| {
            self.wake_if_late(valid, now);
            valid.value.clone()
        })
    }

    /// A value that is valid at `now`; waits for the next fetch if there is none.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when there is no value and the last fetch failed, until the next one is due.
    pub async fn get(&self, now: SystemTime) -> Result<T, Unavailable<E>> {
        let mut state = self.state.clone();
        loop {
            if let Some(outcome) = self.read(&state.borrow_and_update(), now) {
                return outcome;
            }
            state.changed().await.map_err(|_| Unavailable::Stopped)?;
        }
    }

    /// Like [`get`](Self::get), but fetches at once if `is_outdated` says so of a value that is still valid.
    ///
    /// Concurrent callers share one fetch and return its value without checking it again, so `is_outdated` alone decides how often
    /// there can be one. After a failed fetch, [`get`](Self::get) still returns the previous value.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when there is no value, or no newer one.
    pub async fn get_newer(&self, is_outdated: impl Fn(&T) -> bool, now: SystemTime) -> Result<T, Unavailable<E>> {
        let mut state = self.state.clone();
        let fetches = {
            let state = state.borrow_and_update();
            if let Some(valid) = state.valid(now).filter(|valid| !is_outdated(&valid.value)) {
                return Ok(valid.value.clone());
            }
            if let Some(unavailable) = state.unavailable(now) {
                return Err(unavailable);
            }
            state.fetches
        };
        self.signal.fetch.fetch_max(fetches + 1, Ordering::AcqRel);
        self.signal.wake.notify_one();
        let state = state.wait_for(|state| state.fetches > fetches).await.map_err(|_| Unavailable::Stopped)?;
        match (state.unavailable(now), state.valid(now)) {
            (None, Some(valid)) => Ok(valid.value.clone()),
            (unavailable, _) => Err(unavailable.unwrap_or(Unavailable::Stopped)),
        }
    }

    /// Like [`get`](Self::get), but waits through failures, without a time limit. `None` when the background task has ended.
    pub async fn wait(&self, clock: fn() -> SystemTime) -> Option<T> {
        let mut state = self.state.clone();
        let state = state.wait_for(|state| state.valid(clock()).is_some()).await.ok()?;
        state.value.as_ref().map(|valid| valid.value.clone())
    }

    fn read(&self, state: &State<T, E>, now: SystemTime) -> Option<Result<T, Unavailable<E>>> {
        if let Some(valid) = state.valid(now) {
            self.wake_if_late(valid, now);
            return Some(Ok(valid.value.clone()));
        }
        state.unavailable(now).map(Err).or_else(|| {
            self.signal.wake.notify_one();
            None
        })
    }

    /// Timers stop while a machine sleeps and the clock does not, so a caller can be the first to see that a renewal is due.
    fn wake_if_late(&self, value: &Expiring<T>, now: SystemTime) {
        if value.freshness(now) == Freshness::Renew {
            self.signal.wake.notify_one();
        }
    }
}

impl<T, E> Clone for RefreshingCache<T, E> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), signal: self.signal.clone() }
    }
}

impl<T, E: Clone> State<T, E> {
    fn valid(&self, now: SystemTime) -> Option<&Expiring<T>> {
        self.value.as_ref().filter(|value| value.freshness(now) != Freshness::Expired)
    }

    /// The failure of the last fetch, until the next one is due.
    fn unavailable(&self, now: SystemTime) -> Option<Unavailable<E>> {
        let failure = self.failure.as_ref()?;
        let retry_after = failure.retry_at.duration_since(now).ok().filter(|wait| !wait.is_zero())?;
        Some(Unavailable::Failed { error: failure.error.clone(), retry_after })
    }
}

/// The background task.
async fn refresh<F: Fetch>(
    fetch: F,
    publish: watch::Sender<State<F::Value, F::Error>>,
    signal: Arc<RefreshSignal>,
    clock: fn() -> SystemTime,
) {
    let (mut failures, mut fetches) = (0, 0);
    loop {
        let outcome = tokio::select! {
            outcome = fetch.fetch() => outcome,
            () = publish.closed() => return,
        };
        let now = clock();
        fetches += 1;
        let next = match outcome {
            Ok(value) => {
                debug!("got {}", fetch.name());
                failures = 0;
                let next = value.next_fetch(now);
                publish.send_replace(State { value: Some(value), failure: None, fetches });
                next
            }
            Err(error) => {
                failures += 1;
                let retry_at = next_retry(failures, now, fastrand::f64());
                log_failure(fetch.name(), &error, retry_at.duration_since(now).unwrap_or_default());
                publish.send_modify(|state| {
                    state.failure = Some(Failure { error, retry_at });
                    state.fetches = fetches;
                });
                retry_at
            }
        };
        while let Ok(wait) = next.duration_since(clock())
            && !wait.is_zero()
            && signal.fetch.load(Ordering::Acquire) <= fetches
        {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = signal.wake.notified() => {}
                () = publish.closed() => return,
            }
        }
    }
}

/// Logs the error with its causes: usually no caller is waiting for it.
fn log_failure(name: &str, error: &(dyn std::error::Error + 'static), wait: Duration) {
    let chain: Vec<_> = successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    warn!("{name} could not be had, next try in {:.1} s: {}", wait.as_secs_f64(), chain.join(": "));
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::atomic::AtomicU32;
    use std::time::UNIX_EPOCH;

    use tokio::task::JoinSet;
    use tokio::time::Instant;

    use super::*;

    thread_local! {
        static START: Instant = Instant::now();
    }

    /// Follows the paused time of the runtime: each test has a thread and a runtime of its own.
    fn clock() -> SystemTime {
        UNIX_EPOCH + START.with(Instant::elapsed)
    }

    /// The value is the number of the call. Calls in `failing` fail.
    #[derive(Clone, Default)]
    struct Numbers {
        calls: Arc<AtomicU32>,
        failing: std::ops::Range<u32>,
        takes: Duration,
    }

    impl Fetch for Numbers {
        type Value = u32;
        type Error = fmt::Error;

        fn name(&self) -> &str {
            "a number"
        }

        async fn fetch(&self) -> Result<Expiring<u32>, fmt::Error> {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(self.takes).await;
            if self.failing.contains(&call) {
                return Err(fmt::Error);
            }
            Ok(Expiring::token(call, clock(), clock() + minutes(60)))
        }
    }

    impl Numbers {
        fn calls(&self) -> u32 {
            self.calls.load(Ordering::SeqCst)
        }

        fn start(self) -> (Self, RefreshingCache<u32, fmt::Error>) {
            (self.clone(), RefreshingCache::start(self, clock))
        }
    }

    /// The values that 50 concurrent callers of `get` receive.
    async fn concurrent<F: Future<Output = u32> + Send + 'static>(get: impl Fn() -> F) -> Vec<u32> {
        (0..50).map(|_| get()).collect::<JoinSet<_>>().join_all().await
    }

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_share_one_fetch() {
        let (numbers, cache) = Numbers { takes: Duration::from_secs(2), ..Numbers::default() }.start();
        let values = concurrent(|| {
            let cache = cache.clone();
            async move { cache.get(clock()).await.unwrap() }
        });
        assert_eq!(values.await, [1; 50]);
        assert_eq!((cache.cached(clock()), numbers.calls()), (Some(1), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_renewed_before_it_expires() {
        let (numbers, cache) = Numbers { takes: minutes(1), ..Numbers::default() }.start();
        cache.get(clock()).await.unwrap();
        for minute in 1..600 {
            tokio::time::sleep(minutes(1)).await;
            assert!(cache.cached(clock()).is_some(), "minute {minute}");
        }
        assert_eq!(numbers.calls(), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_renewal_keeps_the_old_value_until_it_expires_and_is_retried() {
        let (numbers, cache) = Numbers { failing: 2..4, ..Numbers::default() }.start();
        assert_eq!(cache.get(clock()).await.unwrap(), 1);
        tokio::time::sleep(minutes(55) + Duration::from_millis(1)).await;
        assert_eq!((cache.get(clock()).await.unwrap(), numbers.calls()), (1, 2));
        tokio::time::sleep(minutes(1)).await;
        assert_eq!((cache.get(clock()).await.unwrap(), numbers.calls()), (4, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_value_is_not_returned_and_the_error_says_when_to_retry() {
        let (numbers, cache) = Numbers { failing: 2..u32::MAX, ..Numbers::default() }.start();
        cache.get(clock()).await.unwrap();
        tokio::time::sleep(minutes(61)).await;
        let calls = numbers.calls();
        let Err(Unavailable::Failed { error, retry_after }) = cache.get(clock()).await else { panic!("there is none") };
        assert!(error == fmt::Error && retry_after <= minutes(1));
        assert_eq!((cache.cached(clock()), numbers.calls()), (None, calls));
    }

    #[tokio::test(start_paused = true)]
    async fn wait_returns_the_first_value_after_failures() {
        let (_, cache) = Numbers { failing: 1..5, ..Numbers::default() }.start();
        assert_eq!(cache.wait(clock).await.unwrap(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_with_an_outdated_value_share_one_newer_value() {
        let (numbers, cache) = Numbers { takes: Duration::from_secs(2), ..Numbers::default() }.start();
        assert_eq!(cache.get(clock()).await.unwrap(), 1);
        assert_eq!((cache.get_newer(|_| false, clock()).await.unwrap(), numbers.calls()), (1, 1));
        let values = concurrent(|| {
            let cache = cache.clone();
            async move { cache.get_newer(|number| *number < 2, clock()).await.unwrap() }
        });
        assert_eq!(values.await, [2; 50]);
        tokio::time::sleep(minutes(1)).await;
        assert_eq!((cache.get_newer(|number| *number < 2, clock()).await.unwrap(), numbers.calls()), (2, 2));
        // The next renewal is counted from then.
        tokio::time::sleep(minutes(55)).await;
        assert_eq!(numbers.calls(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failed_fetch_the_old_value_stays_and_retries_are_delayed() {
        let (numbers, cache) = Numbers { failing: 2..u32::MAX, ..Numbers::default() }.start();
        cache.get(clock()).await.unwrap();
        for _ in 0..50 {
            let Err(Unavailable::Failed { retry_after, .. }) = cache.get_newer(|_| true, clock()).await else {
                panic!("there is nothing newer");
            };
            assert!(!retry_after.is_zero());
        }
        assert_eq!((cache.get(clock()).await.unwrap(), numbers.calls()), (1, 2));
    }

    /// Fetches a value that lasts until the last time there is.
    struct Endless;

    impl Fetch for Endless {
        type Value = ();
        type Error = fmt::Error;

        fn name(&self) -> &str {
            "a value"
        }

        async fn fetch(&self) -> Result<Expiring<()>, fmt::Error> {
            Ok(Expiring::token((), clock(), UNIX_EPOCH + Duration::from_secs(i64::MAX as u64)))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_never_expires_is_kept() {
        let cache = RefreshingCache::start(Endless, clock);
        cache.get(clock()).await.unwrap();
        tokio::time::sleep(minutes(60 * 24 * 365)).await;
        assert_eq!((cache.cached(clock()), cache.get(clock()).await), (Some(()), Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_ends_with_the_last_clone() {
        let (numbers, cache) = Numbers::default().start();
        cache.get(clock()).await.unwrap();
        drop(cache);
        tokio::time::sleep(minutes(600)).await;
        assert_eq!(numbers.calls(), 1);
    }
}
