//! How requests that come after a connection's first one reach it: messages, polls, and sockets that replace a lost one.
//!
//! Every way in is narrow: who comes too fast waits.

use std::sync::Arc;

use axum::extract::ws::WebSocket;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::connection::{Link, Transport};

/// A connection as later requests find it.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) link: Arc<Link>,
    pub(crate) entrance: Entrance,
}

/// What may come in, by transport.
#[derive(Debug, Clone)]
pub(crate) enum Entrance {
    /// Another socket, where the connection may be resumed.
    WebSocket(Option<mpsc::Sender<Box<WebSocket>>>),
    /// What the client sends.
    ServerSentEvents(mpsc::Sender<Bytes>),
    /// What the client sends, and its requests for what there is for it.
    LongPolling { posts: mpsc::Sender<Bytes>, polls: mpsc::Sender<Poll> },
}

impl Entrance {
    pub(crate) fn transport(&self) -> Transport {
        match self {
            Self::WebSocket(_) => Transport::WebSockets,
            Self::ServerSentEvents(_) => Transport::ServerSentEvents,
            Self::LongPolling { .. } => Transport::LongPolling,
        }
    }
}

/// One request of a long-polling client for what there is for it.
#[derive(Debug)]
pub(crate) struct Poll(pub(crate) oneshot::Sender<PollAnswer>);

/// What a poll is answered. A poll that is dropped unanswered is one whose connection is over.
#[derive(Debug)]
pub(crate) enum PollAnswer {
    /// Everything there was. May be empty: ask again.
    Data(Vec<u8>),
    /// There will be no more, or another poll has taken the place of this one.
    Over,
}
