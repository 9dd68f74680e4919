//! The transport of a connection, with the state that depends on what is sent: message buffer and keep-alive times.

use std::future::pending;

use tokio::select;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::close_reason::CloseReason;
use super::keep_alive::KeepAlive;
use super::message_buffer::MessageBuffer;
use super::transport::{CloseRequest, Disconnected, Received, Transport};
use crate::protocol::{Frame, Protocol, ServerMessage};
use crate::service::ConnectionGuard;

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
    pub(super) async fn send_sequenced(
        &mut self,
        frames: impl IntoIterator<Item = Frame, IntoIter: Send> + Send,
    ) -> Result<(), CloseReason> {
        match &mut self.message_buffer {
            None => self.send(frames).await,
            Some(buffer) => {
                let frames: Vec<Frame> = frames.into_iter().inspect(|frame| buffer.sent(frame)).collect();
                self.send(frames).await
            }
        }
    }

    /// Sends all frames. Fails if the send queue stops meanwhile, or if the client does not read for the client timeout.
    pub(super) async fn send(
        &mut self,
        frames: impl IntoIterator<Item = Frame, IntoIter: Send> + Send,
    ) -> Result<(), CloseReason> {
        let guard = self.guard;
        let Some(transport) = &mut self.transport else { return Err(CloseReason::Disconnected) };
        let frames = frames.into_iter().inspect(|frame| {
            if let Some(recorder) = guard.recorder() {
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
            reason = guard.send_queue().stopped_now() => Err(CloseReason::from_stop(reason, true)),
        }
    }

    /// Drops the transport of a client that may resume.
    pub(super) fn disconnect(&mut self) {
        self.transport = None;
        self.guard.send_queue().transport_is_gone();
    }

    /// Continues over another transport: sends the next sequence id, and again all messages that are not acknowledged.
    pub(super) async fn resume(&mut self, transport: T) -> Result<(), CloseReason> {
        self.transport = Some(transport);
        self.keep_alive.received(Instant::now());
        let Some(buffer) = &mut self.message_buffer else { return Ok(()) };
        let (number, unacknowledged) = buffer.resume();
        let mut frames = vec![self.protocol.encode(&ServerMessage::Sequence(number))];
        frames.extend(unacknowledged);
        debug!(connection = %self.guard.connection(), messages = frames.len() - 1, "resumed");
        self.send(frames).await
    }

    /// Sends the Close message, if the reason has one, and closes the transport.
    pub(super) async fn close(self, reason: &CloseReason, detailed_errors: bool) {
        let Some(transport) = self.transport.filter(|_| !reason.drops_transport()) else { return };
        let close_message =
            reason.close_message(detailed_errors).map(|message| self.protocol.encode(&message));
        if let (Some(recorder), Some(frame)) = (self.guard.recorder(), &close_message) {
            recorder.sent(frame);
        }
        let request = CloseRequest { close_message, is_error: reason.is_error() };
        // The connection ends in any case.
        let _ = timeout(self.guard.options().close_timeout, transport.close(request)).await;
    }
}
