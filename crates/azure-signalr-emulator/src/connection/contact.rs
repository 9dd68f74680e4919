//! The line from one client to the upstream of its service: what happens to it, what it says, and what it is answered.

use std::sync::Arc;

use bytes::Bytes;

use crate::protocol::{Frame, Outcome, Protocol, ServerMessage};
use crate::service::Witness;
use crate::upstream::{Completion, ConnectionHeaders, Invocation, Upstream, UpstreamReply, WebhookRecord};

/// One client, as its upstream knows it.
pub(crate) struct Contact {
    upstream: Arc<Upstream>,
    client: ConnectionHeaders,
    /// Where the control API is wanted.
    witness: Option<Witness>,
}

/// What a client said to its upstream.
pub(super) struct Call {
    pub(super) id: Option<String>,
    pub(super) target: String,
    pub(super) protocol: Protocol,
    pub(super) forwarded: Bytes,
}

impl Contact {
    pub(crate) fn new(upstream: Arc<Upstream>, client: ConnectionHeaders, witness: Option<Witness>) -> Self {
        Self { upstream, client, witness }
    }

    /// Tells that the client is there. Whatever the upstream says, it may stay.
    pub(super) async fn connected(self: Arc<Self>) -> Option<Frame> {
        let post = self.upstream.connected(&self.client).await;
        self.note(post);
        None
    }

    /// Tells that the client is gone.
    pub(super) async fn disconnected(&self, error: Option<&str>) {
        let post = self.upstream.disconnected(&self.client, error).await;
        self.note(post);
    }

    fn note(&self, post: Option<WebhookRecord>) {
        if let (Some(witness), Some(post)) = (&self.witness, post) {
            witness.posted(post);
        }
    }

    /// Passes on what the client said: what it is to be answered, if it waits for that.
    pub(super) async fn called(self: Arc<Self>, call: Call) -> Option<Frame> {
        let Call { id, target, protocol, forwarded } = call;
        let message = Invocation { target: &target, invocation_id: id.as_deref(), protocol, forwarded };
        let UpstreamReply { completion, record } = self.upstream.invoke(&self.client, &message).await;
        self.note(record);
        let outcome = match completion {
            Completion::NotAwaited => return None,
            Completion::Framed(frame) => return Some(frame),
            Completion::Void => Outcome::Void,
            Completion::Error(error) => Outcome::Error(error),
        };
        id.map(|id| protocol.encode(&ServerMessage::Completion { id: &id, outcome: &outcome }))
    }
}
