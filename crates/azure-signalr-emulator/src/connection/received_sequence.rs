//! Which messages of a client with stateful reconnect were handled, and which to acknowledge. Pure state; the time is an argument.
//!
//! Invocations, stream items and completions have sequence ids, from 1; pings, Close, Ack and Sequence have none. After a
//! reconnect the client sends the id of the first message that it sends again.

use std::time::Duration;

use tokio::time::Instant;

/// How long an acknowledgement is delayed, so that it covers more messages.
const ACK_INTERVAL: Duration = Duration::from_secs(1);

/// The client continues after messages that were never received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SequenceGap;

/// The receive side of `MessageBuffer` of ASP.NET Core.
#[derive(Debug)]
pub(super) struct ReceivedSequence {
    /// The sequence id of the next message from the client.
    next: u64,
    /// The sequence id of the last message that was handled.
    last_handled: u64,
    /// When an acknowledgement is due.
    pub(super) acknowledge_at: Option<Instant>,
    /// After a reconnect all messages are ignored until the client sends its sequence id.
    pub(super) awaits_sequence: bool,
}

impl ReceivedSequence {
    pub(super) fn new() -> Self {
        Self { next: 1, last_handled: 0, acknowledge_at: None, awaits_sequence: false }
    }

    /// Counts a received message with a sequence id. False if it must not be handled, because it was received before.
    pub(super) fn received(&mut self, now: Instant) -> bool {
        if self.awaits_sequence {
            return false;
        }
        let number = self.next;
        self.next += 1;
        self.acknowledge_at.get_or_insert(now + ACK_INTERVAL);
        if number <= self.last_handled {
            return false;
        }
        self.last_handled = number;
        true
    }

    /// Sets the sequence id of the next message from the client. Fails if messages before it were never received.
    pub(super) fn set_next(&mut self, number: u64) -> Result<(), SequenceGap> {
        if number > self.last_handled + 1 {
            return Err(SequenceGap);
        }
        self.awaits_sequence = false;
        self.next = number;
        Ok(())
    }

    /// The sequence id to acknowledge, if that is due.
    pub(super) fn take_acknowledgement(&mut self, now: Instant) -> Option<u64> {
        self.acknowledge_at.take_if(|due| *due <= now).map(|_| self.last_handled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_received_again_is_not_handled_again() {
        let (mut sequence, now) = (ReceivedSequence::new(), Instant::now());
        assert!(sequence.received(now) && sequence.received(now));
        sequence.awaits_sequence = true;
        assert!(!sequence.received(now), "messages before the sequence id are ignored");
        assert_eq!(sequence.set_next(2), Ok(()));
        assert!(!sequence.received(now), "the second, again");
        assert!(sequence.received(now), "the third");
        assert_eq!(sequence.take_acknowledgement(now + ACK_INTERVAL), Some(3));
    }

    #[test]
    fn a_client_that_skips_a_message_is_detected() {
        let (mut sequence, now) = (ReceivedSequence::new(), Instant::now());
        sequence.received(now);
        assert_eq!(sequence.set_next(3), Err(SequenceGap));
        assert_eq!(sequence.set_next(2), Ok(()));
    }

    #[test]
    fn acknowledgements_are_delayed_by_a_second() {
        let (mut sequence, now) = (ReceivedSequence::new(), Instant::now());
        assert_eq!(sequence.take_acknowledgement(now), None);
        sequence.received(now);
        sequence.received(now + ACK_INTERVAL / 2);
        assert_eq!(sequence.acknowledge_at, Some(now + ACK_INTERVAL));
        assert_eq!(sequence.take_acknowledgement(now), None);
        assert_eq!(sequence.take_acknowledgement(now + ACK_INTERVAL), Some(2));
        assert_eq!(sequence.acknowledge_at, None);
    }
}
