//! When to ping a client, and when it has timed out. Pure state; the time is an argument.
//!
//! As in ASP.NET Core, the client timeout starts with the first ping of the client; a client that never pings never times out.

use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    Timeout,
}

/// The keep-alive times of one connection.
#[derive(Debug)]
pub(super) struct KeepAlive {
    /// `None` for transports without pings.
    ping_interval: Option<Duration>,
    client_timeout: Duration,
    last_sent: Instant,
    last_received: Instant,
    has_pinged: bool,
}

impl KeepAlive {
    pub(super) fn new(now: Instant, ping_interval: Option<Duration>, client_timeout: Duration) -> Self {
        Self { ping_interval, client_timeout, last_sent: now, last_received: now, has_pinged: false }
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    pub(super) fn received(&mut self, now: Instant) {
        self.last_received = now;
    }

    pub(super) fn ping_received(&mut self) {
        self.has_pinged = self.ping_interval.is_some();
    }

    /// What is due at `now`.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        if self.timeout_at().is_some_and(|at| now >= at) {
            Some(Due::Timeout)
        } else {
            self.ping_at().is_some_and(|at| now >= at).then_some(Due::Ping)
        }
    }

    /// When something is due next. `sent` and `received` only move it later, so a timer need not be reset for them; only
    /// `ping_received` can move it earlier.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.ping_at().into_iter().chain(self.timeout_at()).min()
    }

    fn ping_at(&self) -> Option<Instant> {
        self.ping_interval.map(|interval| self.last_sent + interval)
    }

    fn timeout_at(&self) -> Option<Instant> {
        self.has_pinged.then(|| self.last_received + self.client_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn keep_alive() -> (KeepAlive, Instant) {
        let start = Instant::now();
        (KeepAlive::new(start, Some(15 * SECOND), 30 * SECOND), start)
    }

    #[test]
    fn a_ping_is_due_when_nothing_was_sent_for_the_interval() {
        let (mut keep_alive, start) = keep_alive();
        assert_eq!(keep_alive.due(start + 14 * SECOND), None);
        assert_eq!(keep_alive.due(start + 15 * SECOND), Some(Due::Ping));
        keep_alive.sent(start + 10 * SECOND);
        assert_eq!(keep_alive.due(start + 24 * SECOND), None);
        assert_eq!(keep_alive.next_due(), Some(start + 25 * SECOND));
    }

    #[test]
    fn a_client_that_has_pinged_can_time_out() {
        let (mut keep_alive, start) = keep_alive();
        keep_alive.ping_received();
        keep_alive.sent(start + 29 * SECOND);
        assert_eq!(keep_alive.next_due(), Some(start + 30 * SECOND));
        assert_eq!(keep_alive.due(start + 30 * SECOND), Some(Due::Timeout));
        keep_alive.received(start + 1 * SECOND);
        assert_eq!(keep_alive.due(start + 30 * SECOND), None);
    }

    #[test]
    fn a_client_that_never_pings_does_not_time_out() {
        let (mut keep_alive, start) = keep_alive();
        keep_alive.sent(start + 3600 * SECOND);
        assert_eq!(keep_alive.due(start + 3600 * SECOND), None);
    }

    #[test]
    fn nothing_is_due_on_a_transport_without_pings() {
        let start = Instant::now();
        let mut keep_alive = KeepAlive::new(start, None, 30 * SECOND);
        keep_alive.ping_received();
        assert_eq!((keep_alive.next_due(), keep_alive.due(start + 3600 * SECOND)), (None, None));
    }
}
