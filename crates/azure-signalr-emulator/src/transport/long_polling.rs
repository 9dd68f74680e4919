//! Long polling: the client asks, and is answered when there is something, or when it has waited long enough.
//!
//! The poll that opens a connection is answered at once with nothing: that is how a client learns that it is open. A client
//! that does not ask again is gone. There are no pings; asking is enough.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::select;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::connection::{Farewell, Gone, Received, Terms, Wire, hold};
use crate::protocol::Frame;
use crate::protocol::handshake::Transfer;
use crate::service::{Poll, PollAnswer, Seat};

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// A poll that waits for something to be answered with.
    pub(super) poll: Duration,
    /// A client between two polls.
    pub(super) absence: Duration,
}

/// Serves the connection in a task of its own, and answers the poll that opened it.
pub(super) fn open(polls: Polls, seat: Seat, terms: Terms<Polls>) -> Response {
    tokio::spawn(hold(polls, seat, terms));
    answered(Some(PollAnswer::Data(Vec::new())))
}

/// Hands a poll to its connection, and answers what that answers.
pub(super) async fn poll(polls: &mpsc::Sender<Poll>) -> Response {
    let (answer, answered_with) = oneshot::channel();
    // A connection that does not take it is over, and then nobody will answer either.
    let _ = polls.send(Poll(answer)).await;
    answered(answered_with.await.ok())
}

fn answered(answer: Option<PollAnswer>) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-cache, no-store"),
        (header::PRAGMA, "no-cache"),
        (header::EXPIRES, "Thu, 01 Jan 1970 00:00:00 GMT"),
    ];
    match answer {
        Some(PollAnswer::Data(data)) => (headers, data).into_response(),
        Some(PollAnswer::Over) | None => (StatusCode::NO_CONTENT, headers).into_response(),
    }
}

/// What a client sends, and what it asks.
pub(super) struct Polls {
    posts: mpsc::Receiver<Bytes>,
    line: Line,
}

/// The polls of a client, of which one at a time is held until there is an answer.
struct Line {
    polls: mpsc::Receiver<Poll>,
    patience: Patience,
    held: Option<oneshot::Sender<PollAnswer>>,
    /// When the client asked last, or was answered last.
    since: Instant,
}

impl Polls {
    pub(super) fn new(posts: mpsc::Receiver<Bytes>, polls: mpsc::Receiver<Poll>, patience: Patience) -> Self {
        Self { posts, line: Line { polls, patience, held: None, since: Instant::now() } }
    }
}

impl Line {
    /// Waits for whatever happens next; an error when the client is gone. Nothing is lost when the wait is given up.
    async fn change(&mut self) -> Result<(), Gone> {
        let Some(held) = &mut self.held else {
            select! {
                poll = self.polls.recv() => self.hold(poll.ok_or(Gone)?),
                () = sleep_until(self.since + self.patience.absence) => return Err(Gone),
            }
            return Ok(());
        };
        select! {
            poll = self.polls.recv() => self.hold(poll.ok_or(Gone)?),
            () = held.closed() => drop(self.release()),
            () = sleep_until(self.since + self.patience.poll) => drop(self.answer(PollAnswer::Data(Vec::new()))),
        }
        Ok(())
    }

    /// Holds a poll. One that is held already belongs to a request the client has given up.
    fn hold(&mut self, Poll(poll): Poll) {
        // There may be nobody any more to tell.
        let _ = self.answer(PollAnswer::Over);
        (self.held, self.since) = (Some(poll), Instant::now());
    }

    fn release(&mut self) -> Option<oneshot::Sender<PollAnswer>> {
        self.since = Instant::now();
        self.held.take()
    }

    /// Answers the held poll; gives the answer back when there is none.
    fn answer(&mut self, answer: PollAnswer) -> Result<(), PollAnswer> {
        match self.release() {
            Some(poll) => poll.send(answer),
            None => Err(answer),
        }
    }

    /// Answers the poll that is held, or else the next one.
    async fn answer_next(&mut self, mut answer: PollAnswer) -> Result<(), Gone> {
        loop {
            match self.answer(answer) {
                Ok(()) => return Ok(()),
                Err(unanswered) => answer = unanswered,
            }
            while self.held.is_none() {
                self.change().await?;
            }
        }
    }
}

