//! The messages of the client.

use tokio::time::Instant;
use tracing::debug;

use super::ConnectionTask;
use crate::connection::close_reason::CloseReason;
use crate::connection::transport::Transport;
use crate::connection::upstream_connection::ClientInvocation;
use crate::protocol::{ClientMessage, Outcome, ServerMessage};

impl<T: Transport> ConnectionTask<'_, T> {
    pub(super) fn handle_message(&mut self, message: ClientMessage) -> Result<(), CloseReason> {
        if let Some(recorder) = &self.guard.recorder {
            recorder.received(&message);
        }
        if let Some(sequence) = &mut self.received_sequence
            && !matches!(message, ClientMessage::Sequence(_))
        {
            let is_new =
                if message.is_sequenced() { sequence.received(Instant::now()) } else { !sequence.awaits_sequence };
            if !is_new {
                return Ok(());
            }
        }
        let connection = &self.guard.connection;
        match message {
            ClientMessage::Close { error } => return Err(CloseReason::ClientClosed(error)),
            ClientMessage::Ping => self.keep_alive.ping_received(),
            ClientMessage::Invocation { id, target, forwarded } => {
                self.invoke_upstream(ClientInvocation { id, target, protocol: self.protocol, forwarded });
            }
            ClientMessage::StreamInvocation { id, target } => {
                let error = format!(
                    "'{target}' cannot be streamed: in serverless mode the service has no upstream for streams. Invoke it instead."
                );
                self.complete_with_error(&id, error);
            }
            ClientMessage::Completion { id, outcome } => {
                if !self.guard.handle.complete_invocation(&id, outcome) {
                    debug!(%connection, "ignored a completion from {connection}: no caller waits for it");
                }
            }
            ClientMessage::Ack(number) => self.queue().acknowledge(number),
            ClientMessage::Sequence(number) => {
                if let Some(sequence) = &mut self.received_sequence {
                    sequence.set_next(number).map_err(|_| {
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
    fn invoke_upstream(&mut self, invocation: ClientInvocation) {
        match (&self.upstream, invocation) {
            (Some(upstream), invocation) => {
                let bytes = invocation.forwarded.len();
                self.upstream_queue.push(bytes, upstream.clone().invoke(invocation));
            }
            (None, ClientInvocation { id: Some(id), target, .. }) => {
                let error = format!("No upstream serves '{target}': this emulator has no upstream configured.");
                self.complete_with_error(&id, error);
            }
            (None, ClientInvocation { id: None, .. }) => {
                let connection = &self.guard.connection;
                debug!(%connection, "ignored an invocation from {connection}: no upstream is configured");
            }
        }
    }

    fn complete_with_error(&self, id: &str, error: String) {
        let completion = ServerMessage::Completion { id, outcome: &Outcome::Error(error) };
        self.push(self.protocol.encode(&completion));
    }
}
