//! How long a request timer for Azure Communication Services. It rides on the response to the log, as a failure does.
//!
//! Part of the work goes on in tasks of its own, so it is added up in one place that all of them know.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A sum of waits. Clones add to the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpstreamTimer(Arc<Mutex<Option<Duration>>>);

impl UpstreamTimer {
    /// What `call` brings; how long that takes is added.
    pub(crate) async fn measure<C: Future>(&self, call: C) -> C::Output {
        let begun = Instant::now();
        let outcome = call.await;
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = Some(sum.unwrap_or_default() + begun.elapsed());
        outcome
    }

    /// The sum so far, if there was anything to wait for.
    pub(crate) fn sum(&self) -> Option<Duration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