impl Wire for Polls {
    const TRANSFER: Transfer = Transfer::TextAndBinary;
    const PINGS: bool = false;

    /// Until a poll is there nothing is taken from the queue, so that the poll is answered with all of it.
    fn is_ready(&self) -> bool {
        self.line.held.is_some()
    }

    async fn receive(&mut self) -> Received {
        select! {
            Some(post) = self.posts.recv() => Received::Bytes(post),
            changed = self.line.change() => match changed {
                Ok(()) => Received::Bytes(Bytes::new()),
                Err(Gone) => Received::Ended,
            },
        }
    }

    async fn send(
        &mut self,
        frames: impl IntoIterator<Item = Frame, IntoIter: Send> + Send,
    ) -> Result<(), Gone> {
        let mut data = Vec::new();
        frames.into_iter().for_each(|frame| data.extend_from_slice(frame.as_bytes()));
        self.line.answer_next(PollAnswer::Data(data)).await
    }

    /// The last words are the answer of one poll; that it is over, the answer of the next.
    async fn close(mut self, Farewell { last_words, .. }: Farewell) {
        if last_words.is_none() || self.send(last_words).await.is_ok() {
            // A client that has heard enough does not ask again.
            let _ = self.line.answer_next(PollAnswer::Over).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { poll: Duration::from_secs(90), absence: Duration::from_secs(15) };

    struct Client {
        posts: mpsc::Sender<Bytes>,
        polls: mpsc::Sender<Poll>,
    }

    impl Client {
        async fn poll(&self) -> oneshot::Receiver<PollAnswer> {
            let (answer, answered) = oneshot::channel();
            self.polls.send(Poll(answer)).await.unwrap();
            answered
        }
    }

    fn wire() -> (Client, Polls) {
        let (posts, received) = mpsc::channel(1);
        let (polls, asked) = mpsc::channel(1);
        (Client { posts, polls }, Polls::new(received, asked, PATIENCE))
    }

    fn data(answer: PollAnswer) -> Vec<u8> {
        let PollAnswer::Data(data) = answer else { panic!("over") };
        data
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_answers_the_next_poll_whole() {
        let (client, mut wire) = wire();
        let poll = client.poll().await;
        wire.send([Frame::Text("a".into()), Frame::Text("b".into())]).await.unwrap();
        assert_eq!(data(poll.await.unwrap()), b"ab");
    }

    #[tokio::test(start_paused = true)]
    async fn case_40_a_poll_that_waits_too_long_is_answered_with_nothing() {
        let (client, mut wire) = wire();
        let poll = client.poll().await;
        let wire = tokio::spawn(async move { while !matches!(wire.receive().await, Received::Ended) {} });
        assert_eq!(data(poll.await.unwrap()), b"");
        wire.await.expect("an end, since nobody asked again");
    }

    #[tokio::test(start_paused = true)]
    async fn case_41_a_new_poll_ends_the_one_that_is_held() {
        let (client, mut wire) = wire();
        let first = client.poll().await;
        let second = client.poll();
        let (_, second) = tokio::join!(wire.line.change(), second);
        wire.line.change().await.unwrap();
        assert!(matches!(first.await.unwrap(), PollAnswer::Over));
        wire.send([Frame::Text("a".into())]).await.unwrap();
        assert_eq!(data(second.await.unwrap()), b"a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_gave_up_its_poll_gets_the_answer_with_its_next_one() {
        let (client, mut wire) = wire();
        drop(client.poll().await);
        let (sent, poll) = tokio::join!(wire.send([Frame::Text("a".into())]), async {
            let poll = client.poll().await;
            poll.await.unwrap()
        });
        assert_eq!((sent, data(poll)), (Ok(()), b"a".to_vec()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_asks_is_gone() {
        let (client, mut wire) = wire();
        client.posts.send("x".into()).await.unwrap();
        assert!(matches!(wire.receive().await, Received::Bytes(_)));
        assert!(matches!(wire.receive().await, Received::Ended));
    }
}
