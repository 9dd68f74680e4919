//! The transport Long Polling: each poll is answered when there are frames, or after the poll timeout.
//!
//! The poll that opens a connection is answered at once, without data. A client that sends no further poll is disconnected, so
//! there are no pings.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::select;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::connection::{CloseRequest, ConnectionSettings, Received, SendError, Transport, run};
use crate::protocol::handshake::TransferFormat;
use crate::service::{Batch, ConnectionGuard, Poll, PollResponse};

#[derive(Debug, Clone, Copy)]
pub(super) struct PollTimeouts {
    /// Maximum time until a poll is answered.
    pub(super) poll: Duration,
    /// Maximum time between two polls.
    pub(super) absence: Duration,
}

/// Serves the connection in a new task, and answers the poll that opened it.
pub(super) fn open(
    posts: mpsc::Receiver<Bytes>,
    polls: PollQueue,
    guard: ConnectionGuard,
    settings: ConnectionSettings<LongPolling>,
) -> Response {
    tokio::spawn(run(LongPolling { posts, polls }, guard, settings));
    respond(Some(PollResponse::Data(Vec::new())))
}

/// Passes a poll to its connection, and waits for the response.
pub(super) async fn poll(polls: &mpsc::Sender<Poll>) -> Response {
    let (sender, response) = oneshot::channel();
    // If the connection has ended, there is no response either.
    let _ = polls.send(Poll(sender)).await;
    respond(response.await.ok())
}

fn respond(response: Option<PollResponse>) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-cache, no-store"),
        (header::PRAGMA, "no-cache"),
        (header::EXPIRES, "Thu, 01 Jan 1970 00:00:00 GMT"),
    ];
    match response {
        Some(PollResponse::Data(data)) => (headers, data).into_response(),
        Some(PollResponse::NoContent) | None => (StatusCode::NO_CONTENT, headers).into_response(),
    }
}

/// The POST bodies and the polls of a client.
pub(super) struct LongPolling {
    posts: mpsc::Receiver<Bytes>,
    polls: PollQueue,
}

/// No more polls come.
#[derive(Debug, PartialEq, Eq)]
struct Disconnected;

/// The polls of a client, of which at most one is pending.
pub(super) struct PollQueue {
    polls: mpsc::Receiver<Poll>,
    timeouts: PollTimeouts,
    pending: Option<oneshot::Sender<PollResponse>>,
    /// When the last poll arrived or was answered.
    since: Instant,
}

impl PollQueue {
    pub(super) fn new(polls: mpsc::Receiver<Poll>, timeouts: PollTimeouts) -> Self {
        Self { polls, timeouts, pending: None, since: Instant::now() }
    }

    /// Waits for the next poll, or for the end or the timeout of the pending one. Fails if no more polls come. Cancel safe.
    async fn change(&mut self) -> Result<(), Disconnected> {
        let Some(pending) = &mut self.pending else {
            select! {
                poll = self.polls.recv() => self.set_pending(poll.ok_or(Disconnected)?),
                () = sleep_until(self.since + self.timeouts.absence) => return Err(Disconnected),
            }
            return Ok(());
        };
        select! {
            poll = self.polls.recv() => self.set_pending(poll.ok_or(Disconnected)?),
            () = pending.closed() => drop(self.take_pending()),
            () = sleep_until(self.since + self.timeouts.poll) => {
                drop(self.answer(PollResponse::Data(Vec::new())));
            }
        }
        Ok(())
    }

    /// Makes a poll the pending one. An earlier one was cancelled by the client, and is answered without content.
    fn set_pending(&mut self, Poll(poll): Poll) {
        let _ = self.answer(PollResponse::NoContent);
        (self.pending, self.since) = (Some(poll), Instant::now());
    }

    fn take_pending(&mut self) -> Option<oneshot::Sender<PollResponse>> {
        self.since = Instant::now();
        self.pending.take()
    }

    /// Answers the pending poll; returns the response if there is none.
    fn answer(&mut self, response: PollResponse) -> Result<(), PollResponse> {
        match self.take_pending() {
            Some(poll) => poll.send(response),
            None => Err(response),
        }
    }

    /// Answers the pending poll, or else the next one.
    async fn answer_next(&mut self, mut response: PollResponse) -> Result<(), Disconnected> {
        loop {
            match self.answer(response) {
                Ok(()) => return Ok(()),
                Err(unsent) => response = unsent,
            }
            while self.pending.is_none() {
                self.change().await?;
            }
        }
    }
}

