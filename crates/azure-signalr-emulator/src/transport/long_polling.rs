//! The transport Long Polling: each poll is answered when there are frames, or after the poll timeout.
//!
//! The poll that opens a connection is answered at once, without data. A client that sends no further poll is disconnected, so
//! there are no pings.

use std::iter::Peekable;
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use tokio::select;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::body_writer::BodyWriter;
use crate::connection::{CloseRequest, ConnectionSettings, Received, SendError, Transport, run};
use crate::protocol::Frame;
use crate::protocol::handshake::TransferFormat;
use crate::service::{Batch, ConnectionGuard, Poll};

/// Most bytes of one response; a longer frame has one of its own. Clients do not accept a frame in two responses.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

#[derive(Debug, Clone, Copy)]
pub(super) struct PollTimeouts {
    /// Maximum time until a poll is answered.
    pub(super) poll: Duration,
    /// Maximum time from the end of a response to the next poll.
    pub(super) absence: Duration,
    /// Maximum time in which a client takes a piece of a response.
    pub(super) piece: Duration,
}

/// Serves the connection in a new task, and answers the poll that opened it.
pub(super) fn open(
    posts: mpsc::Receiver<Bytes>,
    polls: PollQueue,
    guard: ConnectionGuard,
    settings: ConnectionSettings<LongPolling>,
) -> Response {
    tokio::spawn(run(LongPolling { posts, polls }, guard, settings));
    respond(0, Body::empty())
}

/// Passes a poll to its connection, and waits for the response.
pub(super) async fn poll(polls: &mpsc::Sender<Poll>) -> Response {
    let (sender, response) = oneshot::channel();
    // If the connection has ended, there is no response either.
    let _ = polls.send(Poll(sender)).await;
    response.await.unwrap_or_else(|_| no_content())
}

fn respond(length: usize, body: Body) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_LENGTH, length.to_string())];
    (headers, NOT_CACHED, body).into_response()
}

/// The connection has ended, or another poll has replaced this one.
fn no_content() -> Response {
    (StatusCode::NO_CONTENT, NOT_CACHED).into_response()
}

const NOT_CACHED: [(header::HeaderName, &str); 3] = [
    (header::CACHE_CONTROL, "no-cache, no-store"),
    (header::PRAGMA, "no-cache"),
    (header::EXPIRES, "Thu, 01 Jan 1970 00:00:00 GMT"),
];

/// The POST bodies and the polls of a client.
pub(super) struct LongPolling {
    posts: mpsc::Receiver<Bytes>,
    polls: PollQueue,
}

/// The polls of a client, of which at most one is pending.
pub(super) struct PollQueue {
    polls: mpsc::Receiver<Poll>,
    timeouts: PollTimeouts,
    pending: Option<oneshot::Sender<Response>>,
    /// When the pending poll arrived, or the client had the whole response to the last one.
    since: Instant,
}

impl PollQueue {
    pub(super) fn new(polls: mpsc::Receiver<Poll>, timeouts: PollTimeouts) -> Self {
        Self { polls, timeouts, pending: None, since: Instant::now() }
    }

    /// Waits for the next poll, or for the end or the timeout of the pending one. Fails if no more polls come. Cancel safe.
    async fn change(&mut self) -> Result<(), SendError> {
        let Some(pending) = &mut self.pending else {
            select! {
                poll = self.polls.recv() => self.set_pending(poll.ok_or(SendError::Disconnected)?),
                () = sleep_until(self.since + self.timeouts.absence) => return Err(SendError::Disconnected),
            }
            return Ok(());
        };
        select! {
            poll = self.polls.recv() => self.set_pending(poll.ok_or(SendError::Disconnected)?),
            () = pending.closed() => drop(self.take_pending()),
            () = sleep_until(self.since + self.timeouts.poll) => self.answer(respond(0, Body::empty())),
        }
        Ok(())
    }

    /// Makes a poll the pending one. An earlier one was cancelled by the client, and is answered without content.
    fn set_pending(&mut self, Poll(poll): Poll) {
        self.answer(no_content());
        (self.pending, self.since) = (Some(poll), Instant::now());
    }

    fn take_pending(&mut self) -> Option<oneshot::Sender<Response>> {
        self.pending.take().inspect(|_| self.since = Instant::now())
    }

