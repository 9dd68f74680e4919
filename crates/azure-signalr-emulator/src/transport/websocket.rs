//! One client over one WebSocket, from the upgrade to the end.
//!
//! A connection is one task and owns its socket whole: while it writes it does not read, so a client that sends
//! without reading slows down itself only. The service never sends WebSocket pings; some clients take them for data.

use std::fmt;
use std::pin::pin;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures_util::SinkExt as _;
use tokio::select;
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tracing::{debug, info};

use super::outbox::{End, Next};
use super::rhythm::{Due, Rhythm};
use crate::protocol::handshake::{self, HandshakeError};
use crate::protocol::json::{self, ClientMessage};
use crate::protocol::records::Records;
use crate::service::Seat;

/// Clients say little, and every connection owns a buffer of this size.
const READ_BUFFER: usize = 1 << 10;

/// How much of what has queued up is gathered for one write.
const WRITE_BUFFER: usize = 4 << 10;

/// A frame may hold more than one message, and a separator after each.
const FRAME_SLACK: usize = 1 << 10;

/// Answers the upgrade, and serves the connection in a task of its own.
pub(super) fn upgrade(upgrade: WebSocketUpgrade, seat: Seat, handshake_timeout: Duration) -> Response {
    let largest = seat.options().max_client_message_bytes.saturating_add(FRAME_SLACK);
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_frame_size(largest)
        .max_message_size(largest)
        .on_upgrade(move |socket| serve(socket, seat, handshake_timeout))
}

async fn serve(socket: WebSocket, seat: Seat, handshake_timeout: Duration) {
    let options = seat.options();
    let rhythm = Rhythm::new(Instant::now(), options.ping_interval, options.client_timeout);
    let records = Records::new(options.max_client_message_bytes);
    let mut connection = Connection { socket, seat: &seat, records, rhythm };
    let ending = connection.live(handshake_timeout).await;
    let id = seat.connection();
    info!(connection = %id, "connection {id} ended: {ending}");
    connection.say_farewell(ending).await;
}

/// Why a connection ends.
enum Ending {
    /// The socket ended first.
    Gone,
    /// The client said that it would go.
    ClientClosed,
    /// The client does not speak as we do.
    HandshakeFailed(HandshakeError),
    /// The client pinged once and then fell silent.
    ClientSilent,
    /// The client sent what is no message, or too much.
    Malformed(String),
    /// The client read too slowly, or not at all.
    ClientSlow,
    /// The service is closing.
    Closing { greeted: bool },
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the socket ended"),
            Self::ClientClosed => f.write_str("the client closed it"),
            Self::HandshakeFailed(error) => write!(f, "the handshake failed: {error}"),
            Self::ClientSilent => f.write_str("the client fell silent"),
            Self::Malformed(error) => f.write_str(error),
            Self::ClientSlow => f.write_str("the client did not read what was sent to it"),
            Self::Closing { .. } => f.write_str("the service is closing"),
        }
    }
}

struct Connection<'a> {
    socket: WebSocket,
    seat: &'a Seat,
    records: Records,
    rhythm: Rhythm,
}

