//! What is sent to the client, and over which transport.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;

use tokio::select;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use super::{ConnectionTask, IDLE_INTERVAL, SendOutcome, replacement};
use crate::connection::close_reason::CloseReason;
use crate::connection::keep_alive::Due;
use crate::connection::transport::{SendError, Transport};
use crate::protocol::{Frame, MessageReader, ServerMessage};
use crate::service::{Batch, SendQueue, Unsequenced};

impl<'a, T: Transport> ConnectionTask<'a, T> {
    pub(super) fn queue(&self) -> &'a Arc<SendQueue> {
        &self.guard.handle.send_queue
    }

    pub(super) fn record(&self, frame: &Frame) {
        if let Some(recorder) = &self.guard.recorder {
            recorder.sent(frame);
        }
    }

    /// Queues a message with a sequence id, after all that was sent to the hub before.
    pub(super) fn push(&self, frame: Frame) {
        self.guard.distribute();
        self.record(&frame);
        self.queue().push(frame);
    }

    /// Queues a message without a sequence id.
    fn push_unsequenced(&self, kind: Unsequenced, message: &ServerMessage<'_>) {
        let frame = self.protocol.encode(message);
        self.record(&frame);
        self.queue().push_unsequenced(kind, frame);
    }

    /// Begins to send over the transport, with `first`.
    pub(super) fn attach(&self, first: Frame) {
        self.queue().attach(self.transport.as_ref().and_then(T::socket), first);
    }

    /// Sends a batch. Fails if the send queue stops meanwhile, or if the client does not read. If the access token expires meanwhile, the
    /// queue takes no more messages.
    pub(super) async fn send(&mut self, batch: Batch) -> Result<SendOutcome<T>, CloseReason> {
        let queue = self.queue();
        let Some(transport) = &mut self.transport else { return Err(CloseReason::Disconnected) };
        let mut sending = pin!(transport.send(batch));
        loop {
            select! {
                biased;
                sent = sending.as_mut() => return match sent {
                    Ok(()) => {
                        queue.sent(Instant::now());
                        Ok(SendOutcome::Sent)
                    }
                    Err(SendError::Disconnected) => Err(CloseReason::Disconnected),
                    Err(SendError::TooSlow) => Err(CloseReason::ClientSlow),
                },
                reason = queue.stopped_now() => return Err(CloseReason::from_stop(reason, true)),
                transport = replacement(&mut self.replacements) => return Ok(SendOutcome::Replaced(transport)),
                () = passed(self.expires_at) => {
                    self.expires_at = None;
                    queue.expire();
                }
            }
        }
    }

    /// The earliest time at which something is due.
    pub(super) fn next_due(&self) -> Instant {
        let acknowledgement = self.received_sequence.as_ref().and_then(|sequence| sequence.acknowledge_at);
        let times = [self.keep_alive.next_due(), acknowledgement, self.expires_at];
        times.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + IDLE_INTERVAL)
    }

    pub(super) fn handle_due(&mut self, can_read: bool) -> Result<(), CloseReason> {
        let now = Instant::now();
        if self.expires_at.take_if(|end| now >= *end).is_some() {
            self.queue().expire();
        }
        if !can_read {
            // The client may have sent something that is not read yet.
            self.keep_alive.received(now);
        }
        self.keep_alive.sent(self.queue().last_sent());
        let sequence = self.received_sequence.as_mut();
        if let Some(number) = sequence.and_then(|sequence| sequence.take_acknowledgement(now)) {
            self.push_unsequenced(Unsequenced::Ack, &ServerMessage::Ack(number));
        }
        match self.keep_alive.due(now) {
            Some(Due::Timeout) => return Err(CloseReason::ClientTimedOut),
            Some(Due::Ping) => {
                self.push_unsequenced(Unsequenced::Ping, &ServerMessage::Ping);
                self.keep_alive.sent(now);
            }
            None => {}
        }
        Ok(())
    }
}

/// Stateful reconnect.
impl<T: Transport> ConnectionTask<'_, T> {
    /// Waits for a disconnected client to connect again; after the resume timeout the connection ends with `reason`.
    pub(super) async fn wait_for_resume(&mut self, reason: CloseReason) -> Result<(), CloseReason> {
        let queue = self.queue();
        queue.detach().await;
        self.transport = None;
        select! {
            transport = replacement(&mut self.replacements) => {
                self.resume(transport).await;
                Ok(())
            }
            stopped = queue.stopped() => Err(CloseReason::from_stop(stopped, true)),
            () = sleep(self.guard.options().resume_timeout) => Err(reason),
        }
    }

    /// Continues over another transport: sends the next sequence id, and again all messages that are not acknowledged.
    pub(super) async fn resume(&mut self, transport: T) {
        let queue = self.queue();
        queue.detach().await;
        self.transport = Some(transport);
        // The client sends an incomplete message again.
        self.reader = MessageReader::new(self.guard.options().max_client_message_bytes);
        self.keep_alive.received(Instant::now());
        if let Some(sequence) = &mut self.received_sequence {
            sequence.awaits_sequence = true;
        }
        let first = self.protocol.encode(&ServerMessage::Sequence(queue.rewind()));
        self.record(&first);
        self.attach(first);
        debug!(connection = %self.guard.connection, "resumed");
    }
}

/// Waits for a time; forever if there is none. Boxed, so that an open connection reserves no memory for it.
async fn passed(time: Option<Instant>) {
    match time {
        Some(time) => Box::pin(sleep_until(time)).await,
        None => pending().await,
    }
}
