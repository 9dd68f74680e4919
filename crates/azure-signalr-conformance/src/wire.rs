//! What connecting gives a client: the ids of a negotiation, and an open transport.

use std::collections::VecDeque;

use crate::events::Events;
use crate::token::Token;
use crate::websocket::Socket;

/// What a negotiation gave: the id everybody may know, and the one that opens the connection.
pub(crate) struct Negotiated {
    pub(crate) id: String,
    pub(crate) connection_token: String,
    pub(crate) token: Token,
}

/// One open transport of a client.
pub(crate) enum Wire {
    Socket(Box<Socket>),
    Events { stream: reqwest::Response, events: Events, arrived: VecDeque<String> },
    Polls,
}
