//! Keeps one thing that expires: a task gets it, publishes it, and gets another in time.
//!
//! Only that task ever asks, so any number of callers make one request; they read what it has published, and wait only
//! where there is nothing to read. No lock is held while anything is awaited.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use crate::kept::{Freshness, Kept, next_try};

/// Where new ones come from.
pub trait Fetch: Send + Sync + 'static {
    /// What comes.
    type Value: Clone + Send + Sync + 'static;
    /// Why nothing came. It is told to each caller that waited, and it is logged: it holds no secret.
    type Error: std::error::Error + Clone + Send + Sync + 'static;

    /// For the log: what it is, and what it is for.
    fn name(&self) -> &str;

    /// Gets one, or says why not; bounded in time by whoever implements it.
    fn fetch(&self) -> impl Future<Output = Result<Kept<Self::Value>, Self::Error>> + Send;
}

/// What the task has published. Clones are the same keeper; when the last is dropped, the task ends.
pub struct Keeper<T, E> {
    state: watch::Receiver<State<T, E>>,
    wishes: Arc<Wishes>,
}

/// What callers ask of the task: to look at the clock, or to get another one whatever the clock says.
#[derive(Default)]
struct Wishes {
    nudge: Notify,
    /// The last round that anybody wants.
    round: AtomicU64,
}

/// Why there is nothing to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing<E> {
    /// The last try failed.
    Failed {
        /// Why.
        error: E,
        /// How long it takes until the next try.
        wait: Duration,
    },
    /// Nobody tries any more: the runtime has ended in which that was done.
    Ended,
}

/// A failed renewal does not take away what is still good.
struct State<T, E> {
    kept: Option<Kept<T>>,
    failure: Option<Failure<E>>,
    /// How many tries there have been.
    round: u64,
}

/// Why the last try failed, and when the next one begins.
struct Failure<E> {
    error: E,
    next: SystemTime,
}

impl<T: Clone + Send + Sync + 'static, E: Clone + Send + Sync + 'static> Keeper<T, E> {
    /// Starts to keep what `fetch` gets. The clock is asked when something has come, and whether it is time for the next.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start<F: Fetch<Value = T, Error = E>>(fetch: F, clock: fn() -> SystemTime) -> Self {
        let (publish, state) = watch::channel(State { kept: None, failure: None, round: 0 });
        let wishes = Arc::<Wishes>::default();
        tokio::spawn(keep(fetch, publish, wishes.clone(), clock));
        Self { state, wishes }
    }

    /// What is there and still good at `now`.
    #[must_use]
    pub fn look(&self, now: SystemTime) -> Option<T> {
        self.state.borrow().good(now).map(|kept| {
            self.nudge_if_late(kept, now);
            kept.value.clone()
        })
    }

    /// What is good at `now`; where there is nothing, what comes next. Fails with the failure of the last try, as long as the next
    /// one is not due.
    ///
    /// # Errors
    ///
    /// When there is nothing.
    pub async fn get(&self, now: SystemTime) -> Result<T, Missing<E>> {
        let mut state = self.state.clone();
        loop {
            if let Some(outcome) = self.read(&state.borrow_and_update(), now) {
                return outcome;
            }
            // The task lives as long as the runtime it was started in.
            state.changed().await.map_err(|_| Missing::Ended)?;
        }
    }

    /// As [`get`](Self::get), but for whoever finds that what is there is outdated, whatever the clock says: gets another at once.
    ///
    /// Callers that come together share one try, and what it brings is theirs without another look, so `is_outdated` decides how
    /// often there can be one. After a failed try the old one is still there for [`get`](Self::get).
    ///
    /// # Errors
    ///
    /// When there is nothing, or nothing newer could be had.
    pub async fn newer(&self, is_outdated: impl Fn(&T) -> bool, now: SystemTime) -> Result<T, Missing<E>> {
        let mut state = self.state.clone();
        let seen = {
            let state = state.borrow_and_update();
            if let Some(kept) = state.good(now).filter(|kept| !is_outdated(&kept.value)) {
                return Ok(kept.value.clone());
            }
            if let Some(missing) = state.missing(now) {
                return Err(missing);
            }
            state.round
        };
        self.wishes.another_after(seen);
        let state = state.wait_for(|state| state.round > seen).await.map_err(|_| Missing::Ended)?;
        match (state.missing(now), state.good(now)) {
            (None, Some(kept)) => Ok(kept.value.clone()),
            (missing, _) => Err(missing.unwrap_or(Missing::Ended)),
        }
    }

    /// As [`get`](Self::get), but for whoever has time: waits through failures. `None` when nobody tries any more.
    pub async fn wait(&self, clock: fn() -> SystemTime) -> Option<T> {
        let mut state = self.state.clone();
        let good = state.wait_for(|state| state.good(clock()).is_some()).await.ok()?;
        good.kept.as_ref().map(|kept| kept.value.clone())
    }

    fn read(&self, state: &State<T, E>, now: SystemTime) -> Option<Result<T, Missing<E>>> {
        if let Some(kept) = state.good(now) {
            self.nudge_if_late(kept, now);
            return Some(Ok(kept.value.clone()));
        }
        let missing = state.missing(now).map(Err);
        if missing.is_none() {
            self.wishes.nudge.notify_one();
        }
        missing
    }

    /// Timers stand still while a machine sleeps, the clock does not: then a caller is the first to notice.
    fn nudge_if_late(&self, kept: &Kept<T>, now: SystemTime) {
        if kept.freshness(now) == Freshness::Renew {
            self.wishes.nudge.notify_one();
        }
    }
}

