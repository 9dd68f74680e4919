//! The conversation with one client: handshake, then messages in both directions until anything ends it.
//!
//! It is one task and owns its wire whole: while it writes it does not read, so a client that sends without reading slows
//! down itself only. With stateful reconnect the wire may be another one every time; the conversation is the same.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tracing::{debug, info};

use super::contact::{Call, Contact};
use super::ending::Ending;
use super::errands::Errands;
use super::ledger::Ledger;
use super::outbox::Next;
use super::rhythm::{Due, Rhythm};
use super::wire::{Farewell, Gone, Received, Wire};
use crate::protocol::handshake::{self, Handshake, HandshakeError};
use crate::protocol::{ClientMessage, Frame, Incoming, Outcome, Protocol, ServerMessage};
use crate::service::Seat;

/// The version of a hub protocol in which messages are counted.
const STATEFUL: i64 = 2;

/// How long nothing at all may be due.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is agreed on before the handshake.
pub(crate) struct Terms<W> {
    pub(crate) handshake_timeout: Duration,
    /// Whether the client may see why it was closed.
    pub(crate) detailed_errors: bool,
    /// When the connection ends because its access token does.
    pub(crate) expires_at: Option<Instant>,
    /// Where the client's further wires come from, if its connection is one that may be resumed. Boxed, since a channel keeps
    /// room for many from the start, and there is hardly ever one.
    pub(crate) successors: Option<mpsc::Receiver<Box<W>>>,
    /// Whom the client may call, and who is told that it came and went.
    pub(crate) contact: Option<Contact>,
}

/// Serves a client until its connection has ended, and everybody who has to know knows it.
pub(crate) async fn hold<W: Wire>(wire: W, seat: Seat, terms: Terms<W>) {
    let Terms { handshake_timeout, detailed_errors, expires_at, successors, contact } = terms;
    let options = seat.options();
    let pings = W::PINGS.then_some(options.ping_interval);
    let mut conversation = Conversation {
        wire: Some(wire),
        incoming: Incoming::new(options.max_client_message_bytes),
        rhythm: Rhythm::new(Instant::now(), pings, options.client_timeout),
        protocol: Protocol::Json,
        ledger: None,
        errands: Errands::default(),
        expires_at,
        successors,
        contact: contact.map(Arc::new),
        is_known: false,
        seat: &seat,
    };
    let Err(ending) = conversation.live(handshake_timeout).await;
    seat.leave();
    let id = seat.connection();
    info!(connection = %id, "connection {id} ended: {ending}");
    // Boxed, so that no connection has room for its farewell all its life.
    Box::pin(conversation.part(&ending, detailed_errors)).await;
}

/// A conversation has only one way to go on, and that is to its end.
enum Never {}

struct Conversation<'a, W> {
    /// `None` while the client is away.
    wire: Option<W>,
    incoming: Incoming,
    rhythm: Rhythm,
    protocol: Protocol,
    /// Kept with clients that may resume.
    ledger: Option<Ledger>,
    errands: Errands,
    expires_at: Option<Instant>,
    successors: Option<mpsc::Receiver<Box<W>>>,
    contact: Option<Arc<Contact>>,
    /// Whether the upstream was told, or is going to be told, that the client is there.
    is_known: bool,
    seat: &'a Seat,
}