    /// Answers the pending poll, if there is one.
    fn answer(&mut self, response: Response) {
        if let Some(poll) = self.take_pending() {
            // A cancelled poll needs no response.
            let _ = poll.send(response);
        }
    }

    /// Answers the pending poll, or else the next one.
    async fn answer_next(&mut self, mut response: Response) -> Result<(), SendError> {
        loop {
            let Some(poll) = self.take_pending() else {
                self.change().await?;
                continue;
            };
            match poll.send(response) {
                Ok(()) => return Ok(()),
                Err(unsent) => response = unsent,
            }
        }
    }

    /// Answers a poll with data, and waits until the client has taken it.
    async fn write(&mut self, data: Bytes) -> Result<(), SendError> {
        let (writer, body) = BodyWriter::new(self.timeouts.piece);
        self.answer_next(respond(data.len(), body)).await?;
        let written = match writer.write(data).await {
            Ok(()) => writer.finish().await,
            Err(error) => Err(error),
        };
        self.since = Instant::now();
        match written {
            // The client may poll again after a response that broke off.
            Ok(()) | Err(SendError::Disconnected) => Ok(()),
            Err(SendError::TooSlow) => Err(SendError::TooSlow),
        }
    }
}

/// The next response: as many frames as fit in it, or one.
fn next_response(frames: &mut Peekable<impl Iterator<Item = Frame>>) -> Option<Bytes> {
    let mut data = BytesMut::from(frames.next()?.payload());
    while let Some(frame) = frames.next_if(|frame| data.len() + frame.len() <= MAX_RESPONSE_BYTES) {
        data.extend_from_slice(frame.payload());
    }
    Some(data.freeze())
}

impl Transport for LongPolling {
    const TRANSFER_FORMAT: TransferFormat = TransferFormat::TextAndBinary;
    const USES_PINGS: bool = false;

    /// Frames stay in the send queue until there is a poll, so that one response takes many of them.
    fn is_ready(&self) -> bool {
        self.polls.pending.is_some()
    }

    async fn receive(&mut self) -> Received {
        select! {
            Some(post) = self.posts.recv() => Received::Bytes(post),
            changed = self.polls.change() => match changed {
                Ok(()) => Received::Bytes(Bytes::new()),
                Err(_) => Received::Broken(None),
            },
        }
    }

    async fn send(&mut self, batch: Batch) -> Result<(), SendError> {
        let mut frames = batch.into_iter().peekable();
        while let Some(response) = next_response(&mut frames) {
            self.polls.write(response).await?;
        }
        Ok(())
    }