impl Wishes {
    fn another_after(&self, round: u64) {
        self.round.fetch_max(round + 1, Ordering::AcqRel);
        self.nudge.notify_one();
    }

    fn are_for_more_than(&self, round: u64) -> bool {
        self.round.load(Ordering::Acquire) > round
    }
}

impl<T, E> Clone for Keeper<T, E> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), wishes: self.wishes.clone() }
    }
}

impl<T, E: Clone> State<T, E> {
    fn good(&self, now: SystemTime) -> Option<&Kept<T>> {
        self.kept.as_ref().filter(|kept| kept.freshness(now) != Freshness::Expired)
    }

    /// The failure of the last try, while the next one is not due.
    fn missing(&self, now: SystemTime) -> Option<Missing<E>> {
        let failure = self.failure.as_ref()?;
        let wait = failure.next.duration_since(now).ok().filter(|wait| !wait.is_zero())?;
        Some(Missing::Failed { error: failure.error.clone(), wait })
    }
}

async fn keep<F: Fetch>(
    fetch: F,
    publish: watch::Sender<State<F::Value, F::Error>>,
    wishes: Arc<Wishes>,
    clock: fn() -> SystemTime,
) {
    let (mut failures, mut round) = (0, 0);
    loop {
        let outcome = tokio::select! {
            outcome = fetch.fetch() => outcome,
            () = publish.closed() => return,
        };
        let now = clock();
        round += 1;
        let next = match outcome {
            Ok(kept) => {
                debug!("got {}", fetch.name());
                failures = 0;
                let next = kept.next(now);
                publish.send_replace(State { kept: Some(kept), failure: None, round });
                next
            }
            Err(error) => {
                failures += 1;
                let next = next_try(failures, now, fastrand::f64());
                let wait = next.duration_since(now).unwrap_or_default();
                tell(fetch.name(), &error, wait);
                publish.send_modify(|state| {
                    state.failure = Some(Failure { error, next });
                    state.round = round;
                });
                next
            }
        };
        while let Ok(wait) = next.duration_since(clock())
            && !wait.is_zero()
            && !wishes.are_for_more_than(round)
        {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = wishes.nudge.notified() => {}
                () = publish.closed() => return,
            }
        }
    }
}

