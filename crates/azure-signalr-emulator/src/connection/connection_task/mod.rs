//! Serves one connection from its handshake to its end, in one task.
//!
//! The task reads what the client sends. Most messages to the client are sent by a writer; the task sends what a socket does not take at
//! once, and does not read meanwhile, so a client that sends without reading slows down only itself. With stateful reconnect the
//! transport can be replaced while the connection continues.

mod receive;
mod send;

use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, Fuse};
use tokio::select;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tracing::info;

use super::close_reason::CloseReason;
use super::keep_alive::KeepAlive;
use super::received_sequence::ReceivedSequence;
use super::transport::{CloseRequest, Received, Transport};
use super::upstream_connection::{UpstreamConnection, UpstreamQueue};
use crate::protocol::handshake::{self, Handshake, HandshakeError};
use crate::protocol::{MalformedMessage, MessageReader, MessageTooLong, Protocol};
use crate::service::{Batch, ConnectionGuard, NextSend, Unsequenced};

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
    /// Replacement transports, if the connection can be resumed.
    pub(crate) replacements: Option<Replacements<T>>,
    /// Receives the invocations and events of the client.
    pub(crate) upstream: Option<UpstreamConnection>,
}

/// Serves a connection until it is closed and the hub and the upstream have been notified.
pub(crate) async fn run<T: Transport>(transport: T, guard: ConnectionGuard, settings: ConnectionSettings<T>) {
    let ConnectionSettings { handshake_timeout, detailed_errors, expires_at, replacements, upstream } = settings;
    let options = guard.options();
    let pings = T::USES_PINGS.then_some(options.ping_interval);
    let mut task = ConnectionTask {
        transport: Some(transport),
        protocol: Protocol::Json,
        reader: MessageReader::new(options.max_client_message_bytes),
        received_sequence: None,
        keep_alive: KeepAlive::new(Instant::now(), pings, options.client_timeout),
        upstream_queue: UpstreamQueue::default(),
        expires_at,
        replacements,
        upstream: upstream.map(Arc::new),
        upstream_notified: false,
        guard: &guard,
    };
    let Err(reason) = task.serve(handshake_timeout).await;
    guard.leave_hub();
    let id = &guard.connection;
    info!(connection = %id, "connection {id} ended: {reason}");
    // Boxed, so that an open connection reserves no memory for it.
    Box::pin(task.close(&reason, detailed_errors)).await;
}

/// The transports with which a client connects again.
pub(crate) type Replacements<T> = Fuse<BoxStream<'static, T>>;

/// A connection runs until an error.
enum Never {}

/// The outcome of sending.
enum SendOutcome<T> {
    Sent,
    /// The client has connected again meanwhile.
    Replaced(T),
}

struct ConnectionTask<'a, T> {
    /// `None` while a client that may resume is away.
    transport: Option<T>,
    protocol: Protocol,
    reader: MessageReader,
    /// Present if the client uses stateful reconnect.
    received_sequence: Option<ReceivedSequence>,
    keep_alive: KeepAlive,
    upstream_queue: UpstreamQueue,
    expires_at: Option<Instant>,
    replacements: Option<Replacements<T>>,
    upstream: Option<Arc<UpstreamConnection>>,
    /// Whether a `connected` event is sent or queued, so that a `disconnected` event must follow.
    upstream_notified: bool,
    guard: &'a ConnectionGuard,
}

