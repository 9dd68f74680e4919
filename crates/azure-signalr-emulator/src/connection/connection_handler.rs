//! Serves one connection from its handshake to its end.
//!
//! One task owns the transport and does not read while it writes, so a client that sends without reading slows down only itself.
//! With stateful reconnect the transport can be replaced while the connection continues.

use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tracing::{debug, info};

use super::keep_alive::Due;
use super::message_buffer::MessageBuffer;
use super::transport::{CloseReason, Received, Transport, Writer};
use super::upstream_connection::{ClientInvocation, UpstreamConnection, UpstreamQueue};
use crate::protocol::handshake::{self, Handshake, HandshakeError};
use crate::protocol::{ClientMessage, MessageReader, Outcome, ServerMessage};
use crate::service::{ConnectionGuard, NextSend};

/// The first version of the hub protocols with sequence ids.
const STATEFUL_RECONNECT_VERSION: i64 = 2;

/// How long to sleep when nothing is due.
const IDLE_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// The properties of a connection that are known before its handshake.
pub(crate) struct ConnectionSettings<T> {
    pub(crate) handshake_timeout: Duration,
    /// Whether the client may see why the service closes the connection.
    pub(crate) detailed_errors: bool,
    /// When the connection ends with its access token.
    pub(crate) expires_at: Option<Instant>,
    /// Replacement transports, if the connection can be resumed. Boxed, since a channel allocates slots for many values.
    pub(crate) replacements: Option<mpsc::Receiver<Box<T>>>,
    /// Receives the invocations and events of the client.
    pub(crate) upstream: Option<UpstreamConnection>,
}

/// Serves a connection until it is closed and the hub and the upstream have been notified.
pub(crate) async fn run<T: Transport>(transport: T, guard: ConnectionGuard, settings: ConnectionSettings<T>) {
    let ConnectionSettings { handshake_timeout, detailed_errors, expires_at, replacements, upstream } = settings;
    let mut handler = ConnectionHandler {
        writer: Writer::new(&guard, transport),
        reader: MessageReader::new(guard.options().max_client_message_bytes),
        upstream_queue: UpstreamQueue::default(),
        expires_at,
        replacements,
        upstream: upstream.map(Arc::new),
        upstream_notified: false,
        guard: &guard,
    };
    let Err(reason) = handler.serve(handshake_timeout).await;
    guard.leave_hub();
    let id = &guard.connection;
    info!(connection = %id, "connection {id} ended: {reason}");
    // Boxed, so that an open connection reserves no memory for it.
    Box::pin(handler.close(&reason, detailed_errors)).await;
}

/// A connection runs until an error.
enum Never {}

struct ConnectionHandler<'a, T> {
    writer: Writer<'a, T>,
    reader: MessageReader,
    upstream_queue: UpstreamQueue,
    expires_at: Option<Instant>,
    replacements: Option<mpsc::Receiver<Box<T>>>,
    upstream: Option<Arc<UpstreamConnection>>,
    /// Whether a `connected` event is sent or queued, so that a `disconnected` event must follow.
    upstream_notified: bool,
    guard: &'a ConnectionGuard,
}