/// There is no caller to tell: those that wait get a copy, and usually nobody waits.
fn tell(name: &str, error: &dyn std::error::Error, wait: Duration) {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    warn!("{name} could not be had, next try in {:.1} s: {words}", wait.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::UNIX_EPOCH;

    use tokio::time::Instant;

    use super::*;
    use crate::identity::Issuer;
    use crate::no_token::{NoToken, Why};

    thread_local! {
        static BEGUN: Instant = Instant::now();
    }

    /// Follows the paused time of the runtime, which each test has to itself, as it has its thread.
    fn clock() -> SystemTime {
        UNIX_EPOCH + BEGUN.with(Instant::elapsed)
    }

    /// Counts calls; the value is the number of the call. Calls in `failing` fail.
    #[derive(Clone, Default)]
    struct Numbers {
        calls: Arc<AtomicU32>,
        failing: std::ops::Range<u32>,
        takes: Duration,
    }

    impl Fetch for Numbers {
        type Value = u32;
        type Error = NoToken;

        fn name(&self) -> &str {
            "a number"
        }

        async fn fetch(&self) -> Result<Kept<u32>, NoToken> {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(self.takes).await;
            if self.failing.contains(&call) {
                return Err(NoToken::new(Issuer::ManagedIdentity, Why::Unreachable));
            }
            Ok(Kept::token(call, clock(), clock() + minutes(60)))
        }
    }

    impl Numbers {
        fn calls(&self) -> u32 {
            self.calls.load(Ordering::SeqCst)
        }
    }

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    #[tokio::test(start_paused = true)]
    async fn callers_that_come_together_wait_for_one_and_the_same() {
        let numbers = Numbers { takes: Duration::from_secs(2), ..Numbers::default() };
        let keeper = Keeper::start(numbers.clone(), clock);
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let keeper = keeper.clone();
                tokio::spawn(async move { keeper.get(clock()).await.unwrap() })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 1);
        }
        assert_eq!((keeper.look(clock()), numbers.calls()), (Some(1), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_is_over_before_anybody_needs_it() {
        let numbers = Numbers { takes: minutes(1), ..Numbers::default() };
        let keeper = Keeper::start(numbers.clone(), clock);
        keeper.get(clock()).await.unwrap();
        for minute in 1..600 {
            tokio::time::sleep(minutes(1)).await;
            assert!(keeper.look(clock()).is_some(), "minute {minute}");
        }
        assert_eq!(numbers.calls(), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_renewal_leaves_the_old_one_until_its_end_and_is_tried_again() {
        let numbers = Numbers { failing: 2..4, ..Numbers::default() };
        let keeper = Keeper::start(numbers.clone(), clock);
        assert_eq!(keeper.get(clock()).await.unwrap(), 1);
        tokio::time::sleep(minutes(55) + Duration::from_millis(1)).await;
        assert_eq!((keeper.get(clock()).await.unwrap(), numbers.calls()), (1, 2));
        tokio::time::sleep(minutes(1)).await;
        assert_eq!((keeper.get(clock()).await.unwrap(), numbers.calls()), (4, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_is_not_given_out_and_the_failure_says_when_to_come_back() {
        let numbers = Numbers { failing: 2..u32::MAX, ..Numbers::default() };
        let keeper = Keeper::start(numbers.clone(), clock);
        keeper.get(clock()).await.unwrap();
        tokio::time::sleep(minutes(61)).await;
        let calls = numbers.calls();
        let Err(Missing::Failed { error, wait }) = keeper.get(clock()).await else { panic!("there is none") };
        assert!(error.is_retryable() && wait <= minutes(1));
        assert_eq!((keeper.look(clock()), numbers.calls()), (None, calls));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_time_waits_through_failures() {
        let numbers = Numbers { failing: 1..5, ..Numbers::default() };
        let keeper = Keeper::start(numbers, clock);
        assert_eq!(keeper.wait(clock).await.unwrap(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_the_old_one_outdated_gets_another_and_all_who_do_get_the_same() {
        let numbers = Numbers { takes: Duration::from_secs(2), ..Numbers::default() };
        let keeper = Keeper::start(numbers.clone(), clock);
        assert_eq!(keeper.get(clock()).await.unwrap(), 1);
        assert_eq!((keeper.newer(|_| false, clock()).await.unwrap(), numbers.calls()), (1, 1));
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let keeper = keeper.clone();
                tokio::spawn(async move { keeper.newer(|number| *number < 2, clock()).await.unwrap() })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 2);
        }
        tokio::time::sleep(minutes(1)).await;
        assert_eq!((keeper.newer(|number| *number < 2, clock()).await.unwrap(), numbers.calls()), (2, 2));
        // The next renewal is counted from then.
        tokio::time::sleep(minutes(55)).await;
        assert_eq!(numbers.calls(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_newer_can_be_had_the_old_one_stays_and_nobody_hurries() {
        let numbers = Numbers { failing: 2..u32::MAX, ..Numbers::default() };
        let keeper = Keeper::start(numbers.clone(), clock);
        keeper.get(clock()).await.unwrap();
        for _ in 0..50 {
            let Err(Missing::Failed { wait, .. }) = keeper.newer(|_| true, clock()).await else {
                panic!("there is nothing newer");
            };
            assert!(!wait.is_zero());
        }
        assert_eq!((keeper.get(clock()).await.unwrap(), numbers.calls()), (1, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn when_nobody_is_left_nothing_is_asked_any_more() {
        let numbers = Numbers::default();
        let keeper = Keeper::start(numbers.clone(), clock);
        keeper.get(clock()).await.unwrap();
        drop(keeper);
        tokio::time::sleep(minutes(600)).await;
        assert_eq!(numbers.calls(), 1);
    }
}
