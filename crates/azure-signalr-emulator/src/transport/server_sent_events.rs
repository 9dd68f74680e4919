//! The transport Server-Sent Events: frames are events of one long response, and the client sends POST requests. Text only.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use tokio::select;
use tokio::sync::mpsc;

use crate::connection::{CloseRequest, ConnectionSettings, Received, SendError, Transport, run};
use crate::protocol::handshake::TransferFormat;
use crate::service::{Batch, ConnectionGuard};

/// A comment at the start of the stream. Browsers report an open stream only after its first byte.
const OPENING_COMMENT: &[u8] = b":\r\n";

/// Maximum number of writes that wait for the response body.
const MAX_WAITING_WRITES: usize = 4;

/// The event stream to a client, and the POST bodies from it.
pub(super) struct EventStream {
    posts: mpsc::Receiver<Bytes>,
    stream: mpsc::Sender<Bytes>,
}

/// Responds with the event stream, and serves the connection in a new task.
pub(super) fn open(
    posts: mpsc::Receiver<Bytes>,
    guard: ConnectionGuard,
    settings: ConnectionSettings<EventStream>,
) -> Response {
    let (stream, writes) = mpsc::channel(MAX_WAITING_WRITES);
    stream.try_send(Bytes::from_static(OPENING_COMMENT)).expect("a new channel has room");
    tokio::spawn(run(EventStream { posts, stream }, guard, settings));
    let writes = stream::unfold(writes, async |mut writes| {
        let write = writes.recv().await?;
        Some((Ok::<_, Infallible>(write), writes))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-store"),
        (header::PRAGMA, "no-cache"),
        (header::CONTENT_ENCODING, "identity"),
    ];
    (headers, Body::from_stream(writes)).into_response()
}

impl Transport for EventStream {
    const TRANSFER_FORMAT: TransferFormat = TransferFormat::Text;
    const USES_PINGS: bool = true;

    async fn receive(&mut self) -> Received {
        select! {
            Some(post) = self.posts.recv() => Received::Bytes(post),
            () = self.stream.closed() => Received::Closed(None),
        }
    }

    async fn send(&mut self, batch: Batch) -> Result<(), SendError> {
        let mut events = BytesMut::new();
        batch.into_iter().for_each(|frame| write_event(&mut events, frame.payload()));
        self.stream.send(events.freeze()).await.map_err(|_| SendError::Disconnected)
    }

    async fn close(mut self, CloseRequest { close_message, .. }: CloseRequest) {
        // The stream ends when its sender is dropped.
        let _ = self.send(close_message.into_iter().collect()).await;
    }
}

/// Writes one event, with a `data` line for each line of the text.
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
