//! Forwards the events and invocations of one client to the upstream, in order and one at a time.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::diagnostics::MessageRecorder;
use crate::protocol::{Frame, Outcome, Protocol, ServerMessage};
use crate::upstream::{ClientDetails, Completion, Invocation, Upstream, UpstreamReply, WebhookRecord};

/// Maximum number of posts in the queue.
const MAX_POSTS: usize = 64;

/// Maximum size of the messages in the queue. The last one may exceed it.
const MAX_QUEUED_BYTES: usize = 1 << 20;

/// One client of the upstream.
pub(crate) struct UpstreamConnection {
    upstream: Arc<Upstream>,
    client: ClientDetails,
    recorder: Option<MessageRecorder>,
}

/// An invocation by a client.
pub(super) struct ClientInvocation {
    pub(super) id: Option<String>,
    pub(super) target: String,
    pub(super) protocol: Protocol,
    pub(super) forwarded: Bytes,
}

impl UpstreamConnection {
    pub(crate) fn new(upstream: Arc<Upstream>, client: ClientDetails, recorder: Option<MessageRecorder>) -> Self {
        Self { upstream, client, recorder }
    }

    /// Posts the `connected` event. The response does not matter to the client.
    pub(super) async fn connected(self: Arc<Self>) -> Option<Frame> {
        let post = self.upstream.connected(&self.client).await;
        self.record(post);
        None
    }

    /// Posts the `disconnected` event.
    pub(super) async fn disconnected(&self, error: Option<&str>) {
        let post = self.upstream.disconnected(&self.client, error).await;
        self.record(post);
    }

    /// Posts an invocation, and returns its completion if the client waits for one.
    pub(super) async fn invoke(self: Arc<Self>, invocation: ClientInvocation) -> Option<Frame> {
        let ClientInvocation { id, target, protocol, forwarded } = invocation;
        let invocation = Invocation { target: &target, invocation_id: id.as_deref(), protocol, forwarded };
        let UpstreamReply { completion, record } = self.upstream.invoke(&self.client, &invocation).await;
        self.record(record);
        let outcome = match completion {
            Completion::NotAwaited => return None,
            Completion::Framed(frame) => return Some(frame),
            Completion::Void => Outcome::Void,
            Completion::Error(error) => Outcome::Error(error),
        };
        id.map(|id| protocol.encode(&ServerMessage::Completion { id: &id, outcome: &outcome }))
    }

    fn record(&self, post: Option<WebhookRecord>) {
        if let (Some(recorder), Some(post)) = (&self.recorder, post) {
            recorder.posted(post);
        }
    }
}

/// A post, and the completion for the client.
type UpstreamPost = Pin<Box<dyn Future<Output = Option<Frame>> + Send>>;

/// The posts of one connection, of which the first is running. A connection with a full queue is not read.
#[derive(Default)]
pub(super) struct UpstreamQueue {
    posts: VecDeque<(usize, UpstreamPost)>,
    bytes: usize,
}

impl UpstreamQueue {
    pub(super) fn has_room(&self) -> bool {
        self.posts.len() < MAX_POSTS && self.bytes < MAX_QUEUED_BYTES
    }

    /// Adds a post of `bytes`. It starts after all earlier ones.
    pub(super) fn push(&mut self, bytes: usize, post: impl Future<Output = Option<Frame>> + Send + 'static) {
        self.bytes += bytes;
        self.posts.push_back((bytes, Box::pin(post)));
    }

    /// Waits until a post is done, and returns the completion for the client. Waits forever if the queue is empty. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let Some((bytes, post)) = self.posts.front_mut() else { return pending().await };
        let completion = post.await;
        self.bytes -= *bytes;
        self.posts.pop_front();
        completion
    }

    /// Waits until all posts are done, and discards their completions.
    pub(super) async fn finish(self) {
        for (_, post) in self.posts {
            post.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::{Duration, timeout};

    use super::*;

    fn frame(text: &'static str) -> Frame {
        Frame::text(text)
    }

    #[tokio::test(start_paused = true)]
    async fn posts_run_in_order_and_continue_after_a_cancelled_wait() {
        let mut queue = UpstreamQueue::default();
        let (done, first) = oneshot::channel::<()>();
        queue.push(1, async move { first.await.ok().map(|()| frame("first")) });
        queue.push(1, async { None });
        queue.push(1, async { Some(frame("third")) });
        assert!(timeout(Duration::from_secs(1), queue.next()).await.is_err());
        done.send(()).unwrap();
        for completion in [Some(frame("first")), None, Some(frame("third"))] {
            assert_eq!(queue.next().await, completion);
        }
        assert!(timeout(Duration::from_secs(1), queue.next()).await.is_err());
    }

    #[test]
    fn the_queue_is_limited_in_number_and_in_bytes() {
        let mut queue = UpstreamQueue::default();
        queue.push(MAX_QUEUED_BYTES, async { None });
        assert!(!queue.has_room());
        let mut queue = UpstreamQueue::default();
        (0..MAX_POSTS).for_each(|_| queue.push(0, async { None }));
        assert!(!queue.has_room());
    }
}
