//! [`WaitingMessages`]: messages that are distributed to the queues of their recipients together. Pure state.

use std::collections::HashSet;
use std::mem;

use crate::hub::{ConnectionId, GroupName, HubName, UserId};
use crate::protocol::OutgoingMessage;

/// From this number or size in bytes on the messages are distributed at once.
const MAX_MESSAGES: usize = 256;
const MAX_BYTES: usize = 1 << 20;

/// At most so many bytes are put into queues at once: a slow client keeps them in memory until it has received the last one.
const MAX_RUN_BYTES: usize = 256 << 10;

/// The connections of a hub that a REST call addresses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recipients {
    Everyone,
    Group(GroupName),
    User(UserId),
    Connection(ConnectionId),
}

/// A message and the connections of a hub that receive it.
#[derive(Debug)]
pub(crate) struct AddressedMessage {
    pub(crate) hub: HubName,
    pub(crate) recipients: Recipients,
    pub(crate) excluded: HashSet<ConnectionId>,
    pub(crate) message: OutgoingMessage,
}

/// Messages in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct WaitingMessages {
    messages: Vec<AddressedMessage>,
    bytes: usize,
}

/// What to do after a message was added.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// Nothing: it is distributed with those before it.
    Waits,
    /// Distribute it soon.
    First,
    /// Distribute all now.
    Full,
}

impl WaitingMessages {
    pub(super) fn add(&mut self, message: AddressedMessage) -> Added {
        self.bytes += message.message.size();
        self.messages.push(message);
        match self.messages.len() {
            count if count >= MAX_MESSAGES || self.bytes >= MAX_BYTES => Added::Full,
            1 => Added::First,
            _ => Added::Waits,
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<AddressedMessage> {
        self.bytes = 0;
        mem::take(&mut self.messages)
    }
}

impl AddressedMessage {
    fn has_recipients_of(&self, other: &Self) -> bool {
        (&self.hub, &self.recipients, &self.excluded) == (&other.hub, &other.recipients, &other.excluded)
    }
}

/// Consecutive messages to the same recipients; each message on its own if `one_each`.
pub(super) fn runs(messages: &[AddressedMessage], one_each: bool) -> impl Iterator<Item = &[AddressedMessage]> {
    let mut bytes = 0;
    messages.chunk_by(move |message, next| {
        bytes += message.message.size();
        let is_in_run = !one_each && message.has_recipients_of(next) && bytes + next.message.size() <= MAX_RUN_BYTES;
        if !is_in_run {
            bytes = 0;
        }
        is_in_run
    })
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    /// A message of `bytes` to a group.
    fn message(group: &str, bytes: usize) -> AddressedMessage {
        let arguments = RawValue::from_string(format!("[\"{}\"]", "x".repeat(bytes - 5))).unwrap();
        AddressedMessage {
            hub: HubName::of_client("chat").unwrap(),
            recipients: Recipients::Group(GroupName::new(group).unwrap()),
            excluded: HashSet::new(),
            message: OutgoingMessage::invocation("t".into(), arguments),
        }
    }

    fn run_lengths(messages: &[AddressedMessage]) -> Vec<usize> {
        runs(messages, false).map(<[_]>::len).collect()
    }

    #[test]
    fn a_run_has_the_same_recipients_and_a_limited_size() {
        assert_eq!(run_lengths(&[]).len(), 0);
        let groups = ["a", "a", "b", "a", "a", "a"].map(|group| message(group, 10));
        assert_eq!(run_lengths(&groups), [2, 1, 3]);
        assert_eq!(runs(&groups, true).count(), groups.len());
        let third = MAX_RUN_BYTES / 3;
        assert_eq!(run_lengths(&[third; 7].map(|bytes| message("a", bytes))), [3, 3, 1]);
        assert_eq!(run_lengths(&[10, MAX_RUN_BYTES + 1, 10].map(|bytes| message("a", bytes))), [1, 1, 1]);

        let mut others = [message("a", 10), message("a", 10)];
        others[1].excluded.insert(ConnectionId::new("c"));
        assert_eq!(run_lengths(&others), [1, 1]);
        let mut others = [message("a", 10), message("a", 10)];
        others[0].hub = HubName::of_client("other").unwrap();
        assert_eq!(run_lengths(&others), [1, 1]);
    }

    #[test]
    fn the_first_message_asks_for_the_distribution_and_too_many_or_too_large_ones_for_it_at_once() {
        let mut waiting = WaitingMessages::default();
        let added: Vec<_> = (0..MAX_MESSAGES).map(|_| waiting.add(message("a", 10))).collect();
        assert_eq!(added[0], Added::First);
        assert!(added[1..MAX_MESSAGES - 1].iter().all(|added| *added == Added::Waits));
        assert_eq!(added[MAX_MESSAGES - 1], Added::Full);
        assert_eq!(waiting.take().len(), MAX_MESSAGES);
        assert_eq!(waiting.add(message("a", MAX_BYTES - 1)), Added::First);
        assert_eq!((waiting.add(message("a", 10)), waiting.take().len()), (Added::Full, 2));
        assert_eq!((waiting.add(message("a", MAX_BYTES)), waiting.take().len()), (Added::Full, 1));
    }
}
