//! A client of a hub, whatever the transport and protocol, with nothing between the case and the wire.
//!
//! "Nothing arrives" is never waited for: a client is sent a marker, and what came before it is all that came.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::outcome::{Stop, Verdict, same};
use crate::protocol::{Protocol, SEPARATOR, record};
use crate::random::name;
use crate::service::{API_VERSION, Call, Service, within};
use crate::token::Token;
use crate::websocket::{Frame, Socket};
use crate::wire::{Negotiated, Wire};

/// A client after its handshake.
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) connection_token: String,
    pub(crate) token: Token,
    pub(crate) hub: String,
    pub(crate) protocol: Protocol,
    service: Arc<Service>,
    wire: Wire,
    pending: Vec<u8>,
}

impl Client {
    pub(crate) fn new(
        service: Arc<Service>,
        wire: Wire,
        protocol: Protocol,
        hub: &str,
        Negotiated { id, connection_token, token }: Negotiated,
    ) -> Self {
        Self {
            id,
            connection_token,
            token,
            hub: hub.to_owned(),
            protocol,
            service,
            wire,
            pending: Vec::new(),
        }
    }

    /// A client on a socket that was opened by hand, without a negotiation: nobody knows its ids.
    pub(crate) fn on(socket: Socket, service: &Arc<Service>, hub: &str, token: Token) -> Self {
        let unknown = Negotiated { id: String::new(), connection_token: String::new(), token };
        Self::new(service.clone(), Wire::Socket(Box::new(socket)), Protocol::Json, hub, unknown)
    }

    pub(crate) async fn shake_hands(&mut self, version: u32) -> Verdict {
        self.ask_for(self.protocol.name(), version).await?;
        same("the answer to the handshake", json!({}), self.handshake_answer().await?)
    }

    /// A handshake for any protocol, in any version.
    pub(crate) async fn ask_for(&mut self, protocol: &str, version: u32) -> Verdict {
        let request = json!({"protocol": protocol, "version": version}).to_string() + "\u{1e}";
        match &mut self.wire {
            Wire::Socket(socket) => socket.send_text(&request).await,
            _ => self.post(request.into_bytes()).await,
        }
    }

    pub(crate) async fn handshake_answer(&mut self) -> Verdict<Value> {
        let patience = self.service.patience;
        within(patience, "an answer to the handshake", async {
            loop {
                if let Some(text) = record(&mut self.pending) {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return serde_json::from_str(&text).map_err(|_| Stop::failed("JSON", text));
                }
                match self.wire_bytes().await? {
                    Some(bytes) => self.pending.extend(bytes),
                    None => return Err(Stop::failed("an answer to the handshake", "the connection is over")),
                }
            }
        })
        .await
    }

    pub(crate) fn socket(&mut self) -> Verdict<&mut Socket> {
        match &mut self.wire {
            Wire::Socket(socket) => Ok(socket),
            _ => Err(Stop::failed("a socket", "another transport")),
        }
    }

