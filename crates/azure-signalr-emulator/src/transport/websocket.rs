//! The WebSocket transport: each frame is one WebSocket message; received messages can hold any bytes.
//!
//! A library reads messages; what is written is ready-made frames. The service sends no WebSocket pings, which some clients treat as
//! data. Text and binary messages are received alike: some clients send the handshake as text and continue in binary.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_server::UpgradedStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tracing::debug;

use crate::api_error::ApiError;
use crate::connection::close_code::{INVALID_PAYLOAD, PROTOCOL_ERROR};
use crate::connection::{CloseRequest, ConnectionSettings, Received, SendError, Transport, run};
use crate::options::Options;
use crate::protocol::handshake::TransferFormat;
use crate::protocol::{Frame, Opcode};
use crate::service::{Batch, ConnectionGuard, Replacement};

/// Small, since each connection has one and clients send little.
const READ_BUFFER_BYTES: usize = 1 << 10;

/// How much the system buffers for a client that does not read, beside what the client's own system does. Less shows its progress sooner.
const MAX_UNSENT_BYTES: u32 = 512 << 10;

/// Space for separators and further small messages in a received WebSocket message.
const MESSAGE_OVERHEAD_BYTES: usize = 1 << 10;

/// The version of RFC 6455.
const VERSION: &str = "13";

/// The lowest rate at which a client may read. Kestrel, the server of ASP.NET Core, has the same (`MinResponseDataRate`).
const MIN_BYTES_PER_SECOND: u64 = 240;

/// A request to use its connection as a WebSocket (RFC 6455, section 4.2.1).
pub(super) struct Upgrade {
    upgrade: http_server::Upgrade,
    accept_key: String,
}

impl Upgrade {
    /// Takes the upgrade of a request.
    ///
    /// # Errors
    ///
    /// The error response, if it is no request of a WebSocket client.
    pub(super) fn take(parts: &mut Parts) -> Result<Self, ApiError> {
        let headers = &parts.headers;
        let invalid = |message| ApiError::invalid("upgrade", message);
        if !has_token(headers, &header::CONNECTION, "upgrade") {
            return Err(invalid("a WebSocket request has the header `Connection: Upgrade`"));
        }
        if !has_token(headers, &header::SEC_WEBSOCKET_VERSION, VERSION) {
            return Err(invalid("a WebSocket request has the header `Sec-WebSocket-Version: 13`"));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY);
        let key = key.ok_or_else(|| invalid("a WebSocket request has the header `Sec-WebSocket-Key`"))?;
        let accept_key = derive_accept_key(key.as_bytes());
        let upgrade = http_server::Upgrade::take(&mut parts.extensions);
        let upgrade = upgrade.ok_or_else(|| invalid("this connection cannot become a WebSocket"))?;
        Ok(Self { upgrade, accept_key })
    }

    /// Responds to the request, and runs `serve` in a new task with the stream.
    fn accept<S>(self, serve: impl FnOnce(UpgradedStream) -> S + Send + 'static) -> Response
    where
        S: Future<Output = ()> + Send,
    {
        let Self { upgrade, accept_key } = self;
        tokio::spawn(async move {
            match upgrade.stream().await {
                Ok(stream) => serve(stream).await,
                Err(error) => debug!("a client left before its connection was a WebSocket: {error}"),
            }
        });
        let headers = [
            (header::CONNECTION, "Upgrade"),
            (header::UPGRADE, "websocket"),
            (header::SEC_WEBSOCKET_ACCEPT, &accept_key),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response()
    }
}

/// Whether a header that is a list has this element. Letter case is ignored.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|element| element.trim().eq_ignore_ascii_case(token))
}

/// Responds to the upgrade, and serves the connection in a new task. It can be resumed over `replacements`.
pub(super) fn open(
    upgrade: Upgrade,
    replacements: Option<mpsc::Receiver<Box<Replacement>>>,
    guard: ConnectionGuard,
    settings: ConnectionSettings<WebSocket>,
) -> Response {
    let limits = SocketLimits::new(guard.options());
    let replacements = replacements.map(|streams| {
        let sockets = stream::unfold((streams, Instant::now()), move |(mut streams, latest)| async move {
            // The stream of an earlier request can arrive later. Its client has given it up.
            let Replacement { requested, stream } = loop {
                let replacement = streams.recv().await?;
                if replacement.requested >= latest {
                    break *replacement;
                }
            };
            Some((WebSocket::new(stream, limits).await, (streams, requested)))
        });
        sockets.boxed().fuse()
    });
    let settings = ConnectionSettings { replacements, ..settings };
    upgrade.accept(async move |stream| {
        let socket = WebSocket::new(stream, limits).await;
        // In a task of its own, so that an open connection reserves no memory for the upgrade.
        tokio::spawn(run(socket, guard, settings));
    })
}

/// Responds to the upgrade, and passes the stream to the connection that it resumes.
pub(super) fn resume(upgrade: Upgrade, replacements: mpsc::Sender<Box<Replacement>>) -> Response {
    let requested = Instant::now();
    upgrade.accept(async move |stream| {
        // If the connection has ended meanwhile, the stream is closed.
        let _ = replacements.send(Box::new(Replacement { requested, stream })).await;
    })
}

/// The limits of a client.
#[derive(Debug, Clone, Copy)]
struct SocketLimits {
    max_message_bytes: usize,
    /// How long it may take next to nothing.
    slow_after: Duration,
}

impl SocketLimits {
    fn new(options: &Options) -> Self {
        Self { max_message_bytes: options.max_client_message_bytes, slow_after: options.client_timeout }
    }
}

/// A WebSocket of a client.
pub(crate) struct WebSocket {
    stream: Arc<UpgradedStream>,
    messages: WebSocketStream<ReadHalf>,
    input: Input,
    slow_after: Duration,
}

/// What can still be received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Messages,
    /// Bytes that are no messages: the client has violated the protocol.
    Bytes,
    /// Nothing: the client has sent its close frame, or the stream has ended.
    Nothing,
}

