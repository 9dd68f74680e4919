//! The WebSocket transport: each frame is one WebSocket message; received messages can hold any bytes.
//!
//! The service sends no WebSocket pings, which some clients treat as data. Text and binary messages are received alike: some
//! clients send the handshake as text and continue in binary.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio::sync::mpsc;

use crate::connection::{CloseRequest, ConnectionSettings, Disconnected, Frames, Received, Transport, run};
use crate::protocol::Frame;
use crate::protocol::handshake::TransferFormat;
use crate::service::ConnectionGuard;

/// Small, since each connection has one and clients send little.
const READ_BUFFER_BYTES: usize = 1 << 10;

/// How much is collected for one write.
const WRITE_BUFFER_BYTES: usize = 4 << 10;

/// Space for separators and further small messages in a received WebSocket message.
const MESSAGE_OVERHEAD_BYTES: usize = 1 << 10;

fn with_limits(upgrade: WebSocketUpgrade, max_message_bytes: usize) -> WebSocketUpgrade {
    let max_bytes = max_message_bytes.saturating_add(MESSAGE_OVERHEAD_BYTES);
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_frame_size(max_bytes)
        .max_message_size(max_bytes)
}

/// Responds to the upgrade, and serves the connection in a new task.
pub(super) fn open(
    upgrade: WebSocketUpgrade,
    guard: ConnectionGuard,
    settings: ConnectionSettings<WebSocket>,
) -> Response {
    let max_message_bytes = guard.options().max_client_message_bytes;
    with_limits(upgrade, max_message_bytes).on_upgrade(move |socket| run(socket, guard, settings))
}

/// Responds to the upgrade, and passes the socket to the connection that it resumes.
pub(super) fn resume(
    upgrade: WebSocketUpgrade,
    replacements: mpsc::Sender<Box<WebSocket>>,
    max_message_bytes: usize,
) -> Response {
    with_limits(upgrade, max_message_bytes).on_upgrade(async move |socket| {
        // If the connection has ended meanwhile, the socket is closed.
        let _ = replacements.send(Box::new(socket)).await;
    })
}

impl Transport for WebSocket {
    const TRANSFER_FORMAT: TransferFormat = TransferFormat::TextAndBinary;
    const USES_PINGS: bool = true;

    async fn receive(&mut self) -> Received {
        match self.recv().await {
            None | Some(Ok(Message::Close(_))) => Received::Closed,
            Some(Err(error)) => Received::Failed(error.to_string()),
            Some(Ok(Message::Text(text))) => Received::Bytes(text.into()),
            Some(Ok(Message::Binary(bytes))) => Received::Bytes(bytes),
            // The WebSocket library responds to pings.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Received::Bytes(Bytes::new()),
        }
    }

    async fn send(&mut self, frames: impl Frames) -> Result<(), Disconnected> {
        for frame in frames {
            self.feed(frame.into()).await.map_err(|_| Disconnected)?;
        }
        self.flush().await.map_err(|_| Disconnected)
    }

    /// Waits until the client has closed its side: a socket that is dropped with unread bytes loses the Close message.
    async fn close(mut self, CloseRequest { close_message, is_error }: CloseRequest) {
        let code = if is_error { close_code::ERROR } else { close_code::NORMAL };
        let frame = Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::default() }));
        for message in close_message.map(Message::from).into_iter().chain([frame]) {
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