impl Connection<'_> {
    async fn live(&mut self, handshake_timeout: Duration) -> Ending {
        if let Err(ending) = self.greet(handshake_timeout).await {
            return ending;
        }
        match self.converse().await {
            Ok(()) => Ending::ClientClosed,
            Err(ending) => ending,
        }
    }

    /// Waits for the handshake. The answer goes out before anything that queues up once the hub is joined.
    async fn greet(&mut self, limit: Duration) -> Result<(), Ending> {
        let seat = self.seat;
        let first = select! {
            first = timeout(limit, self.first_record()) => first,
            _ = seat.outbox.next() => return Err(Ending::Closing { greeted: false }),
        };
        let outcome = match first {
            Ok(record) => handshake::read(&record?),
            Err(_) => Err(HandshakeError::Late),
        };
        if outcome.is_ok() {
            seat.join();
        }
        self.send([handshake::answer(&outcome).into()]).await?;
        outcome.map_err(Ending::HandshakeFailed)
    }

    async fn first_record(&mut self) -> Result<bytes::Bytes, Ending> {
        loop {
            if let Some(record) = self.next_record()? {
                return Ok(record);
            }
            let message = self.socket.recv().await;
            self.take_in(message)?;
        }
    }

    /// Until the client says that it will go, or anything ends the connection.
    async fn converse(&mut self) -> Result<(), Ending> {
        let mut alarm = pin!(sleep_until(self.rhythm.alarm()));
        loop {
            // What came together with the handshake is in `records` already.
            while let Some(record) = self.next_record()? {
                let message = json::read(&record).map_err(|error| Ending::Malformed(error.to_string()))?;
                match message {
                    ClientMessage::Close => return Ok(()),
                    ClientMessage::Ping => {
                        self.rhythm.pinged();
                        alarm.as_mut().reset(self.rhythm.alarm());
                    }
                    message => self.answer(message).await?,
                }
            }
            select! {
                message = self.socket.recv() => self.take_in(message)?,
                next = self.seat.outbox.next() => match next {
                    Next::Send(frames) => self.send(frames).await?,
                    Next::End(End::Closing) => return Err(Ending::Closing { greeted: true }),
                    Next::End(End::Overflow) => return Err(Ending::ClientSlow),
                },
                () = alarm.as_mut() => {
                    match self.rhythm.due(Instant::now()) {
                        Some(Due::GiveUp) => return Err(Ending::ClientSilent),
                        Some(Due::Ping) => self.send([json::ping().into()]).await?,
                        None => {}
                    }
                    alarm.as_mut().reset(self.rhythm.alarm());
                }
            }
        }
    }

    /// Nobody is there to call: what asks for an answer gets one that says so, the rest is ignored.
    async fn answer(&mut self, message: ClientMessage) -> Result<(), Ending> {
        let connection = self.seat.connection();
        match message {
            ClientMessage::Invocation { id: Some(id), target }
            | ClientMessage::StreamInvocation { id, target } => {
                let error =
                    format!("There is nobody to call '{target}': this emulator has no upstream configured.");
                self.send([json::failed_completion(&id, &error).into()]).await
            }
            ClientMessage::Invocation { id: None, .. } => {
                debug!(%connection, "ignored a send of {connection}: no upstream is configured");
                Ok(())
            }
            ClientMessage::Other(kind) => {
                debug!(%connection, kind, "ignored a message of type {kind} of {connection}");
                Ok(())
            }
            ClientMessage::Ping | ClientMessage::Close => Ok(()),
        }
    }

    /// Takes what the socket gave. WebSocket pings are answered by the library beneath.
    fn take_in(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), Ending> {
        match message {
            None | Some(Ok(Message::Close(_))) => return Err(Ending::Gone),
            Some(Err(error)) => return Err(Ending::Malformed(error.to_string())),
            Some(Ok(Message::Text(text))) => self.records.push(text.as_str().as_bytes()),
            Some(Ok(Message::Binary(bytes))) => self.records.push(&bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
        }
        self.rhythm.heard(Instant::now());
        Ok(())
    }

    fn next_record(&mut self) -> Result<Option<bytes::Bytes>, Ending> {
        self.records.next().map_err(|_| {
            let limit = self.seat.options().max_client_message_bytes;
            Ending::Malformed(format!("a message is longer than {limit} bytes"))
        })
    }

    /// Sends all frames, in as few writes as possible. A client that does not take them is given up: when its queue
    /// runs full meanwhile, or after the client timeout.
    async fn send(&mut self, frames: impl IntoIterator<Item = Utf8Bytes>) -> Result<(), Ending> {
        let socket = &mut self.socket;
        let writing = async {
            for frame in frames {
                socket.feed(Message::Text(frame)).await?;
            }
            socket.flush().await
        };
        select! {
            biased;
            written = timeout(self.seat.options().client_timeout, writing) => match written {
                Ok(Ok(())) => {
                    self.rhythm.sent(Instant::now());
                    Ok(())
                }
                Ok(Err(_)) => Err(Ending::Gone),
                Err(_) => Err(Ending::ClientSlow),
            },
            () = self.seat.outbox.overflow() => Err(Ending::ClientSlow),
        }
    }

    /// Says why, closes the socket, and lets the client close its side: a socket dropped with bytes unread would take
    /// the last words with it.
    async fn say_farewell(mut self, ending: Ending) {
        let (last_words, code) = match &ending {
            Ending::Gone => (None, None),
            Ending::ClientSlow => return,
            Ending::ClientClosed | Ending::HandshakeFailed(_) | Ending::Closing { greeted: false } => {
                (None, Some(close_code::NORMAL))
            }
            Ending::Closing { greeted: true } | Ending::ClientSilent => {
                (Some(json::close(None, true)), Some(close_code::NORMAL))
            }
            Ending::Malformed(error) => (Some(json::close(Some(error), false)), Some(close_code::ERROR)),
        };
        let limit = self.seat.options().close_timeout;
        let parting = async {
            if let Some(words) = last_words {
                self.socket.feed(Message::Text(words.into())).await?;
            }
            if let Some(code) = code {
                let frame = CloseFrame { code, reason: Utf8Bytes::default() };
                self.socket.send(Message::Close(Some(frame))).await?;
            }
            while let Some(message) = self.socket.recv().await {
                message?;
            }
            Ok::<(), axum::Error>(())
        };
        // However it went, nothing is left to be done for this client.
        let _ = timeout(limit, parting).await;
    }
}
