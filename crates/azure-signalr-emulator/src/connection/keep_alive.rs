//! When to ping a client, and when to give it up. Pure: the time is an argument.
//!
//! A client that never pings is never given up: stock servers arm the timeout with the first ping, and clients exist
//! that rely on it.

use std::time::Duration;

use tokio::time::Instant;

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    GiveUp,
}

/// The clock of one connection.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// `None` where the transport shows by itself that both sides are there.
    ping_interval: Option<Duration>,
    client_timeout: Duration,
    sent: Instant,
    heard: Instant,
    armed: bool,
}

impl Rhythm {
    pub(super) fn new(now: Instant, ping_interval: Option<Duration>, client_timeout: Duration) -> Self {
        Self { ping_interval, client_timeout, sent: now, heard: now, armed: false }
    }

    /// Something was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = now;
    }

    /// Something came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// A ping came.
    pub(super) fn pinged(&mut self) {
        self.armed = self.ping_interval.is_some();
    }

    /// What is due now, if anything.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        if self.gives_up().is_some_and(|at| now >= at) {
            Some(Due::GiveUp)
        } else {
            self.pings().is_some_and(|at| now >= at).then_some(Due::Ping)
        }
    }

    /// When to ask again. Sending and hearing only ever move it later, so an alarm set earlier rings for nothing, and
    /// need not be set anew each time. Only arming may move it earlier.
    pub(super) fn alarm(&self) -> Option<Instant> {
        self.pings().into_iter().chain(self.gives_up()).min()
    }

    fn pings(&self) -> Option<Instant> {
        self.ping_interval.map(|interval| self.sent + interval)
    }

    fn gives_up(&self) -> Option<Instant> {
        self.armed.then(|| self.heard + self.client_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rhythm() -> (Rhythm, Instant) {
        let start = Instant::now();
        (Rhythm::new(start, Some(15 * SECOND), 30 * SECOND), start)
    }

    #[test]
    fn a_ping_is_due_after_silence_of_the_service() {
        let (mut rhythm, start) = rhythm();
        assert_eq!(rhythm.due(start + 14 * SECOND), None);
        assert_eq!(rhythm.due(start + 15 * SECOND), Some(Due::Ping));
        rhythm.sent(start + 10 * SECOND);
        assert_eq!(rhythm.due(start + 24 * SECOND), None);
        assert_eq!(rhythm.alarm(), Some(start + 25 * SECOND));
    }

    #[test]
    fn a_client_that_pinged_once_must_be_heard_again() {
        let (mut rhythm, start) = rhythm();
        rhythm.pinged();
        rhythm.sent(start + 29 * SECOND);
        assert_eq!(rhythm.alarm(), Some(start + 30 * SECOND));
        assert_eq!(rhythm.due(start + 30 * SECOND), Some(Due::GiveUp));
        rhythm.heard(start + 1 * SECOND);
        assert_eq!(rhythm.due(start + 30 * SECOND), None);
    }

    #[test]
    fn a_client_that_never_pings_is_kept() {
        let (mut rhythm, start) = rhythm();
        rhythm.sent(start + 3600 * SECOND);
        assert_eq!(rhythm.due(start + 3600 * SECOND), None);
    }

    #[test]
    fn where_the_transport_keeps_time_nothing_is_ever_due() {
        let start = Instant::now();
        let mut rhythm = Rhythm::new(start, None, 30 * SECOND);
        rhythm.pinged();
        assert_eq!((rhythm.alarm(), rhythm.due(start + 3600 * SECOND)), (None, None));
    }
}