impl WebSocket {
    async fn new(mut stream: UpgradedStream, limits: SocketLimits) -> Self {
        stream.limit_unsent(MAX_UNSENT_BYTES);
        // Copied, since the bytes are part of the buffer of the request, which would be kept.
        let read = stream.take_read().to_vec();
        let stream = Arc::new(stream);
        let max_bytes = Some(limits.max_message_bytes.saturating_add(MESSAGE_OVERHEAD_BYTES));
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_frame_size(max_bytes)
            .max_message_size(max_bytes);
        let half = ReadHalf(stream.clone());
        let messages = WebSocketStream::from_partially_read(half, read, Role::Server, Some(config)).await;
        Self { stream, messages, input: Input::Messages, slow_after: limits.slow_after }
    }

    /// Writes at least `bytes` of a batch, or all of it.
    async fn write(&self, batch: &mut Batch, bytes: usize) -> io::Result<()> {
        let (stream, mut written) = (self.stream.get_ref(), 0);
        while written < bytes && !batch.is_empty() {
            stream.writable().await?;
            match batch.write_with(|slices| self.stream.try_write(slices)) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until the client has closed its side: a socket that is dropped with unread bytes loses what it has sent.
    async fn closed(&mut self) {
        while self.input == Input::Messages {
            self.receive().await;
        }
        if self.input == Input::Bytes && self.stream.shutdown_write().is_ok() {
            let (stream, mut discarded) = (self.stream.get_ref(), [0; READ_BUFFER_BYTES]);
            while stream.readable().await.is_ok() {
                match stream.try_read(&mut discarded) {
                    Ok(0) => return,
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                    _ => {}
                }
            }
        }
    }
}

impl Transport for WebSocket {
    const TRANSFER_FORMAT: TransferFormat = TransferFormat::TextAndBinary;
    const USES_PINGS: bool = true;

    fn socket(&self) -> Option<Arc<UpgradedStream>> {
        Some(self.stream.clone())
    }

    async fn receive(&mut self) -> Received {
        let received = match self.messages.next().await {
            Some(Ok(Message::Text(text))) => return Received::Bytes(text.into()),
            Some(Ok(Message::Binary(bytes))) => return Received::Bytes(bytes),
            Some(Ok(Message::Ping(payload))) => return Received::Ping { pong: Frame::new(Opcode::Pong, &payload) },
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => return Received::Bytes(Bytes::new()),
            Some(Ok(Message::Close(frame))) => match frame.map(|frame| frame.code) {
                Some(code) if !code.is_allowed() => violation("a close code that must not be sent", PROTOCOL_ERROR),
                code => Received::Closed(code.map(u16::from)),
            },
            None
            | Some(Err(Error::ConnectionClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                Received::Broken(None)
            }
            Some(Err(Error::Capacity(_))) => Received::TooLong,
            Some(Err(Error::Protocol(error))) => violation(&error.to_string(), PROTOCOL_ERROR),
            Some(Err(Error::Utf8(error))) => violation(&error, INVALID_PAYLOAD),
            Some(Err(error)) => Received::Broken(Some(error.to_string())),
        };
        self.input = match received {
            Received::TooLong | Received::Violation { .. } => Input::Bytes,
            _ => Input::Nothing,
        };
        received
    }

    async fn send(&mut self, mut batch: Batch) -> Result<(), SendError> {
        let min_bytes = MIN_BYTES_PER_SECOND.saturating_mul(self.slow_after.as_secs());
        let min_bytes = usize::try_from(min_bytes).unwrap_or(usize::MAX).max(1);
        while !batch.is_empty() {
            match timeout(self.slow_after, self.write(&mut batch, min_bytes)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(SendError::Disconnected),
                Err(_) => return Err(SendError::TooSlow),
            }
        }
        Ok(())
    }

    async fn close(mut self, CloseRequest { begun, close_message, code }: CloseRequest) {
        let mut last = begun;
        last.extend(close_message);
        last.extend([Frame::new(Opcode::Close, &code.to_be_bytes())]);
        if self.write(&mut last, usize::MAX).await.is_ok() {
            self.closed().await;
        }
    }
}

fn violation(error: &str, code: u16) -> Received {
    Received::Violation { error: error.to_owned(), code }
}

/// The stream, to read from. The replies of the library to pings and close frames are discarded: a batch may be half sent, and the
/// connection replies in its turn.
struct ReadHalf(Arc<UpgradedStream>);

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.0.get_ref();
        loop {
            ready!(stream.poll_read_ready(context))?;
            match stream.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for ReadHalf {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
