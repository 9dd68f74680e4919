//! WebSockets: one frame out for each message, or several messages in one; anything in.
//!
//! The service never sends WebSocket pings; some clients take them for data. What it is sent as text or as binary does not
//! matter: there are clients that shake hands in text and go on in binary.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio::sync::mpsc;

use crate::connection::{Farewell, Gone, Received, Terms, Wire, hold};
use crate::protocol::Frame;
use crate::protocol::handshake::Transfer;
use crate::service::Seat;

/// Clients say little, and every connection owns a buffer of this size.
const READ_BUFFER: usize = 1 << 10;

/// How much of what has queued up is gathered for one write.
const WRITE_BUFFER: usize = 4 << 10;

/// A frame may hold more than one message, and a separator after each.
const FRAME_SLACK: usize = 1 << 10;

fn sized(upgrade: WebSocketUpgrade, largest_message: usize) -> WebSocketUpgrade {
    let largest = largest_message.saturating_add(FRAME_SLACK);
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_frame_size(largest)
        .max_message_size(largest)
}

/// Answers the upgrade, and serves the connection in a task of its own.
pub(super) fn open(upgrade: WebSocketUpgrade, seat: Seat, terms: Terms<WebSocket>) -> Response {
    let largest = seat.options().max_client_message_bytes;
    sized(upgrade, largest).on_upgrade(move |socket| hold(socket, seat, terms))
}

/// Answers the upgrade, and hands the socket to the conversation whose socket was lost.
pub(super) fn resume(
    upgrade: WebSocketUpgrade,
    successors: mpsc::Sender<Box<WebSocket>>,
    largest_message: usize,
) -> Response {
    sized(upgrade, largest_message).on_upgrade(async move |socket| {
        // If the conversation has ended meanwhile, the socket ends too.
        let _ = successors.send(Box::new(socket)).await;
    })
}

impl Wire for WebSocket {
    const TRANSFER: Transfer = Transfer::TextAndBinary;
    const PINGS: bool = true;

    async fn receive(&mut self) -> Received {
        match self.recv().await {
            None | Some(Ok(Message::Close(_))) => Received::Ended,
            Some(Err(error)) => Received::Broken(Some(error.to_string())),
            Some(Ok(Message::Text(text))) => Received::Bytes(text.into()),
            Some(Ok(Message::Binary(bytes))) => Received::Bytes(bytes),
            // The library beneath has answered it.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Received::Bytes(Bytes::new()),
        }
    }

    async fn send(
        &mut self,
        frames: impl IntoIterator<Item = Frame, IntoIter: Send> + Send,
    ) -> Result<(), Gone> {
        for frame in frames {
            self.feed(frame.into()).await.map_err(|_| Gone)?;
        }
        self.flush().await.map_err(|_| Gone)
    }

    /// Lets the client close its side too: a socket dropped with bytes unread would take the last words with it.
    async fn close(mut self, Farewell { last_words, is_error }: Farewell) {
        let code = if is_error { close_code::ERROR } else { close_code::NORMAL };
        let frame = Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::default() }));
        for message in last_words.map(Message::from).into_iter().chain([frame]) {
            if self.feed(message).await.is_err() {
                return;
            }
        }
        if self.flush().await.is_ok() {
            while let Some(Ok(_)) = self.recv().await {}
        }
    }
}

impl From<Frame> for Message {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::Text(text),
            Frame::Binary(bytes) => Self::Binary(bytes),
        }
    }
}