impl<W: Wire> Conversation<'_, W> {
    async fn live(&mut self, handshake_timeout: Duration) -> Result<Never, Ending> {
        self.greet(handshake_timeout).await?;
        let mut alarm = pin!(sleep_until(self.alarm()));
        loop {
            match self.turn(alarm.as_mut()).await {
                Ok(()) => {}
                Err(ending) if ending.is_resumable() && self.ledger.is_some() => {
                    self.await_return(ending).await?;
                    alarm.as_mut().reset(self.alarm());
                }
                Err(ending) => return Err(ending),
            }
        }
    }

    /// Waits for the handshake. The answer goes out before anything that queues up once the hub is joined.
    async fn greet(&mut self, limit: Duration) -> Result<(), Ending> {
        let seat = self.seat;
        let first = select! {
            first = timeout(limit, self.first_record()) => first,
            end = seat.outbox().ended() => return Err(Ending::of(end, false)),
        };
        let outcome = match first {
            Ok(record) => handshake::read(&record?, W::TRANSFER),
            Err(_) => Err(HandshakeError::Late),
        };
        if let Ok(Handshake { protocol, version }) = outcome {
            self.protocol = protocol;
            if version >= STATEFUL && self.successors.is_some() {
                self.ledger = Some(Ledger::new(seat.options().max_queued_bytes));
            } else {
                // Nobody will come back, so nobody may try.
                self.successors = None;
            }
            seat.join(protocol);
        }
        self.send([handshake::answer(&outcome)]).await?;
        if let (Ok(_), Some(contact)) = (&outcome, &self.contact) {
            self.is_known = true;
            self.errands.add(0, contact.clone().connected());
        }
        outcome.map(drop).map_err(Ending::HandshakeFailed)
    }

    async fn first_record(&mut self) -> Result<bytes::Bytes, Ending> {
        loop {
            if let Some(record) = self.incoming.next_handshake().map_err(malformed)? {
                return Ok(record);
            }
            let received = received(&mut self.wire).await;
            self.take_in(received)?;
        }
    }

    /// Heeds what has come, then does the next thing there is to do.
    async fn turn(&mut self, mut alarm: Pin<&mut Sleep>) -> Result<(), Ending> {
        let outbox = self.seat.outbox();
        if outbox.is_frozen() {
            outbox.thawed().await;
            self.rhythm.heard(Instant::now());
        }
        // What came together with the handshake is there already.
        while self.errands.has_room()
            && let Some(message) = self.incoming.next(self.protocol).map_err(malformed)?
        {
            self.heed(message).await?;
            let due = self.alarm();
            if due < alarm.deadline() {
                alarm.as_mut().reset(due);
            }
        }
        let reading = self.errands.has_room();
        let has_room = self.ledger.as_ref().is_none_or(Ledger::has_room);
        let sending = has_room && self.wire.as_ref().is_some_and(W::is_ready);
        select! {
            received = received(&mut self.wire), if reading => self.take_in(received),
            next = outbox.next(), if sending => match next {
                Next::Send(frames) => self.send_counted(frames).await,
                Next::Freeze => Ok(()),
                Next::End(end) => Err(Ending::of(end, true)),
            },
            end = outbox.lost(), if has_room && !sending => Err(Ending::of(end, true)),
            // What it has not acknowledged for so long, it need not get before it goes.
            end = outbox.ended(), if !has_room => Err(Ending::of(end, true)),
            answer = self.errands.done() => match answer {
                Some(answer) => self.send_counted([answer]).await,
                None => Ok(()),
            },
            wire = successor(&mut self.successors) => self.go_on_over(wire).await,
            () = alarm.as_mut() => {
                self.do_what_is_due(reading).await?;
                alarm.reset(self.alarm());
                Ok(())
            }
        }
    }

    /// When something may be due.
    fn alarm(&self) -> Instant {
        let ledger = self.ledger.as_ref().and_then(Ledger::acknowledge_at);
        let times = [self.rhythm.alarm(), ledger, self.expires_at];
        times.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + DAY)
    }

    async fn do_what_is_due(&mut self, reading: bool) -> Result<(), Ending> {
        let now = Instant::now();
        if self.expires_at.is_some_and(|end| now >= end) {
            return Err(Ending::TokenExpired);
        }
        if !reading {
            // It may well have spoken; it is we who do not listen.
            self.rhythm.heard(now);
        }
        if let Some(number) = self.ledger.as_mut().and_then(|ledger| ledger.acknowledge(now)) {
            self.say(&ServerMessage::Ack(number)).await?;
        }
        match self.rhythm.due(now) {
            Some(Due::GiveUp) => Err(Ending::ClientSilent),
            Some(Due::Ping) => self.say(&ServerMessage::Ping).await,
            None => Ok(()),
        }
    }

    async fn heed(&mut self, message: ClientMessage) -> Result<(), Ending> {
        if let Some(witness) = self.seat.witness() {
            witness.heard(&message);
        }
        if let Some(ledger) = &mut self.ledger
            && !matches!(message, ClientMessage::Sequence(_))
        {
            let news = if message.is_numbered() { ledger.take(Instant::now()) } else { ledger.hears() };
            if !news {
                return Ok(());
            }
        }
        let connection = self.seat.connection();
        match message {
            ClientMessage::Close { error } => return Err(Ending::ClientClosed(error)),
            ClientMessage::Ping => self.rhythm.pinged(),
            ClientMessage::Invocation { id, target, forwarded } => {
                return self.called(Call { id, target, protocol: self.protocol, forwarded }).await;
            }
            ClientMessage::StreamInvocation { id, target } => {
                let error = format!(
                    "'{target}' cannot be streamed: in serverless mode the service has no upstream for streams. Invoke it instead."
                );
                return self.refuse(&id, error).await;
            }
            ClientMessage::Completion { id, outcome } => {
                if !self.seat.answer(&id, outcome) {
                    debug!(%connection, "nobody waits for an answer that {connection} gave");
                }
            }
            ClientMessage::Ack(number) => {
                if let Some(ledger) = &mut self.ledger {
                    ledger.acknowledged(number);
                }
            }
            ClientMessage::Sequence(number) => {
                if let Some(ledger) = &mut self.ledger {
                    ledger.goes_on_with(number).map_err(|_| {
                        let error = "Sequence ID greater than amount of messages we've received.";
                        Ending::Malformed(error.to_owned())
                    })?;
                }
            }
            ClientMessage::StreamItem { .. }
            | ClientMessage::CancelInvocation { .. }
            | ClientMessage::Other(_) => {
                debug!(%connection, "ignored what serverless mode has no use for, from {connection}");
            }
        }
        Ok(())
    }

    /// The client calls a hub method.
    async fn called(&mut self, call: Call) -> Result<(), Ending> {
        match (&self.contact, call) {
            (Some(contact), call) => {
                self.errands.add(call.forwarded.len(), contact.clone().called(call));
                Ok(())
            }
            (None, Call { id: Some(id), target, .. }) => {
                let error =
                    format!("There is nobody to call '{target}': this emulator has no upstream configured.");
                self.refuse(&id, error).await
            }
            (None, Call { id: None, .. }) => {
                let connection = self.seat.connection();
                debug!(%connection, "ignored what {connection} sent: no upstream is configured");
                Ok(())
            }
        }
    }

    /// Answers a call that cannot be served.
    async fn refuse(&mut self, id: &str, error: impl Into<String>) -> Result<(), Ending> {
        let outcome = Outcome::Error(error.into());
        let completion = ServerMessage::Completion { id, outcome: &outcome };
        self.send_counted([self.protocol.encode(&completion)]).await
    }

    fn take_in(&mut self, received: Received) -> Result<(), Ending> {
        match received {
            Received::Bytes(bytes) => self.incoming.push(&bytes),
            Received::Ended | Received::Broken(None) => return Err(Ending::Gone),
            Received::Broken(Some(error)) => return Err(Ending::Broken(error)),
        }
        self.rhythm.heard(Instant::now());
        Ok(())
    }

    /// Waits until a client whose wire was lost comes back with another.
    async fn await_return(&mut self, lost: Ending) -> Result<(), Ending> {
        self.wire = None;
        let outbox = self.seat.outbox();
        outbox.mend();
        select! {
            wire = successor(&mut self.successors) => self.go_on_over(wire).await,
            end = outbox.ended() => Err(Ending::of(end, true)),
            () = sleep(self.seat.options().resume_timeout) => Err(lost),
        }
    }

    /// Changes to another wire: says where we go on, and again what the client may not have got.
    async fn go_on_over(&mut self, wire: W) -> Result<(), Ending> {
        self.wire = Some(wire);
        // What was cut off comes again, whole.
        self.incoming = Incoming::new(self.seat.options().max_client_message_bytes);
        self.rhythm.heard(Instant::now());
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        let (number, unacknowledged) = ledger.resume();
        let mut frames = vec![self.protocol.encode(&ServerMessage::Sequence(number))];
        frames.extend(unacknowledged);
        debug!(connection = %self.seat.connection(), messages = frames.len() - 1, "resumed");
        self.send(frames).await
    }

    /// Sends what is not counted.
    async fn say(&mut self, message: &ServerMessage<'_>) -> Result<(), Ending> {
        self.send([self.protocol.encode(message)]).await
    }

    /// Sends messages that carry something, one in each frame.
    async fn send_counted(
        &mut self,
        frames: impl IntoIterator<Item = Frame, IntoIter: Send> + Send,
    ) -> Result<(), Ending> {
        match &mut self.ledger {
            None => self.send(frames).await,
            Some(ledger) => {
                let frames: Vec<Frame> = frames.into_iter().inspect(|frame| ledger.sent(frame)).collect();
                self.send(frames).await
            }
        }
    }

    /// Sends all frames. A client that does not take them is given up: when its queue runs full meanwhile, or after the
    /// client timeout.
    async fn send(
        &mut self,
        frames: impl IntoIterator<Item = Frame, IntoIter: Send> + Send,
    ) -> Result<(), Ending> {
        let (seat, Some(wire)) = (self.seat, &mut self.wire) else { return Err(Ending::Gone) };
        let frames = frames.into_iter().inspect(|frame| {
            if let Some(witness) = seat.witness() {
                witness.said(frame);
            }
        });
        select! {
            biased;
            sent = timeout(seat.options().client_timeout, wire.send(frames)) => match sent {
                Ok(Ok(())) => {
                    self.rhythm.sent(Instant::now());
                    Ok(())
                }
                Ok(Err(Gone)) => Err(Ending::Gone),
                Err(_) => Err(Ending::ClientSlow),
            },
            end = seat.outbox().lost() => Err(Ending::of(end, true)),
        }
    }

    /// Says why, closes the wire, and brings what is under way to its end.
    async fn part(self, ending: &Ending, details: bool) {
        if let Some(wire) = self.wire
            && !ending.is_mute()
        {
            let last_words = ending.last_words(details).map(|words| self.protocol.encode(&words));
            if let (Some(witness), Some(frame)) = (self.seat.witness(), &last_words) {
                witness.said(frame);
            }
            let farewell = Farewell { last_words, is_error: ending.is_error() };
            // However it goes, nothing is left to be done for this client.
            let _ = timeout(self.seat.options().close_timeout, wire.close(farewell)).await;
        }
        self.seat.vacate();
        self.errands.finish().await;
        if let Some(contact) = self.contact.filter(|_| self.is_known) {
            contact.disconnected(ending.error().as_deref()).await;
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> Ending {
    Ending::Malformed(error.to_string())
}

/// What comes from the client; nothing, while it is away.
async fn received<W: Wire>(wire: &mut Option<W>) -> Received {
    match wire {
        Some(wire) => wire.receive().await,
        None => std::future::pending().await,
    }
}

/// The client's next wire. A connection that cannot be resumed never has one.
async fn successor<W>(successors: &mut Option<mpsc::Receiver<Box<W>>>) -> W {
    if let Some(successors) = successors
        && let Some(wire) = successors.recv().await
    {
        return *wire;
    }
    std::future::pending().await
}
