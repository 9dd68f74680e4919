//! [`Delivery`]: puts messages into the queues of their recipients, with the injected faults.

use std::cell::OnceCell;
use std::sync::MutexGuard;

use super::connection_handle::ConnectionHandle;
use super::send_queue::Queued;
use crate::diagnostics::Diagnostics;
use crate::fault_injection::{Faults, MessageEffect};
use crate::hub::{ConnectionId, HubName};
use crate::protocol::{OutgoingMessage, Protocol};

/// Messages that are being put into the queues of the same recipients.
pub(super) struct Delivery<'a> {
    diagnostics: Option<&'a Diagnostics>,
    hub: &'a HubName,
    messages: Vec<&'a OutgoingMessage>,
    faults: Option<MutexGuard<'a, Faults>>,
    /// The fault for all recipients.
    hub_effect: MessageEffect,
    /// What the clients of each protocol receive.
    json: ProtocolFrames,
    messagepack: ProtocolFrames,
}

/// What the clients of a protocol receive, and how many of them.
#[derive(Default)]
struct ProtocolFrames {
    queued: OnceCell<Option<Queued>>,
    /// How often they were queued, and for whom first.
    count: usize,
    first: Option<ConnectionId>,
}

impl<'a> Delivery<'a> {
    /// Applies the fault for the hub, if there is one. The faults stay locked until [`end`](Self::end), if they may affect a recipient.
    ///
    /// Several messages are delivered without faults: while there is a fault for messages, the caller delivers one at a time.
    pub(super) fn begin(
        diagnostics: Option<&'a Diagnostics>,
        hub: &'a HubName,
        messages: Vec<&'a OutgoingMessage>,
    ) -> Self {
        let mut faults = diagnostics.filter(|_| messages.len() == 1).map(Diagnostics::faults);
        let hub_effect = faults.as_mut().map_or(MessageEffect::Deliver, |faults| faults.apply_to_hub(hub.as_str()));
        let faults = faults.filter(|faults| faults.affect_connections());
        let (json, messagepack) = Default::default();
        Self { diagnostics, hub, messages, faults, hub_effect, json, messagepack }
    }

    /// Queues the messages for one connection, changed by the fault for its hub or for this connection.
    pub(super) fn queue_for(&mut self, id: &ConnectionId, handle: &ConnectionHandle) {
        let effect = match (self.hub_effect, &mut self.faults) {
            (MessageEffect::Deliver, Some(faults)) => faults.apply_to_connection(self.hub.as_str(), id.as_str()),
            (effect, _) => effect,
        };
        let Some(protocol) = handle.protocol().filter(|_| effect != MessageEffect::Drop) else { return };
        let for_protocol = match protocol {
            Protocol::Json => &mut self.json,
            Protocol::MessagePack => &mut self.messagepack,
        };
        let messages = &self.messages;
        let frames = || Queued::join(messages.iter().filter_map(|message| message.frame(protocol)).collect());
        let Some(queued) = for_protocol.queued.get_or_init(frames).clone() else { return };
        for_protocol.count += 1;
        if for_protocol.first.is_none() {
            for_protocol.first = Some(id.clone());
        }
        let queue = &handle.send_queue;
        match effect {
            MessageEffect::Duplicate => {
                for_protocol.count += 1;
                queue.push(queued.clone());
                queue.push(queued);
            }
            MessageEffect::Reorder => queue.push_after_next(queued),
            MessageEffect::Deliver => queue.push(queued),
            // It was left out above.
            MessageEffect::Drop => {}
        }
    }

    /// Releases the lock of the faults, and records each message: under the lock of the hubs, so in the order of the deliveries.
    pub(super) fn end(self) {
        let Self { diagnostics: Some(diagnostics), hub, messages, faults, json, messagepack, .. } = self else {
            return;
        };
        drop(faults);
        for message in messages {
            let both = [(&json, Protocol::Json), (&messagepack, Protocol::MessagePack)];
            let both = both.map(|(frames, protocol)| Some((frames, frames.first.as_ref()?, message.frame(protocol)?)));
            let count = both.iter().flatten().map(|(frames, ..)| frames.count).sum();
            if let Some((_, first, frame)) = both.into_iter().flatten().next() {
                diagnostics.record_sent(hub, first.clone(), count, &frame);
            }
        }
    }
}