/// From the handshake to the end.
impl<T: Transport> ConnectionTask<'_, T> {
    async fn serve(&mut self, handshake_timeout: Duration) -> Result<Never, CloseReason> {
        self.handshake(handshake_timeout).await?;
        let mut timer = pin!(sleep_until(self.next_due()));
        loop {
            match self.step(timer.as_mut()).await {
                Ok(()) => {}
                Err(reason) if reason.is_resumable() && self.received_sequence.is_some() => {
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
            Err(_) => Err(HandshakeError::timed_out(self.reader.unread())),
        };
        let response = handshake::response(&outcome);
        match outcome {
            Ok(Handshake { protocol, version }) => {
                self.record(&response);
                self.protocol = protocol;
                if version >= STATEFUL_RECONNECT_VERSION && self.replacements.is_some() {
                    self.received_sequence = Some(ReceivedSequence::new());
                    self.queue().enable_replay(guard.options().max_queued_bytes);
                } else {
                    self.replacements = None;
                }
                guard.join_hub(protocol);
                self.attach(response);
                if let Some(upstream) = &self.upstream {
                    self.upstream_notified = true;
                    self.upstream_queue.push(0, upstream.clone().connected());
                }
                Ok(())
            }
            Err(error) => {
                if let Some(recorder) = &guard.recorder {
                    recorder.rejected_handshake(&error);
                }
                self.record(&response);
                self.send(Batch::from(response)).await?;
                Err(CloseReason::HandshakeFailed(error))
            }
        }
    }

    async fn handshake_request(&mut self) -> Result<Bytes, CloseReason> {
        loop {
            if let Some(record) = self.reader.next_handshake().map_err(CloseReason::TooLong)? {
                return Ok(record);
            }
            let received = receive(&mut self.transport).await;
            self.push_received(received)?;
        }
    }

    /// Handles all messages that have arrived, then waits for the next event and handles it.
    async fn step(&mut self, mut timer: Pin<&mut Sleep>) -> Result<(), CloseReason> {
        let queue = self.queue();
        if queue.is_frozen() {
            queue.unfrozen().await;
            self.keep_alive.received(Instant::now());
        }
        let mut must_send = queue.take_over_if_half_full();
        // Messages can arrive together with the handshake.
        while self.upstream_queue.has_room()
            && !must_send
            && let Some(message) = self.reader.next_message(self.protocol).map_err(malformed)?
        {
            self.handle_message(message)?;
            must_send = queue.take_over_if_half_full();
            let due = self.next_due();
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
        }
        let can_read = self.upstream_queue.has_room() && !must_send;
        let may_send = must_send || self.transport.as_ref().is_some_and(T::is_ready);
        select! {
            next = queue.next(may_send) => match next {
                NextSend::Frames(batch) => match self.send(batch).await? {
                    SendOutcome::Sent => Ok(()),
                    SendOutcome::Replaced(transport) => {
                        self.resume(transport).await;
                        Ok(())
                    }
                },
                NextSend::Frozen => Ok(()),
                NextSend::Stop(reason) => Err(CloseReason::from_stop(reason, true)),
            },
            transport = replacement(&mut self.replacements) => {
                self.resume(transport).await;
                Ok(())
            }
            received = receive(&mut self.transport), if can_read => self.push_received(received),
            completion = self.upstream_queue.next() => {
                if let Some(completion) = completion {
                    self.push(completion);
                }
                Ok(())
            }
            () = timer.as_mut() => {
                self.handle_due(can_read)?;
                timer.reset(self.next_due());
                Ok(())
            }
        }
    }

    fn push_received(&mut self, received: Received) -> Result<(), CloseReason> {
        match received {
            Received::Bytes(bytes) => self.reader.push(&bytes),
            Received::Ping { pong } => self.queue().push_unsequenced(Unsequenced::Pong, pong),
            Received::Closed(code) => return Err(CloseReason::TransportClosed(code)),
            // A client that ends its connection with a request ends its transport, too.
            Received::Broken(error) => {
                return Err(match (self.queue().immediate_stop(), error) {
                    (Some(reason), _) => CloseReason::from_stop(reason, true),
                    (None, Some(error)) => CloseReason::TransportFailed(error),
                    (None, None) => CloseReason::Disconnected,
                });
            }
            Received::Violation { error, code } => return Err(CloseReason::TransportViolated { error, code }),
            Received::TooLong => {
                let limit = self.guard.options().max_client_message_bytes;
                return Err(CloseReason::TooLong(MessageTooLong { limit }));
            }
        }
        self.keep_alive.received(Instant::now());
        Ok(())
    }

    /// Closes the transport, then finishes the queued upstream posts and notifies the upstream.
    async fn close(mut self, reason: &CloseReason, detailed_errors: bool) {
        // A client that connects again meanwhile is refused, or would wait for the end in vain. Without a socket it still sends requests.
        self.replacements = None;
        if self.transport.as_ref().is_none_or(|transport| transport.socket().is_some()) {
            self.guard.remove_token();
        }
        let begun = self.queue().end().await;
        let close_message = reason.close_message(detailed_errors);
        let close_message = close_message.map(|message| self.protocol.encode(&message.as_message()));
        if let Some(transport) = self.transport.filter(|_| !reason.drops_transport()) {
            if let (Some(recorder), Some(frame)) = (&self.guard.recorder, &close_message) {
                recorder.sent(frame);
            }
            let request = CloseRequest { begun, close_message, code: reason.close_code() };
            // The connection ends in any case.
            let _ = timeout(self.guard.options().close_timeout, transport.close(request)).await;
        }
        self.guard.remove_token();
        self.upstream_queue.finish().await;
        if let Some(upstream) = self.upstream.filter(|_| self.upstream_notified) {
            upstream.disconnected(reason.upstream_error().as_deref()).await;
        }
    }
}

fn malformed(error: MalformedMessage) -> CloseReason {
    match error.too_long() {
        Some(too_long) => CloseReason::TooLong(too_long),
        None => CloseReason::Malformed(error.to_string()),
    }
}

/// Waits for data of the client; forever while it is away.
async fn receive<T: Transport>(transport: &mut Option<T>) -> Received {
    match transport {
        Some(transport) => transport.receive().await,
        None => pending().await,
    }
}

/// The next transport of the client; waits forever if the connection cannot be resumed.
async fn replacement<T>(replacements: &mut Option<Replacements<T>>) -> T {
    if let Some(replacements) = replacements
        && let Some(transport) = replacements.next().await
    {
        return transport;
    }
    pending().await
}