    /// The Close message is the response to one poll, the end of the connection the response to the next.
    async fn close(mut self, CloseRequest { begun, close_message, .. }: CloseRequest) {
        // A client that has received a Close message need not poll again.
        if self.send(begun.into_iter().chain(close_message).collect()).await.is_ok() {
            let _ = self.polls.answer_next(no_content()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::time::sleep;

    use super::*;

    const TIMEOUTS: PollTimeouts = PollTimeouts {
        poll: Duration::from_secs(90),
        absence: Duration::from_secs(15),
        piece: Duration::from_secs(30),
    };

    struct Client {
        posts: mpsc::Sender<Bytes>,
        polls: mpsc::Sender<Poll>,
    }

    impl Client {
        async fn poll(&self) -> oneshot::Receiver<Response> {
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

    /// The data of a response, read at once.
    async fn data(response: oneshot::Receiver<Response>) -> Bytes {
        read(response, Duration::ZERO).await
    }

    /// The data of a response, read as long as its header says, with a pause before each piece.
    async fn read(response: oneshot::Receiver<Response>, pause: Duration) -> Bytes {
        let response = response.await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let length: usize = response.headers()[header::CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
        let mut pieces = response.into_body().into_data_stream();
        let mut data = BytesMut::new();
        while data.len() < length {
            sleep(pause).await;
            data.extend_from_slice(&pieces.next().await.unwrap().unwrap());
        }
        data.freeze()
    }

    fn frame(length: usize) -> Frame {
        Frame::text(&"x".repeat(length))
    }

    #[tokio::test(start_paused = true)]
    async fn all_sent_frames_answer_the_next_poll() {
        let (client, mut transport) = transport();
        let poll = client.poll().await;
        let frames = [Frame::text("a"), Frame::text("b")];
        let (sent, data) = tokio::join!(transport.send(Batch::from_iter(frames)), data(poll));
        assert_eq!((sent, &data[..]), (Ok(()), &b"ab"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_carries_whole_frames_and_a_bounded_amount() {
        let (client, mut transport) = transport();
        let lengths = [MAX_RESPONSE_BYTES / 2, MAX_RESPONSE_BYTES / 2, 1, MAX_RESPONSE_BYTES + 1, 1];
        let (sent, received) = tokio::join!(transport.send(Batch::from_iter(lengths.map(frame))), async {
            let mut received = Vec::new();
            for _ in 0..4 {
                received.push(data(client.poll().await).await.len());
            }
            received
        });
        assert_eq!((sent, received), (Ok(()), vec![MAX_RESPONSE_BYTES, 1, MAX_RESPONSE_BYTES + 1, 1]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_to_the_next_poll_begins_when_a_response_is_read() {
        let (client, mut transport) = transport();
        let second = Duration::from_secs(1);
        let began = Instant::now();
        let (sent, ()) = tokio::join!(transport.send(Batch::from_iter([frame(MAX_RESPONSE_BYTES), frame(1)])), async {
            let first = read(client.poll().await, TIMEOUTS.piece - second).await;
            assert_eq!(first.len(), MAX_RESPONSE_BYTES);
            assert!(began.elapsed() > 4 * TIMEOUTS.piece, "{:?}", began.elapsed());
            sleep(TIMEOUTS.absence - second).await;
            assert_eq!(data(client.poll().await).await.len(), 1);
        });
        assert_eq!(sent, Ok(()));
        let read = Instant::now();
        assert!(matches!(transport.receive().await, Received::Broken(None)));
        assert_eq!(read.elapsed(), TIMEOUTS.absence);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stalls_in_a_response_is_too_slow() {
        let (client, mut transport) = transport();
        let poll = client.poll().await;
        let _reading = tokio::spawn(read(poll, 2 * TIMEOUTS.piece));
        assert_eq!(transport.send(Batch::from_iter([frame(MAX_RESPONSE_BYTES)])).await, Err(SendError::TooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_whose_response_broke_off_may_poll_again() {
        let (client, mut transport) = transport();
        let poll = client.poll().await;
        let (sent, ()) =
            tokio::join!(transport.send(Batch::from_iter([frame(MAX_RESPONSE_BYTES)])), async { drop(poll.await) });
        assert_eq!(sent, Ok(()));
        let poll = client.poll().await;
        let (sent, data) = tokio::join!(transport.send(Batch::from_iter([frame(1)])), data(poll));
        assert_eq!((sent, data.len()), (Ok(()), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn case_40_a_poll_is_answered_without_data_after_its_timeout() {
        let (client, mut transport) = transport();
        let poll = client.poll().await;
        let transport =
            tokio::spawn(async move { while !matches!(transport.receive().await, Received::Broken(None)) {} });
        assert_eq!(data(poll).await, "");
        transport.await.expect("a disconnect, since there was no further poll");
    }

    #[tokio::test(start_paused = true)]
    async fn case_41_a_new_poll_ends_the_pending_one() {
        let (client, mut transport) = transport();
        let first = client.poll().await;
        let second = client.poll();
        let (_, second) = tokio::join!(transport.polls.change(), second);
        transport.polls.change().await.unwrap();
        assert_eq!(first.await.unwrap().status(), StatusCode::NO_CONTENT);
        let (sent, data) = tokio::join!(transport.send(Batch::from_iter([Frame::text("a")])), data(second));
        assert_eq!((sent, &data[..]), (Ok(()), &b"a"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_cancelled_a_poll_gets_the_frames_with_its_next_one() {
        let (client, mut transport) = transport();
        drop(client.poll().await);
        let (sent, data) = tokio::join!(transport.send(Batch::from_iter([Frame::text("a")])), async {
            data(client.poll().await).await
        });
        assert_eq!((sent, &data[..]), (Ok(()), &b"a"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_polls_is_disconnected() {
        let (client, mut transport) = transport();
        client.posts.send("x".into()).await.unwrap();
        assert!(matches!(transport.receive().await, Received::Bytes(_)));
        assert!(matches!(transport.receive().await, Received::Broken(None)));
    }
}