    /// A call of the transport's own address, with the client's token in the header.
    pub(crate) fn transport_call(&self, method: Method) -> Call<'_> {
        let query = [("hub", self.hub.as_str()), ("id", self.connection_token.as_str())];
        self.service.call_url(method, self.service.client_url(&[], &query)).token(&self.token)
    }

    async fn post(&self, bytes: Vec<u8>) -> Verdict {
        let content_type = match self.protocol {
            Protocol::Json => "text/plain;charset=UTF-8",
            Protocol::MessagePack => "application/octet-stream",
        };
        let call = self.transport_call(Method::POST).body(content_type, bytes);
        within(self.service.patience, "an answer to a POST", call.status(200)).await.map(drop)
    }

    /// Sends a hub message.
    pub(crate) async fn send(&mut self, message: &Value) -> Verdict {
        self.send_bytes(self.protocol.write(message)).await
    }

    pub(crate) async fn send_bytes(&mut self, bytes: Vec<u8>) -> Verdict {
        match (&mut self.wire, self.protocol) {
            (Wire::Socket(socket), Protocol::Json) => {
                socket.send_text(&String::from_utf8_lossy(&bytes)).await
            }
            (Wire::Socket(socket), Protocol::MessagePack) => socket.send_binary(bytes).await,
            _ => self.post(bytes).await,
        }
    }

    /// Invokes a method of the hub; with an id, it wants to know what came of it.
    pub(crate) async fn invoke(&mut self, id: Option<&str>, target: &str, arguments: Value) -> Verdict {
        let mut message = json!({"type": 1, "target": target, "arguments": arguments});
        if let Some(id) = id {
            message["invocationId"] = json!(id);
        }
        self.send(&message).await
    }

    /// Whatever the transport brings next; nothing when it is over.
    async fn wire_bytes(&mut self) -> Verdict<Option<Vec<u8>>> {
        match &mut self.wire {
            Wire::Socket(socket) => loop {
                match socket.frame().await {
                    Frame::Text(text) => return Ok(Some(text.into_bytes())),
                    Frame::Binary(bytes) => return Ok(Some(bytes)),
                    Frame::Close(_) | Frame::End => return Ok(None),
                    Frame::Ping | Frame::Pong(_) => {}
                }
            },
            Wire::Events { stream, events, arrived } => loop {
                if let Some(data) = arrived.pop_front() {
                    return Ok(Some(data.into_bytes()));
                }
                match stream.chunk().await {
                    Ok(Some(bytes)) => arrived.extend(events.read(&bytes)),
                    // A stream that is cut off is over as well.
                    Ok(None) | Err(_) => return Ok(None),
                }
            },
            Wire::Polls => loop {
                let answer = self.transport_call(Method::GET).answer().await?;
                if answer.status == 204 {
                    return Ok(None);
                }
                let answer = answer.with_status(200)?;
                if !answer.body.is_empty() {
                    return Ok(Some(answer.body));
                }
            },
        }
    }

    /// The next hub message, pings too, whenever it comes; nothing when the connection is over.
    pub(crate) async fn message(&mut self) -> Verdict<Option<Value>> {
        loop {
            if let Some(message) = self.protocol.read(&mut self.pending) {
                return message.map(Some).map_err(|came| Stop::failed("a hub message", came));
            }
            match self.wire_bytes().await? {
                Some(bytes) => self.pending.extend(bytes),
                None => return Ok(None),
            }
        }
    }

    /// The next hub message that is not a ping, within patience.
    pub(crate) async fn next(&mut self) -> Verdict<Value> {
        let patience = self.service.patience;
        within(patience, "a hub message", async {
            loop {
                match self.message().await? {
                    Some(message) if message["type"] == 6 => {}
                    Some(message) => return Ok(message),
                    None => return Err(Stop::failed("a hub message", "the connection is over")),
                }
            }
        })
        .await
    }

    /// The next Completion, which has to be for this invocation.
    pub(crate) async fn completion(&mut self, id: &str) -> Verdict<Value> {
        let message = self.next().await?;
        same(
            "type and invocation",
            (json!(3), json!(id)),
            (message["type"].clone(), message["invocationId"].clone()),
        )?;
        Ok(message)
    }

    /// Waits for a Close message and then for the end of the transport, without closing anything itself. Returns the message.
    pub(crate) async fn closed(&mut self) -> Verdict<Value> {
        let message = self.next().await?;
        same("a Close message", json!(7), message["type"].clone()).map_err(|stop| stop.at(&message))?;
        self.over().await?;
        Ok(message)
    }

    /// Waits for the end of the transport.
    pub(crate) async fn over(&mut self) -> Verdict {
        let patience = self.service.patience;
        let end = async {
            while self.message().await?.is_some() {}
            Ok(())
        };
        within(patience, "the end of the connection", end).await
    }

    /// Leaves politely.
    pub(crate) async fn leave(mut self) -> Verdict {
        self.send(&json!({"type": 7})).await?;
        match &mut self.wire {
            // Whether the service was quicker does not matter.
            Wire::Socket(socket) => drop(socket.close().await),
            Wire::Events { .. } => {}
            Wire::Polls => drop(self.transport_call(Method::DELETE).answer().await?),
        }
        Ok(())
    }

    /// That these invocations have come since the last look, in this order, and no others.
    pub(crate) async fn gets(&mut self, expected: &[(&str, Value)]) -> Verdict {
        let came = self.invocations(expected.len()).await?;
        let expected: Vec<Value> =
            expected.iter().map(|(target, arguments)| json!([target, arguments])).collect();
        same("invocations", expected, came)
    }

    /// That nothing has come since the last look.
    pub(crate) async fn gets_nothing(&mut self) -> Verdict {
        self.gets(&[]).await
    }

    /// What has come since the last look: targets and arguments, up to a marker, or up to so many should they come after it.
    async fn invocations(&mut self, at_least: usize) -> Verdict<Vec<Value>> {
        let marker = name("marker");
        let segments = ["api", "hubs", &self.hub.to_lowercase(), "connections", &self.id, ":send"];
        let call = self.service.call(Method::POST, &segments).query("api-version", API_VERSION);
        call.message(&marker, &json!([]))
            .status(202)
            .await
            .map_err(|stop| stop.at("send to the connection"))?;
        let mut came = Vec::new();
        let mut marked = false;
        while !marked || came.len() < at_least {
            let message = match self.next().await {
                Ok(message) => message,
                // What is missing is better told by what came.
                Err(_) if marked => break,
                Err(stop) => return Err(stop),
            };
            match message["target"].as_str() {
                Some(target) if target == marker => marked = true,
                Some(target) => came.push(json!([target, message["arguments"]])),
                None => return Err(Stop::failed("an invocation", message)),
            }
        }
        Ok(came)
    }

    /// Drops the connection without a word.
    pub(crate) fn vanish(self) {}
}

/// A JSON message with its separator, for what is sent by hand.
pub(crate) fn text(message: &str) -> String {
    let mut text = message.to_owned();
    text.push(char::from(SEPARATOR));
    text
}
