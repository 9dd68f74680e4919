//! Server-Sent Events: frames go out as events of one long answer, and what the client says comes in requests of its own.
//!
//! Text only. The answer begins with a comment, since browsers tell nobody that a stream is open before its first byte.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use tokio::select;
use tokio::sync::mpsc;

use crate::connection::{Farewell, Gone, Received, Terms, Wire, hold};
use crate::protocol::Frame;
use crate::protocol::handshake::Transfer;
use crate::service::Seat;

/// The comment that opens the stream.
const OPENING: &[u8] = b":\r\n";

/// Pieces that may be on their way into the answer.
const AHEAD: usize = 4;

/// The client's stream, and what it sends.
pub(super) struct Events {
    posts: mpsc::Receiver<Bytes>,
    stream: mpsc::Sender<Bytes>,
}

/// Answers with the stream, and serves the connection in a task of its own.
pub(super) fn open(posts: mpsc::Receiver<Bytes>, seat: Seat, terms: Terms<Events>) -> Response {
    let (stream, pieces) = mpsc::channel(AHEAD);
    stream.try_send(Bytes::from_static(OPENING)).expect("a channel that was just made has room");
    tokio::spawn(hold(Events { posts, stream }, seat, terms));
    let pieces = stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.recv().await?;
        Some((Ok::<_, Infallible>(piece), pieces))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-store"),
        (header::PRAGMA, "no-cache"),
        (header::CONTENT_ENCODING, "identity"),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

impl Wire for Events {
    const TRANSFER: Transfer = Transfer::TextOnly;
    const PINGS: bool = true;

    async fn receive(&mut self) -> Received {
        select! {
            Some(post) = self.posts.recv() => Received::Bytes(post),
            () = self.stream.closed() => Received::Ended,
        }
    }

    async fn send(
        &mut self,
        frames: impl IntoIterator<Item = Frame, IntoIter: Send> + Send,
    ) -> Result<(), Gone> {
        let mut events = BytesMut::new();
        frames.into_iter().for_each(|frame| write_event(&mut events, frame.as_bytes()));
        self.stream.send(events.freeze()).await.map_err(|_| Gone)
    }

    async fn close(mut self, Farewell { last_words, .. }: Farewell) {
        // The stream ends with its sender; who is gone has no use for last words.
        let _ = self.send(last_words).await;
    }
}

/// One event, with a line of its own for each line of the text, as an event cannot hold line ends.
fn write_event(events: &mut BytesMut, text: &[u8]) {
    for line in text.split(|byte| *byte == b'\n') {
        events.put_slice(b"data: ");
        events.put_slice(line.strip_suffix(b"\r").unwrap_or(line));
        events.put_slice(b"\r\n");
    }
    events.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> String {
        let mut events = BytesMut::new();
        write_event(&mut events, text.as_bytes());
        String::from_utf8(events.to_vec()).unwrap()
    }

    #[test]
    fn an_event_keeps_the_separator_of_its_message() {
        assert_eq!(event("{}\u{1e}"), "data: {}\u{1e}\r\n\r\n");
    }

    #[test]
    fn every_line_of_a_text_is_a_line_of_data() {
        assert_eq!(event("a\nb\r\nc"), "data: a\r\ndata: b\r\ndata: c\r\n\r\n");
    }
}
