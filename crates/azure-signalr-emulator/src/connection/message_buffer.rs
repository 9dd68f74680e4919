//! The state of stateful reconnect: sent messages without acknowledgement, and the number of received messages. Pure state.
//!
//! Invocations, stream items and completions have sequence ids, from 1; pings, Close, Ack and Sequence have none. After a
//! reconnect each side sends the id of the first message that it sends again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::protocol::Frame;

/// How long an acknowledgement is delayed, so that it covers more messages.
const ACK_INTERVAL: Duration = Duration::from_secs(1);

/// The client continues after messages that were never received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SequenceGap;

/// The message buffer of a connection that can be resumed, as `MessageBuffer` of ASP.NET Core.
#[derive(Debug, Default)]
pub(super) struct MessageBuffer {
    unacknowledged: VecDeque<Frame>,
    bytes: usize,
    capacity: usize,
    /// The sequence id of the first unacknowledged message, or of the next message.
    first: u64,
    /// The sequence id of the next message from the client.
    next_received: u64,
    /// The sequence id of the last message that was handled.
    last_handled: u64,
    /// When an acknowledgement is due.
    pub(super) acknowledge_at: Option<Instant>,
    /// After a reconnect all messages are ignored until the client sends its sequence id.
    pub(super) awaits_sequence: bool,
}

impl MessageBuffer {
    /// `capacity` is the size in bytes of unacknowledged messages from which on no more are sent.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, first: 1, next_received: 1, ..Self::default() }
    }

    /// Whether more messages may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < self.capacity
    }

    /// Adds a message with a sequence id, sent as one frame.
    pub(super) fn sent(&mut self, frame: &Frame) {
        self.bytes += frame.len();
        self.unacknowledged.push_back(frame.clone());
    }

    /// Removes the messages up to this sequence id, which the client has received.
    pub(super) fn acknowledged(&mut self, number: u64) {
        while self.first <= number
            && let Some(frame) = self.unacknowledged.pop_front()
        {
            self.bytes -= frame.len();
            self.first += 1;
        }
    }

    /// Counts a received message with a sequence id. False if it must not be handled, because it was received before.
    pub(super) fn received_sequenced(&mut self, now: Instant) -> bool {
        if self.awaits_sequence {
            return false;
        }
        let number = self.next_received;
        self.next_received += 1;
        self.acknowledge_at.get_or_insert(now + ACK_INTERVAL);
        if number <= self.last_handled {
            return false;
        }
        self.last_handled = number;
        true
    }

    /// Sets the sequence id of the next message from the client. Fails if messages before it were never received.
    pub(super) fn set_next_received(&mut self, number: u64) -> Result<(), SequenceGap> {
        if number > self.last_handled + 1 {
            return Err(SequenceGap);
        }
        self.awaits_sequence = false;
        self.next_received = number;
        Ok(())
    }

    /// The sequence id to acknowledge, if that is due.
    pub(super) fn take_acknowledgement(&mut self, now: Instant) -> Option<u64> {
        self.acknowledge_at.take_if(|due| *due <= now).map(|_| self.last_handled)
    }

    /// Prepares for another transport: returns the sequence id to continue with, and all unacknowledged messages.
    pub(super) fn resume(&mut self) -> (u64, impl Iterator<Item = Frame> + '_) {
        self.awaits_sequence = true;
        (self.first, self.unacknowledged.iter().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &'static str) -> Frame {
        Frame::Text(text.into())
    }

    fn resumed(buffer: &mut MessageBuffer) -> (u64, Vec<Frame>) {
        let (number, frames) = buffer.resume();
        (number, frames.collect())
    }

    #[test]
    fn unacknowledged_messages_are_sent_again_with_their_sequence_ids() {
        let mut buffer = MessageBuffer::new(100);
        for text in ["one", "two", "three"] {
            buffer.sent(&frame(text));
        }
        buffer.acknowledged(1);
        assert_eq!(resumed(&mut buffer), (2, vec![frame("two"), frame("three")]));
        buffer.acknowledged(3);
        assert_eq!(resumed(&mut buffer), (4, vec![]));
    }

    #[test]
    fn an_acknowledgement_of_unsent_messages_has_no_further_effect() {
        let mut buffer = MessageBuffer::new(100);
        buffer.sent(&frame("one"));
        buffer.acknowledged(u64::MAX);
        buffer.sent(&frame("two"));
        assert_eq!(resumed(&mut buffer), (2, vec![frame("two")]));
    }

    #[test]
    fn a_message_received_again_is_not_handled_again() {
        let (mut buffer, now) = (MessageBuffer::new(100), Instant::now());
        assert!(buffer.received_sequenced(now) && buffer.received_sequenced(now));
        let _ = buffer.resume();
        assert!(buffer.awaits_sequence);
        assert!(!buffer.received_sequenced(now), "messages before the sequence id are ignored");
        assert_eq!(buffer.set_next_received(2), Ok(()));
        assert!(!buffer.received_sequenced(now), "the second, again");
        assert!(buffer.received_sequenced(now), "the third");
        assert_eq!(buffer.take_acknowledgement(now + ACK_INTERVAL), Some(3));
    }

    #[test]
    fn a_client_that_skips_a_message_is_detected() {
        let (mut buffer, now) = (MessageBuffer::new(100), Instant::now());
        buffer.received_sequenced(now);
        assert_eq!(buffer.set_next_received(3), Err(SequenceGap));
        assert_eq!(buffer.set_next_received(2), Ok(()));
    }

    #[test]
    fn acknowledgements_are_delayed_by_a_second() {
        let (mut buffer, now) = (MessageBuffer::new(100), Instant::now());
        assert_eq!(buffer.take_acknowledgement(now), None);
        buffer.received_sequenced(now);
        buffer.received_sequenced(now + ACK_INTERVAL / 2);
        assert_eq!(buffer.acknowledge_at, Some(now + ACK_INTERVAL));
        assert_eq!(buffer.take_acknowledgement(now), None);
        assert_eq!(buffer.take_acknowledgement(now + ACK_INTERVAL), Some(2));
        assert_eq!(buffer.acknowledge_at, None);
    }

    #[test]
    fn there_is_room_until_the_capacity_is_unacknowledged() {
        let mut buffer = MessageBuffer::new(3);
        assert!(buffer.has_room());
        buffer.sent(&frame("one"));
        assert!(!buffer.has_room());
        buffer.acknowledged(1);
        assert!(buffer.has_room());
    }
}
