//! Keeps one thing that expires: a task gets it, publishes it, and gets another in time.
//!
//! Only that task ever asks, so any number of callers make one request; they read what it has published, and wait only
//! where there is nothing to read. No lock is held while anything is awaited.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use crate::entra::kept::{Freshness, Kept, next_try};
use crate::error::{Error, Kind};

/// Where new ones come from.
pub(super) trait Fetch: Send + Sync + 'static {
    /// What comes.
    type Value: Clone + Send + Sync + 'static;
    /// For the log: what it is.
    const NAME: &'static str;

    /// Gets one, or says why not; bounded in time by whoever implements it.
    fn fetch(&self) -> impl Future<Output = Result<Kept<Self::Value>, Error>> + Send;
}

/// What the task has published. Clones are the same keeper; when the last is dropped, the task ends.
pub(super) struct Keeper<T> {
    state: watch::Receiver<State<T>>,
    nudge: Arc<Notify>,
}

/// A failed renewal does not take away what is still good.
struct State<T> {
    kept: Option<Kept<T>>,
    failure: Option<Failure>,
}

/// Why the last try failed, and when the next one begins.
struct Failure {
    error: Error,
    next: SystemTime,
}

impl<T: Clone + Send + Sync + 'static> Keeper<T> {
    /// Starts to keep what `fetch` gets. The clock is asked when something has come, and whether it is time for the next.
    pub(super) fn start<F: Fetch<Value = T>>(fetch: F, clock: fn() -> SystemTime) -> Self {
        let (publish, state) = watch::channel(State { kept: None, failure: None });
        let nudge = Arc::new(Notify::new());
        tokio::spawn(keep(fetch, publish, nudge.clone(), clock));
        Self { state, nudge }
    }

    /// What is there and still good at `now`.
    pub(super) fn look(&self, now: SystemTime) -> Option<T> {
        self.state.borrow().good(now).map(|kept| {
            self.nudge_if_late(kept, now);
            kept.value.clone()
        })
    }

    /// What is good at `now`; where there is nothing, what comes next. Fails with the failure of the last try, as long as the next
    /// one is not due.
    pub(super) async fn get(&self, now: SystemTime) -> Result<T, Error> {
        let mut state = self.state.clone();
        loop {
            if let Some(outcome) = self.read(&state.borrow_and_update(), now) {
                return outcome;
            }
            // The task lives as long as the runtime it was started in.
            state.changed().await.map_err(|_| Kind::Unusable)?;
        }
    }

    /// As `get`, but for whoever has time: waits through failures.
    pub(super) async fn wait(&self, clock: fn() -> SystemTime) -> Result<T, Error> {
        let mut state = self.state.clone();
        let good = state.wait_for(|state| state.good(clock()).is_some()).await;
        let good = good.map_err(|_| Kind::Unusable)?;
        good.kept.as_ref().map(|kept| kept.value.clone()).ok_or_else(|| Kind::Unusable.into())
    }

    fn read(&self, state: &State<T>, now: SystemTime) -> Option<Result<T, Error>> {
        if let Some(kept) = state.good(now) {
            self.nudge_if_late(kept, now);
            return Some(Ok(kept.value.clone()));
        }
        let wait = state.failure.as_ref().and_then(|failure| failure.next.duration_since(now).ok());
        match (&state.failure, wait) {
            (Some(failure), Some(wait)) if !wait.is_zero() => Some(Err(failure.error.clone().until(wait))),
            _ => {
                self.nudge.notify_one();
                None
            }
        }
    }

    /// Timers stand still while a machine sleeps, the clock does not: then a caller is the first to notice.
    fn nudge_if_late(&self, kept: &Kept<T>, now: SystemTime) {
        if kept.freshness(now) == Freshness::Renew {
            self.nudge.notify_one();
        }
    }
}

impl<T> Clone for Keeper<T> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), nudge: self.nudge.clone() }
    }
}

impl<T> State<T> {
    fn good(&self, now: SystemTime) -> Option<&Kept<T>> {
        self.kept.as_ref().filter(|kept| kept.freshness(now) != Freshness::Expired)
    }
}

async fn keep<F: Fetch>(
    fetch: F,
    publish: watch::Sender<State<F::Value>>,
    nudge: Arc<Notify>,
    clock: fn() -> SystemTime,
) {
    let mut failures = 0;
    loop {
        let outcome = tokio::select! {
            outcome = fetch.fetch() => outcome,
            () = publish.closed() => return,
        };
        let now = clock();
        let next = match outcome {
            Ok(kept) => {
                debug!("got {}", F::NAME);
                failures = 0;
                let next = kept.next(now);
                publish.send_replace(State { kept: Some(kept), failure: None });
                next
            }
            Err(error) => {
                failures += 1;
                let next = next_try(failures, now, fastrand::f64());
                let wait = next.duration_since(now).unwrap_or_default();
                tell(F::NAME, &error, wait);
                publish.send_modify(|state| state.failure = Some(Failure { error, next }));
                next
            }
        };
        while let Ok(wait) = next.duration_since(clock())
            && !wait.is_zero()
        {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = nudge.notified() => {}
                () = publish.closed() => return,
            }
        }
    }
}

/// There is no caller to tell: those that wait get a copy, and usually nobody waits.
fn tell(name: &str, error: &Error, wait: Duration) {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    warn!("{name} could not be had, next try in {:.1} s: {words}", wait.as_secs_f64());
}
