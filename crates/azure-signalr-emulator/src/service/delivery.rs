//! [`Delivery`]: puts one message into the queues of its recipients, with the injected faults.

use std::sync::MutexGuard;

use super::connection_handle::ConnectionHandle;
use crate::diagnostics::Diagnostics;
use crate::fault_injection::{Faults, MessageEffect};
use crate::hub::{ConnectionId, HubName};
use crate::protocol::{Frame, OutgoingMessage};

/// A message that is being put into queues.
pub(super) struct Delivery<'a> {
    diagnostics: Option<&'a Diagnostics>,
    hub: &'a HubName,
    message: &'a OutgoingMessage,
    faults: Option<MutexGuard<'a, Faults>>,
    /// The fault for all recipients.
    hub_effect: MessageEffect,
    /// The number of frames that were queued, and the first of them.
    sent: usize,
    first: Option<(ConnectionId, Frame)>,
}

impl<'a> Delivery<'a> {
    /// Applies the fault for the hub, if there is one. The faults stay locked until [`record`](Self::record).
    pub(super) fn begin(diagnostics: Option<&'a Diagnostics>, hub: &'a HubName, message: &'a OutgoingMessage) -> Self {
        let mut faults = diagnostics.map(Diagnostics::faults);
        let hub_effect = faults.as_mut().map_or(MessageEffect::Deliver, |faults| faults.apply_to_hub(hub.as_str()));
        let faults = faults.filter(|faults| faults.affect_connections());
        Self { diagnostics, hub, message, faults, hub_effect, sent: 0, first: None }
    }

    /// Queues the message for one connection, changed by the fault for its hub or for this connection.
    pub(super) fn send(&mut self, id: &ConnectionId, handle: &ConnectionHandle) {
        let effect = match (self.hub_effect, &mut self.faults) {
            (MessageEffect::Deliver, Some(faults)) => faults.apply_to_connection(self.hub.as_str(), id.as_str()),
            (effect, _) => effect,
        };
        if effect == MessageEffect::Drop {
            return;
        }
        let Some(frame) = handle.frame(self.message) else { return };
        self.sent += 1;
        if self.first.is_none() {
            self.first = Some((id.clone(), frame.clone()));
        }
        let queue = &handle.send_queue;
        match effect {
            MessageEffect::Duplicate => {
                self.sent += 1;
                queue.push(frame.clone());
                queue.push(frame);
            }
            MessageEffect::Reorder => queue.push_after_next(frame),
            MessageEffect::Deliver | MessageEffect::Drop => queue.push(frame),
        }
    }

    /// Records the message, after the lock of the faults is released.
    pub(super) fn record(self) {
        drop(self.faults);
        if let (Some((id, frame)), Some(diagnostics)) = (self.first, self.diagnostics) {
            diagnostics.record_sent(self.hub, id, self.sent, &frame);
        }
    }
}
