//! The time that a request waits for Azure Communication Services, groups of the SignalR service, or the history. Stored in the
//! response extensions for the access log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A sum of durations. Clones share it, since part of the work runs in tasks of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpstreamTimer(Arc<Mutex<Option<Duration>>>);

impl UpstreamTimer {
    /// Awaits `call` and adds the time that it takes.
    pub(crate) async fn measure<C: Future>(&self, call: C) -> C::Output {
        let begun = Instant::now();
        let outcome = call.await;
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = Some(sum.unwrap_or_default() + begun.elapsed());
        outcome
    }

    /// The sum so far; `None` before the first call.
    pub(crate) fn sum(&self) -> Option<Duration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