impl<T: Transport> ConnectionHandler<'_, T> {
    async fn serve(&mut self, handshake_timeout: Duration) -> Result<Never, CloseReason> {
        self.handshake(handshake_timeout).await?;
        let mut timer = pin!(sleep_until(self.next_due()));
        loop {
            match self.step(timer.as_mut()).await {
                Ok(()) => {}
                Err(reason) if reason.is_resumable() && self.writer.message_buffer.is_some() => {
                    self.wait_for_resume(reason).await?;
                    timer.as_mut().reset(self.next_due());
                }
                Err(reason) => return Err(reason),
            }
        }
    }

    /// Waits for the handshake request. The response is sent before any message of the hub.
    async fn handshake(&mut self, limit: Duration) -> Result<(), CloseReason> {
        let guard = self.guard;
        let request = select! {
            request = timeout(limit, self.handshake_request()) => request,
            reason = guard.handle.send_queue.stopped() => return Err(CloseReason::from_stop(reason, false)),
        };
        let outcome = match request {
            Ok(request) => handshake::parse_request(&request?, T::TRANSFER_FORMAT),
            Err(_) => Err(HandshakeError::TimedOut),
        };
        if let Ok(Handshake { protocol, version }) = outcome {
            self.writer.protocol = protocol;
            if version >= STATEFUL_RECONNECT_VERSION && self.replacements.is_some() {
                self.writer.message_buffer = Some(MessageBuffer::new(guard.options().max_queued_bytes));
            } else {
                self.replacements = None;
            }
            guard.join_hub(protocol);
        }
        self.writer.send([handshake::response(&outcome)]).await?;
        if let (Ok(_), Some(upstream)) = (&outcome, &self.upstream) {
            self.upstream_notified = true;
            self.upstream_queue.push(0, upstream.clone().connected());
        }
        outcome.map(drop).map_err(CloseReason::HandshakeFailed)
    }

    async fn handshake_request(&mut self) -> Result<Bytes, CloseReason> {
        loop {
            if let Some(record) = self.reader.next_handshake().map_err(malformed)? {
                return Ok(record);
            }
            let received = self.writer.receive().await;
            self.push_received(received)?;
        }
    }

    /// Handles all messages that have arrived, then waits for the next event and handles it.
    async fn step(&mut self, mut timer: Pin<&mut Sleep>) -> Result<(), CloseReason> {
        let send_queue = &self.guard.handle.send_queue;
        if send_queue.is_frozen() {
            send_queue.unfrozen().await;
            self.writer.keep_alive.received(Instant::now());
        }
        // Messages can arrive together with the handshake.
        while self.upstream_queue.has_room()
            && let Some(message) = self.reader.next_message(self.writer.protocol).map_err(malformed)?
        {
            self.handle_message(message).await?;
            let due = self.next_due();
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
        }
        let can_read = self.upstream_queue.has_room();
        let has_room = self.writer.message_buffer.as_ref().is_none_or(MessageBuffer::has_room);
        let can_send = has_room && self.writer.is_ready();
        select! {
            received = self.writer.receive(), if can_read => self.push_received(received),
            next = send_queue.next(), if can_send => match next {
                NextSend::Frames(frames) => self.writer.send_sequenced(frames).await,
                NextSend::Frozen => Ok(()),
                NextSend::Stop(reason) => Err(CloseReason::from_stop(reason, true)),
            },
            reason = send_queue.stopped_now(), if has_room && !can_send => Err(CloseReason::from_stop(reason, true)),
            // Does not wait for acknowledgements before it closes.
            reason = send_queue.stopped(), if !has_room => Err(CloseReason::from_stop(reason, true)),
            completion = self.upstream_queue.next() => match completion {
                Some(completion) => self.writer.send_sequenced([completion]).await,
                None => Ok(()),
            },
            transport = replacement(&mut self.replacements) => self.resume(transport).await,
            () = timer.as_mut() => {
                self.handle_due(can_read).await?;
                timer.reset(self.next_due());
                Ok(())
            }
        }
    }

    /// The earliest time at which something is due.
    fn next_due(&self) -> Instant {
        let acknowledgement = self.writer.message_buffer.as_ref().and_then(|buffer| buffer.acknowledge_at);
        let times = [self.writer.keep_alive.next_due(), acknowledgement, self.expires_at];
        times.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + IDLE_INTERVAL)
    }

    async fn handle_due(&mut self, can_read: bool) -> Result<(), CloseReason> {
        let now = Instant::now();
        if self.expires_at.is_some_and(|end| now >= end) {
            return Err(CloseReason::TokenExpired);
        }
        if !can_read {
            // The client may have sent something that is not read yet.
            self.writer.keep_alive.received(now);
        }
        let buffer = self.writer.message_buffer.as_mut();
        if let Some(number) = buffer.and_then(|buffer| buffer.take_acknowledgement(now)) {
            self.writer.send_unsequenced(&ServerMessage::Ack(number)).await?;
        }
        match self.writer.keep_alive.due(now) {
            Some(Due::Timeout) => Err(CloseReason::ClientTimedOut),
            Some(Due::Ping) => self.writer.send_unsequenced(&ServerMessage::Ping).await,
            None => Ok(()),
        }
    }

    async fn handle_message(&mut self, message: ClientMessage) -> Result<(), CloseReason> {
        if let Some(recorder) = &self.guard.recorder {
            recorder.received(&message);
        }
        if let Some(buffer) = &mut self.writer.message_buffer
            && !matches!(message, ClientMessage::Sequence(_))
        {
            let is_new = if message.is_sequenced() {
                buffer.received_sequenced(Instant::now())
            } else {
                !buffer.awaits_sequence
            };
            if !is_new {
                return Ok(());
            }
        }
        let connection = &self.guard.connection;
        match message {
            ClientMessage::Close { error } => return Err(CloseReason::ClientClosed(error)),
            ClientMessage::Ping => self.writer.keep_alive.ping_received(),
            ClientMessage::Invocation { id, target, forwarded } => {
                let protocol = self.writer.protocol;
                return self.invoke_upstream(ClientInvocation { id, target, protocol, forwarded }).await;
            }
            ClientMessage::StreamInvocation { id, target } => {
                let error = format!(
                    "'{target}' cannot be streamed: in serverless mode the service has no upstream for streams. Invoke it instead."
                );
                return self.complete_with_error(&id, error).await;
            }
            ClientMessage::Completion { id, outcome } => {
                if !self.guard.handle.complete_invocation(&id, outcome) {
                    debug!(%connection, "ignored a completion from {connection}: no caller waits for it");
                }
            }
            ClientMessage::Ack(number) => {
                if let Some(buffer) = &mut self.writer.message_buffer {
                    buffer.acknowledged(number);
                }
            }
            ClientMessage::Sequence(number) => {
                if let Some(buffer) = &mut self.writer.message_buffer {
                    buffer.set_next_received(number).map_err(|_| {
                        let error = "Sequence ID greater than amount of messages we've received.";
                        CloseReason::Malformed(error.to_owned())
                    })?;
                }
            }
            ClientMessage::StreamItem { .. } | ClientMessage::CancelInvocation { .. } | ClientMessage::Other(_) => {
                debug!(%connection, "ignored a message from {connection} that has no meaning in serverless mode");
            }
        }
        Ok(())
    }

    /// Queues an invocation for the upstream.
    async fn invoke_upstream(&mut self, invocation: ClientInvocation) -> Result<(), CloseReason> {
        match (&self.upstream, invocation) {
            (Some(upstream), invocation) => {
                let bytes = invocation.forwarded.len();
                self.upstream_queue.push(bytes, upstream.clone().invoke(invocation));
                Ok(())
            }
            (None, ClientInvocation { id: Some(id), target, .. }) => {
                let error = format!("No upstream serves '{target}': this emulator has no upstream configured.");
                self.complete_with_error(&id, error).await
            }
            (None, ClientInvocation { id: None, .. }) => {
                let connection = &self.guard.connection;
                debug!(%connection, "ignored an invocation from {connection}: no upstream is configured");
                Ok(())
            }
        }
    }

    async fn complete_with_error(&mut self, id: &str, error: String) -> Result<(), CloseReason> {
        let completion = ServerMessage::Completion { id, outcome: &Outcome::Error(error) };
        self.writer.send_sequenced([self.writer.protocol.encode(&completion)]).await
    }

    fn push_received(&mut self, received: Received) -> Result<(), CloseReason> {
        match received {
            Received::Bytes(bytes) => self.reader.push(&bytes),
            Received::Closed => return Err(CloseReason::Disconnected),
            Received::Failed(error) => return Err(CloseReason::TransportFailed(error)),
        }
        self.writer.keep_alive.received(Instant::now());
        Ok(())
    }

    /// Waits for a disconnected client to connect again; after the resume timeout the connection ends with `reason`.
    async fn wait_for_resume(&mut self, reason: CloseReason) -> Result<(), CloseReason> {
        self.writer.disconnect();
        select! {
            transport = replacement(&mut self.replacements) => self.resume(transport).await,
            stopped = self.guard.handle.send_queue.stopped() => Err(CloseReason::from_stop(stopped, true)),
            () = sleep(self.guard.options().resume_timeout) => Err(reason),
        }
    }

    async fn resume(&mut self, transport: T) -> Result<(), CloseReason> {
        // The client sends an incomplete message again.
        self.reader = MessageReader::new(self.guard.options().max_client_message_bytes);
        self.writer.resume(transport).await
    }

    /// Closes the transport, then finishes the queued upstream posts and notifies the upstream.
    async fn close(self, reason: &CloseReason, detailed_errors: bool) {
        self.writer.close(reason, detailed_errors).await;
        self.guard.remove_token();
        self.upstream_queue.finish().await;
        if let Some(upstream) = self.upstream.filter(|_| self.upstream_notified) {
            upstream.disconnected(reason.upstream_error().as_deref()).await;
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> CloseReason {
    CloseReason::Malformed(error.to_string())
}

/// The next transport of the client; waits forever if the connection cannot be resumed.
async fn replacement<T>(replacements: &mut Option<mpsc::Receiver<Box<T>>>) -> T {
    if let Some(replacements) = replacements
        && let Some(transport) = replacements.recv().await
    {
        return *transport;
    }
    pending().await
}
