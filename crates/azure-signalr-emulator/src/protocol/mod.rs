//! The SignalR hub protocols: bytes to messages and back, as pure functions without sockets, hubs or time.
//!
//! A message of a client that speaks one protocol may reach a reader of the other, so arguments and results are kept as JSON
//! and converted from or to MessagePack where they enter or leave.
//!
//! Specification: `HubProtocol.md` in the repository of ASP.NET Core.

mod frame;
pub(crate) mod handshake;
mod handshake_mistake;
mod hub_message;
mod json;
mod message_reader;
mod messagepack;
pub(crate) mod outgoing_message;

use bytes::Bytes;

pub(crate) use frame::{Frame, Opcode};
pub(crate) use hub_message::{ClientMessage, MalformedMessage, MessageTooLong, Outcome, Protocol, ServerMessage};
pub(crate) use message_reader::MessageReader;
pub(crate) use outgoing_message::OutgoingMessage;

impl Protocol {
    /// Encodes one message with its separator or length prefix.
    pub(crate) fn encode(self, message: &ServerMessage<'_>) -> Frame {
        match self {
            Self::Json => Frame::text(&json::encode(message)),
            Self::MessagePack => Frame::binary(&messagepack::encode(message)),
        }
    }

    /// Decodes one whole message, given without its separator or length prefix.
    pub(crate) fn decode(self, message: &Bytes) -> Result<ClientMessage, MalformedMessage> {
        let decoded = match self {
            Self::Json => json::decode(message),
            Self::MessagePack => messagepack::decode(message),
        };
        decoded.map_err(|error| MalformedMessage { protocol: self, error })
    }
}

#[cfg(test)]
mod test_support {
    use proptest::prelude::*;
    use serde_json::Value;

    /// Any JSON whose numbers are 64-bit integers or finite floats, nested up to four levels.
    pub(super) fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::num::f64::NORMAL.prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[0-9]{4}-01-01T00:00:00Z".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 20, |value| {
            prop_oneof![
                prop::collection::vec(value.clone(), 0..20).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), value, 0..20).prop_map(Value::from_iter),
            ]
        })
    }
}
