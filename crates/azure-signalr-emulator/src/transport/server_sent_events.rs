//! The transport Server-Sent Events: frames are events of one long response, and the client sends POST requests. Text only.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::select;
use tokio::sync::mpsc;

use super::body_writer::{BodyWriter, PIECE_BYTES};
use crate::connection::{CloseRequest, ConnectionSettings, Received, SendError, Transport, run};
use crate::protocol::handshake::TransferFormat;
use crate::service::{Batch, ConnectionGuard};

/// A comment at the start of the stream. Browsers report an open stream only after its first byte.
const OPENING_COMMENT: &[u8] = b":\r\n";

/// The event stream to a client, and the POST bodies from it.
pub(super) struct EventStream {
    posts: mpsc::Receiver<Bytes>,
    stream: BodyWriter,
}

/// Responds with the event stream, and serves the connection in a new task.
pub(super) fn open(
    posts: mpsc::Receiver<Bytes>,
    guard: ConnectionGuard,
    settings: ConnectionSettings<EventStream>,
) -> Response {
    let (stream, body) = BodyWriter::new(guard.options().client_timeout);
    stream.begin(Bytes::from_static(OPENING_COMMENT));
    tokio::spawn(run(EventStream { posts, stream }, guard, settings));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-store"),
        (header::PRAGMA, "no-cache"),
        (header::CONTENT_ENCODING, "identity"),
    ];
    (headers, body).into_response()
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
        for frame in batch {
            write_event(&mut events, frame.payload());
            if events.len() >= PIECE_BYTES {
                self.stream.write(events.split().freeze()).await?;
            }
        }
        self.stream.write(events.freeze()).await
    }

    async fn close(mut self, CloseRequest { begun, close_message, .. }: CloseRequest) {
        // The stream ends when its writer is dropped.
        let _ = self.send(begun.into_iter().chain(close_message).collect()).await;
    }
}

/// Writes one event, with a `data` line for each line of the text. An `EventSource` joins them by LF.
fn write_event(events: &mut BytesMut, text: &[u8]) {
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (line, next) = split_line(text);
        events.put_slice(b"data: ");
        events.put_slice(line);
        events.put_slice(b"\r\n");
        rest = next;
    }
    events.put_slice(b"\r\n");
}

/// The first line, and what follows its end. A line ends with CRLF, LF or CR, as in
/// [WHATWG HTML, 9.2.5](https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
fn split_line(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(end) = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else { return (text, None) };
    let (line, rest) = (&text[..end], &text[end..]);
    let rest = rest.strip_prefix(b"\r\n").unwrap_or(&rest[1..]);
    (line, Some(rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt as _;
    use proptest::prelude::*;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::protocol::Frame;

    fn event(text: &str) -> String {
        let mut events = BytesMut::new();
        write_event(&mut events, text.as_bytes());
        String::from_utf8(events.to_vec()).unwrap()
    }

    /// Reads an event stream as a browser does: WHATWG HTML, 9.2.6.
    #[derive(Default)]
    struct EventSource {
        line: Vec<u8>,
        /// Whether the last byte was a CR, so that an LF belongs to the same end of a line.
        after_cr: bool,
        data: String,
        messages: Vec<String>,
    }

    impl EventSource {
        fn push(&mut self, bytes: &[u8]) {
            for &byte in bytes {
                match byte {
                    b'\n' if self.after_cr => {}
                    b'\n' | b'\r' => self.end_line(),
                    _ => self.line.push(byte),
                }
                self.after_cr = byte == b'\r';
            }
        }

        fn end_line(&mut self) {
            let line = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            if line.is_empty() {
                let data = std::mem::take(&mut self.data);
                self.messages.extend(data.strip_suffix('\n').map(String::from));
            } else if field == "data" {
                self.data += value.strip_prefix(' ').unwrap_or(value);
                self.data.push('\n');
            } else {
                // Comments have an empty field; other fields would change the name or the id of an event.
                assert_eq!(field, "");
            }
        }
    }

    #[test]
    fn an_event_keeps_the_separator_of_its_message() {
        assert_eq!(event("{}\u{1e}"), "data: {}\u{1e}\r\n\r\n");
    }

    #[test]
    fn every_line_of_a_text_is_a_line_of_data() {
        assert_eq!(
            event("a\nb\r\nc\rd\r\r\n\n"),
            "data: a\r\ndata: b\r\ndata: c\r\ndata: d\r\n{}\r\n".replace("{}", &"data: \r\n".repeat(3))
        );
    }

    proptest! {
        #[test]
        fn an_event_source_gets_each_text_as_one_event(
            texts in prop::collection::vec("[\r\n:a \u{feff}ü\u{1e}\u{2028}]{0,12}", 0..4),
            piece_bytes in 1..9_usize,
        ) {
            let mut stream = BytesMut::from(OPENING_COMMENT);
            texts.iter().for_each(|text| write_event(&mut stream, text.as_bytes()));
            let mut source = EventSource::default();
            stream.chunks(piece_bytes).for_each(|piece| source.push(piece));
            let expected: Vec<_> = texts.iter().map(|text| text.replace("\r\n", "\n").replace('\r', "\n")).collect();
            prop_assert_eq!(source.messages, expected);
        }
    }

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn open_stream() -> (EventStream, axum::body::BodyDataStream) {
        let (stream, body) = BodyWriter::new(TIMEOUT);
        let (_, posts) = mpsc::channel(1);
        (EventStream { posts, stream }, body.into_data_stream())
    }

    fn frames() -> Batch {
        (0..1_000).map(|index| Frame::text(&format!("{index}{}", "x".repeat(1_000)))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_of_one_piece_in_a_while_gets_all_events_in_order() {
        let (mut stream, mut body) = open_stream();
        let reading = tokio::spawn(async move {
            let mut source = EventSource::default();
            while let Some(piece) = body.next().await {
                sleep(TIMEOUT / 2).await;
                source.push(&piece.unwrap());
            }
            source.messages
        });
        let began = Instant::now();
        assert_eq!(stream.send(frames()).await, Ok(()));
        assert!(began.elapsed() > 50 * TIMEOUT, "{:?}", began.elapsed());
        drop(stream);
        let expected: Vec<_> =
            frames().into_iter().map(|frame| String::from_utf8(frame.payload().to_vec()).unwrap()).collect();
        assert_eq!(reading.await.unwrap(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stalls_is_too_slow() {
        let (mut stream, mut body) = open_stream();
        let began = Instant::now();
        let (sent, _) = tokio::join!(stream.send(frames()), body.next());
        assert_eq!((sent, began.elapsed()), (Err(SendError::TooSlow), TIMEOUT));
    }
}