impl Transport for LongPolling {
    const TRANSFER_FORMAT: TransferFormat = TransferFormat::TextAndBinary;
    const USES_PINGS: bool = false;

    /// Frames stay in the send queue until there is a poll, so that one response takes all of them.
    fn is_ready(&self) -> bool {
        self.polls.pending.is_some()
    }

    async fn receive(&mut self) -> Received {
        select! {
            Some(post) = self.posts.recv() => Received::Bytes(post),
            changed = self.polls.change() => match changed {
                Ok(()) => Received::Bytes(Bytes::new()),
                Err(Disconnected) => Received::Broken(None),
            },
        }
    }

    async fn send(&mut self, batch: Batch) -> Result<(), SendError> {
        let mut data = Vec::new();
        batch.into_iter().for_each(|frame| data.extend_from_slice(frame.payload()));
        self.polls.answer_next(PollResponse::Data(data)).await.map_err(|Disconnected| SendError::Disconnected)
    }

    /// The Close message is the response to one poll, the end of the connection the response to the next.
    async fn close(mut self, CloseRequest { close_message, .. }: CloseRequest) {
        if close_message.is_none() || self.send(close_message.into_iter().collect()).await.is_ok() {
            // A client that has received a Close message need not poll again.
            let _ = self.polls.answer_next(PollResponse::NoContent).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Frame;

    const TIMEOUTS: PollTimeouts = PollTimeouts { poll: Duration::from_secs(90), absence: Duration::from_secs(15) };

    struct Client {
        posts: mpsc::Sender<Bytes>,
        polls: mpsc::Sender<Poll>,
    }

    impl Client {
        async fn poll(&self) -> oneshot::Receiver<PollResponse> {
            let (sender, response) = oneshot::channel();
            self.polls.send(Poll(sender)).await.unwrap();
            response
        }
    }

    fn transport() -> (Client, LongPolling) {
        let (posts, received_posts) = mpsc::channel(1);
        let (polls, received_polls) = mpsc::channel(1);
        let queue = PollQueue::new(received_polls, TIMEOUTS);
        (Client { posts, polls }, LongPolling { posts: received_posts, polls: queue })
    }

    fn data(response: PollResponse) -> Vec<u8> {
        let PollResponse::Data(data) = response else { panic!("no content") };
        data
    }

    #[tokio::test(start_paused = true)]
    async fn all_sent_frames_answer_the_next_poll() {
        let (client, mut transport) = transport();
        let poll = client.poll().await;
        transport.send(Batch::from_iter(["a", "b"].map(Frame::text))).await.unwrap();
        assert_eq!(data(poll.await.unwrap()), b"ab");
    }

    #[tokio::test(start_paused = true)]
    async fn case_40_a_poll_is_answered_without_data_after_its_timeout() {
        let (client, mut transport) = transport();
        let poll = client.poll().await;
        let transport =
            tokio::spawn(async move { while !matches!(transport.receive().await, Received::Broken(None)) {} });
        assert_eq!(data(poll.await.unwrap()), b"");
        transport.await.expect("a disconnect, since there was no further poll");
    }

    #[tokio::test(start_paused = true)]
    async fn case_41_a_new_poll_ends_the_pending_one() {
        let (client, mut transport) = transport();
        let first = client.poll().await;
        let second = client.poll();
        let (_, second) = tokio::join!(transport.polls.change(), second);
        transport.polls.change().await.unwrap();
        assert!(matches!(first.await.unwrap(), PollResponse::NoContent));
        transport.send(Frame::text("a").into()).await.unwrap();
        assert_eq!(data(second.await.unwrap()), b"a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_cancelled_a_poll_gets_the_frames_with_its_next_one() {
        let (client, mut transport) = transport();
        drop(client.poll().await);
        let (sent, poll) = tokio::join!(transport.send(Frame::text("a").into()), async {
            let poll = client.poll().await;
            poll.await.unwrap()
        });
        assert_eq!((sent, data(poll)), (Ok(()), b"a".to_vec()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_polls_is_disconnected() {
        let (client, mut transport) = transport();
        client.posts.send("x".into()).await.unwrap();
        assert!(matches!(transport.receive().await, Received::Bytes(_)));
        assert!(matches!(transport.receive().await, Received::Broken(None)));
    }
}
