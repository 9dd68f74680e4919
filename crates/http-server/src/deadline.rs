//! [`Deadline`]: ends a connection whose peer is too slow.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::activity::Wait;
use crate::limits::Limits;

/// The time by which what a connection waits for has to happen.
///
/// A timer of tokio is a lock and a place in a wheel. Requests that follow each other do not touch it: it is set only if it would fire too
/// late, and when it fires too early.
pub(crate) struct Deadline {
    wait: Wait,
    time: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer wakes the task of the connection, which never changes.
    is_registered: bool,
}

impl Deadline {
    pub(crate) fn new(limits: &Limits) -> Self {
        let time = Instant::now() + limits.idle_timeout;
        Self { wait: Wait::Request(0), time: Some(time), timer: Box::pin(sleep_until(time)), is_registered: false }
    }

    /// Ready when the connection has waited for `wait` for too long.
    pub(crate) fn poll(&mut self, wait: Wait, limits: &Limits, context: &mut Context<'_>) -> Poll<()> {
        if wait != self.wait {
            self.wait = wait;
            self.time = timeout(wait, limits).map(|timeout| Instant::now() + timeout);
        }
        let Some(time) = self.time else { return Poll::Pending };
        if time < self.timer.deadline() {
            self.timer.as_mut().reset(time);
            self.is_registered = false;
        }
        if self.is_registered && !self.timer.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            self.is_registered = true;
            ready!(self.timer.as_mut().poll(context));
            if time <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(time);
        }
    }
}

fn timeout(wait: Wait, limits: &Limits) -> Option<Duration> {
    match wait {
        Wait::Request(_) => Some(limits.idle_timeout),
        Wait::Head(_) => Some(limits.head_timeout),
        Wait::Service => None,
        Wait::Reader(_) => Some(limits.write_timeout),
        Wait::Close => Some(limits.linger_timeout),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Whether the deadline has passed after `seconds` in which the connection waits for `wait`.
    async fn passes(deadline: &mut Deadline, wait: Wait, seconds: u64) -> bool {
        let limits = Limits::default();
        let passing = poll_fn(|context| deadline.poll(wait, &limits, context));
        tokio::time::timeout(Duration::from_secs(seconds), passing).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn every_wait_has_its_own_limit() {
        for (wait, seconds) in [(Wait::Request(1), 180), (Wait::Head(0), 20), (Wait::Reader(1), 60), (Wait::Close, 2)] {
            let mut deadline = Deadline::new(&Limits::default());
            assert!(!passes(&mut deadline, wait, seconds - 1).await, "{wait:?}");
            assert!(passes(&mut deadline, wait, 2).await, "{wait:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_may_take_any_time() {
        let mut deadline = Deadline::new(&Limits::default());
        assert!(!passes(&mut deadline, Wait::Service, 100_000).await);
        assert!(!passes(&mut deadline, Wait::Request(1), 179).await);
        assert!(passes(&mut deadline, Wait::Request(1), 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_starts_the_idle_time_again() {
        let mut deadline = Deadline::new(&Limits::default());
        for calls in 1..10 {
            assert!(!passes(&mut deadline, Wait::Request(calls), 179).await, "{calls}");
        }
        assert!(passes(&mut deadline, Wait::Request(9), 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_begins_late_has_its_whole_time_and_no_more() {
        let mut deadline = Deadline::new(&Limits::default());
        assert!(!passes(&mut deadline, Wait::Request(0), 179).await);
        assert!(!passes(&mut deadline, Wait::Head(0), 19).await);
        assert!(passes(&mut deadline, Wait::Head(0), 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_reads_something_goes_on() {
        let mut deadline = Deadline::new(&Limits::default());
        for writes in 1..10 {
            assert!(!passes(&mut deadline, Wait::Reader(writes), 59).await, "{writes}");
        }
        assert!(passes(&mut deadline, Wait::Reader(9), 2).await);
    }
}
