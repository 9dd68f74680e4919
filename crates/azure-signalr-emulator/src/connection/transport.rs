//! The trait [`Transport`], the [`Writer`] that sends over the transport of a connection, and [`CloseReason`].

use std::future::pending;

use bytes::Bytes;
use tokio::select;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::keep_alive::KeepAlive;
use super::message_buffer::MessageBuffer;
use crate::protocol::handshake::{HandshakeError, TransferFormat};
use crate::protocol::{Frame, Protocol, ServerMessage};
use crate::service::{CloseOptions, ConnectionGuard, StopReason};

/// Frames to be sent in order.
pub(crate) trait Frames: IntoIterator<Item = Frame, IntoIter: Send> + Send {}

impl<F: IntoIterator<Item = Frame, IntoIter: Send> + Send> Frames for F {}

/// What a transport has received.
#[derive(Debug)]
pub(crate) enum Received {
    /// Any piece of the stream of messages.
    Bytes(Bytes),
    /// The client has closed the transport.
    Closed,
    /// The transport has failed with this error.
    Failed(String),
}

/// The client no longer receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disconnected;

/// How the service closes a transport.
#[derive(Debug)]
pub(crate) struct CloseRequest {
    /// The Close message, if the client expects one.
    pub(crate) close_message: Option<Frame>,
    /// Whether the connection ends because of an error.
    pub(crate) is_error: bool,
}

/// An open transport of one client.
pub(crate) trait Transport: Send + 'static {
    const TRANSFER_FORMAT: TransferFormat;

    /// Whether both sides send pings of the hub protocol.
    const USES_PINGS: bool;

    /// Whether frames can be sent now. Becomes true only in [`receive`](Self::receive), which then returns.
    fn is_ready(&self) -> bool {
        true
    }

    /// Waits for data of the client. Must be cancel safe.
    fn receive(&mut self) -> impl Future<Output = Received> + Send;

    /// Sends frames in order, in as few writes as possible, and waits until the transport has taken them. Cancelled, it may have
    /// sent some.
    fn send(&mut self, frames: impl Frames) -> impl Future<Output = Result<(), Disconnected>> + Send;

    /// Sends the Close message and closes. The caller limits the time.
    fn close(self, request: CloseRequest) -> impl Future<Output = ()> + Send;
}

/// Sends and receives over the transport of a connection, which stateful reconnect can replace.
pub(super) struct Writer<'a, T> {
    guard: &'a ConnectionGuard,
    /// `None` while a client that may resume is disconnected.
    transport: Option<T>,
    pub(super) protocol: Protocol,
    /// Present if the client uses stateful reconnect.
    pub(super) message_buffer: Option<MessageBuffer>,
    pub(super) keep_alive: KeepAlive,
}

impl<'a, T: Transport> Writer<'a, T> {
    pub(super) fn new(guard: &'a ConnectionGuard, transport: T) -> Self {
        let options = guard.options();
        let pings = T::USES_PINGS.then_some(options.ping_interval);
        Self {
            guard,
            transport: Some(transport),
            protocol: Protocol::Json,
            message_buffer: None,
            keep_alive: KeepAlive::new(Instant::now(), pings, options.client_timeout),
        }
    }

    /// Whether frames can be sent now.
    pub(super) fn is_ready(&self) -> bool {
        self.transport.as_ref().is_some_and(T::is_ready)
    }

    /// Waits for data of the client; forever while it is disconnected.
    pub(super) async fn receive(&mut self) -> Received {
        match &mut self.transport {
            Some(transport) => transport.receive().await,
            None => pending().await,
        }
    }

    /// Sends a message that has no sequence id.
    pub(super) async fn send_unsequenced(&mut self, message: &ServerMessage<'_>) -> Result<(), CloseReason> {
        self.send([self.protocol.encode(message)]).await
    }

    /// Sends messages with sequence ids, one in each frame.
    pub(super) async fn send_sequenced(&mut self, frames: impl Frames) -> Result<(), CloseReason> {
        match &mut self.message_buffer {
            None => self.send(frames).await,
            Some(buffer) => {
                let frames: Vec<Frame> = frames.into_iter().inspect(|frame| buffer.sent(frame)).collect();
                self.send(frames).await
            }
        }
    }

    /// Sends all frames. Fails if the send queue stops meanwhile, or if the client does not read for the client timeout.
    pub(super) async fn send(&mut self, frames: impl Frames) -> Result<(), CloseReason> {
        let guard = self.guard;
        let Some(transport) = &mut self.transport else { return Err(CloseReason::Disconnected) };
        let frames = frames.into_iter().inspect(|frame| {
            if let Some(recorder) = &guard.recorder {
                recorder.sent(frame);
            }
        });
        select! {
            biased;
            sent = timeout(guard.options().client_timeout, transport.send(frames)) => match sent {
                Ok(Ok(())) => {
                    self.keep_alive.sent(Instant::now());
                    Ok(())
                }
                Ok(Err(Disconnected)) => Err(CloseReason::Disconnected),
                Err(_) => Err(CloseReason::ClientSlow),
            },
            reason = guard.handle.send_queue.stopped_now() => Err(CloseReason::from_stop(reason, true)),
        }
    }

