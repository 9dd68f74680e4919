//! What the rest of the service holds of a connection: where to put messages for it, and how to end it.
//!
//! Nothing here waits for the client.

use std::fmt;
use std::sync::OnceLock;

use super::outbox::{Capacity, Closure, Outbox};
use super::results::{Question, Results};
use crate::protocol::{Frame, Message, Outcome, Protocol, ServerMessage};

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSockets,
    ServerSentEvents,
    LongPolling,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::WebSockets, Self::ServerSentEvents, Self::LongPolling];

    /// As negotiation spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WebSockets => "WebSockets",
            Self::ServerSentEvents => "ServerSentEvents",
            Self::LongPolling => "LongPolling",
        }
    }

    /// Its bit in the token claim `asrs.s.htt`.
    pub(crate) fn bit(self) -> u64 {
        match self {
            Self::WebSockets => 1,
            Self::ServerSentEvents => 2,
            Self::LongPolling => 4,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One connection, as its hub knows it.
#[derive(Debug)]
pub(crate) struct Link {
    outbox: Outbox,
    results: Results,
    transport: Transport,
    /// In milliseconds since 1970.
    connected_at: u64,
    /// Known from the handshake on, and messages come only after that.
    protocol: OnceLock<Protocol>,
}

impl Link {
    pub(crate) fn new(transport: Transport, capacity: Capacity, connected_at: u64) -> Self {
        Self {
            outbox: Outbox::new(capacity),
            results: Results::default(),
            transport,
            connected_at,
            protocol: OnceLock::new(),
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    pub(crate) fn connected_at(&self) -> u64 {
        self.connected_at
    }

    /// The protocol the client speaks, once it has said so.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.protocol.get().copied()
    }

    /// The client has said what it speaks.
    pub(crate) fn speaks(&self, protocol: Protocol) {
        // The handshake comes once.
        let _ = self.protocol.set(protocol);
    }

    /// Queues a message, in the client's own protocol. There may be nothing for that one.
    pub(crate) fn push(&self, message: &Message) {
        if let Some(frame) = self.frame(message) {
            self.outbox.push(frame);
        }
    }

    /// Queues a message behind the next one, which may never come.
    pub(crate) fn push_after_next(&self, message: &Message) {
        if let Some(frame) = self.frame(message) {
            self.outbox.push_after_next(frame);
        }
    }

    /// Queues a message for this client alone, in its own protocol.
    pub(crate) fn tell(&self, message: &ServerMessage<'_>) {
        if let Some(protocol) = self.protocol() {
            self.outbox.push(protocol.encode(message));
        }
    }

    fn frame(&self, message: &Message) -> Option<Frame> {
        message.frame(self.protocol()?)
    }

    /// Ends the connection once everything queued so far is sent. The first reason stands.
    pub(crate) fn close(&self, closure: Closure) {
        self.outbox.close(closure);
    }

    /// Takes the transport away, without a word.
    pub(crate) fn sever(&self) {
        self.outbox.sever();
    }

    /// Ends the connection at once, without a word.
    pub(crate) fn abandon(&self) {
        self.outbox.abandon();
    }

    /// Ends the connection at once, as its client wishes.
    pub(crate) fn depart(&self) {
        self.outbox.depart();
    }

    /// Ends the connection as the end of its access token would.
    pub(crate) fn expire(&self) {
        self.outbox.expire();
    }

    /// What waits for the client.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Asks the client; what it answers comes back through the question.
    pub(crate) fn ask(&self) -> Question<'_> {
        self.results.ask()
    }

    /// Gives an answer of the client to whoever asked. False when nobody did.
    pub(crate) fn answer(&self, id: &str, outcome: Outcome) -> bool {
        self.results.answer(id, outcome)
    }

    /// The connection has ended: nobody will answer any more.
    pub(crate) fn over(&self) {
        self.results.end();
    }
}