    /// Drops the transport of a client that may resume.
    pub(super) fn disconnect(&mut self) {
        self.transport = None;
        self.guard.handle.send_queue.transport_is_gone();
    }

    /// Continues over another transport: sends the next sequence id, and again all messages that are not acknowledged.
    pub(super) async fn resume(&mut self, transport: T) -> Result<(), CloseReason> {
        self.transport = Some(transport);
        self.keep_alive.received(Instant::now());
        let Some(buffer) = &mut self.message_buffer else { return Ok(()) };
        let (number, unacknowledged) = buffer.resume();
        let mut frames = vec![self.protocol.encode(&ServerMessage::Sequence(number))];
        frames.extend(unacknowledged);
        debug!(connection = %self.guard.connection, messages = frames.len() - 1, "resumed");
        self.send(frames).await
    }

    /// Sends the Close message, if the reason has one, and closes the transport.
    pub(super) async fn close(self, reason: &CloseReason, detailed_errors: bool) {
        let Some(transport) = self.transport.filter(|_| !reason.drops_transport()) else { return };
        let close_message = reason.close_message(detailed_errors).map(|message| self.protocol.encode(&message));
        if let (Some(recorder), Some(frame)) = (&self.guard.recorder, &close_message) {
            recorder.sent(frame);
        }
        let request = CloseRequest { close_message, is_error: reason.is_error() };
        // The connection ends in any case.
        let _ = timeout(self.guard.options().close_timeout, transport.close(request)).await;
    }
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum CloseReason {
    #[error("the transport ended")]
    Disconnected,
    #[error("the transport failed: {0}")]
    TransportFailed(String),
    /// With a Close message and its optional error.
    #[error("the client closed it")]
    ClientClosed(Option<String>),
    #[error("the handshake failed: {0}")]
    HandshakeFailed(HandshakeError),
    /// The client has sent pings, and then nothing for the client timeout.
    #[error("the client timed out")]
    ClientTimedOut,
    /// The client has sent an invalid message, or a message that is too long.
    #[error("{0}")]
    Malformed(String),
    #[error("the client reads too slowly")]
    ClientSlow,
    /// A claim ends the connection with its token.
    #[error("the access token expired")]
    TokenExpired,
    /// With a DELETE request.
    #[error("the client closed it")]
    ClientDeleted,
    #[error("the control API dropped it")]
    Aborted,
    /// A REST call has closed the connection, or the service shuts down.
    #[error("the service closed it")]
    Closed { options: CloseOptions, after_handshake: bool },
}

impl CloseReason {
    pub(super) fn from_stop(reason: StopReason, after_handshake: bool) -> Self {
        match reason {
            StopReason::Overflow => Self::ClientSlow,
            StopReason::TransportDropped => Self::Disconnected,
            StopReason::Aborted => Self::Aborted,
            StopReason::Deleted => Self::ClientDeleted,
            StopReason::Closed(options) => Self::Closed { options, after_handshake },
            StopReason::TokenExpired => Self::TokenExpired,
        }
    }

    /// Whether a client with stateful reconnect may resume.
    pub(super) fn is_resumable(&self) -> bool {
        matches!(self, Self::Disconnected | Self::TransportFailed(_))
    }

    /// Whether the transport is dropped instead of closed.
    pub(super) fn drops_transport(&self) -> bool {
        matches!(self, Self::Disconnected | Self::ClientSlow | Self::Aborted | Self::ClientDeleted)
    }

    pub(super) fn is_error(&self) -> bool {
        matches!(self, Self::TransportFailed(_) | Self::Malformed(_))
    }

    /// The Close message. The reason of a caller is included only with `detailed_errors`, errors of the client always.
    pub(super) fn close_message(&self, detailed_errors: bool) -> Option<ServerMessage<'_>> {
        let (error, allow_reconnect) = match self {
            Self::Malformed(error) => (Some(error.as_str()), false),
            Self::ClientTimedOut => (None, true),
            Self::TokenExpired => (Some("The access token has expired."), true),
            Self::Closed { options, after_handshake: true } => {
                (options.reason.as_deref().filter(|_| detailed_errors), options.allow_reconnect)
            }
            _ => return None,
        };
        Some(ServerMessage::Close { error, allow_reconnect })
    }

    /// The error that an upstream receives with the `disconnected` event.
    pub(super) fn upstream_error(&self) -> Option<String> {
        match self {
            Self::ClientClosed(error) => error.clone(),
            Self::ClientDeleted => None,
            Self::Closed { options, .. } => options.reason.clone(),
            reason => Some(reason.to_string()),
        }
    }
}
