//! A hub client for cases, over any transport and protocol: `ClientBuilder` connects it, `Client` sends and receives messages.
//!
//! No case waits to see that nothing arrives: the client is sent a marker, and what arrives before the marker is everything.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::case_result::{AtStep, CaseResult, Failure, expect_eq};
use crate::credentials::Token;
use crate::protocol::{Protocol, RECORD_SEPARATOR, take_record};
use crate::service::{API_VERSION, Call, Service, unique_name, with_timeout};
use crate::transport::{Transport, TransportType};
use crate::websocket::{Frame, WebSocket};

/// The ids from a negotiation with the service, and the token it was made with.
pub(crate) struct Negotiation {
    pub(crate) connection_id: String,
    pub(crate) connection_token: String,
    pub(crate) token: Token,
}

/// The settings of a client that is not connected.
#[must_use = "a builder does nothing until it connects"]
pub(crate) struct ClientBuilder {
    service: Arc<Service>,
    hub: String,
    claims: Value,
    transport: TransportType,
    protocol: Protocol,
    stateful: bool,
}

impl ClientBuilder {
    /// A client of the hub, without a user, over WebSockets, in JSON.
    pub(crate) fn new(service: Arc<Service>, hub: &str) -> Self {
        let (transport, protocol) = (TransportType::WebSockets, Protocol::Json);
        Self { service, hub: hub.to_owned(), claims: json!({}), transport, protocol, stateful: false }
    }

    pub(crate) fn user(self, user: &str) -> Self {
        self.claim("asrs.s.uid", json!(user))
    }

    pub(crate) fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    pub(crate) fn transport(mut self, transport: TransportType) -> Self {
        self.transport = transport;
        self
    }

    pub(crate) fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// With stateful reconnect, which version 2 of the hub protocols has. Such a client has to acknowledge what it receives.
    pub(crate) fn stateful(mut self) -> Self {
        self.stateful = true;
        self
    }

    pub(crate) fn token(&self) -> Token {
        self.service.token(&self.service.client_audience(&self.hub), &self.claims)
    }

    pub(crate) async fn negotiate(&self) -> CaseResult<Negotiation> {
        let token = self.token();
        let mut call = self.service.negotiate(&[("hub", self.hub.as_str()), ("negotiateVersion", "1")], &token);
        if self.stateful {
            call = call.query("useStatefulReconnect", "true");
        }
        let response = call.expect_json().await?;
        if self.stateful && response["useStatefulReconnect"] != true {
            return Err(Failure::needs("a service that offers stateful reconnect"));
        }
        let text = |name: &str| {
            let value = response[name].as_str().map(str::to_owned);
            value.ok_or_else(|| Failure::new(format_args!("a negotiate response with {name}"), "one without"))
        };
        let (connection_id, connection_token) = (text("connectionId")?, text("connectionToken")?);
        Ok(Negotiation { connection_id, connection_token, token })
    }

    /// Negotiates, opens the transport and does the handshake.
    pub(crate) async fn connect(self) -> CaseResult<Client> {
        let version = if self.stateful { 2 } else { 1 };
        let mut client = self.open().await?;
        client.handshake(version).await?;
        Ok(client)
    }

    /// Negotiates and opens the transport, without the handshake.
    pub(crate) async fn open(self) -> CaseResult<Client> {
        let negotiation = self.negotiate().await?;
        let query = [("hub", self.hub.as_str()), ("id", negotiation.connection_token.as_str())];
        let transport = Transport::open(&self.service, self.transport, &query, &negotiation.token).await?;
        Ok(Client::new(self.service, transport, self.protocol, &self.hub, negotiation))
    }
}

/// A client with an open transport.
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) connection_token: String,
    pub(crate) token: Token,
    pub(crate) hub: String,
    pub(crate) protocol: Protocol,
    service: Arc<Service>,
    transport: Transport,
    pending: Vec<u8>,
}

impl Client {
    fn new(
        service: Arc<Service>,
        transport: Transport,
        protocol: Protocol,
        hub: &str,
        Negotiation { connection_id: id, connection_token, token }: Negotiation,
    ) -> Self {
        let hub = hub.to_owned();
        Self { id, connection_token, token, hub, protocol, service, transport, pending: Vec::new() }
    }

    /// A client on a WebSocket that was opened without a negotiation: its ids are empty.
    pub(crate) fn from_socket(socket: WebSocket, service: &Arc<Service>, hub: &str, token: Token) -> Self {
        let unknown = Negotiation { connection_id: String::new(), connection_token: String::new(), token };
        let transport = Transport::WebSocket(Box::new(socket));
        Self::new(service.clone(), transport, Protocol::Json, hub, unknown)
    }

    pub(crate) async fn handshake(&mut self, version: u32) -> CaseResult {
        self.send_handshake(self.protocol.name(), version).await?;
        expect_eq("the handshake response", json!({}), self.handshake_response().await?)
    }

    /// Sends a handshake for any protocol and version.
    pub(crate) async fn send_handshake(&mut self, protocol: &str, version: u32) -> CaseResult {
        let request = with_separator(&json!({"protocol": protocol, "version": version}).to_string());
        match &mut self.transport {
            Transport::WebSocket(socket) => socket.send_text(&request).await,
            _ => self.post(request.into_bytes()).await,
        }
    }

    pub(crate) async fn handshake_response(&mut self) -> CaseResult<Value> {
        let timeout = self.service.timeout;
        with_timeout(timeout, "a handshake response", async {
            loop {
                if let Some(text) = take_record(&mut self.pending) {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return serde_json::from_str(&text).map_err(|_| Failure::new("JSON", text));
                }
                match self.receive_bytes().await? {
                    Some(bytes) => self.pending.extend(bytes),
                    None => return Err(Failure::new("a handshake response", "the connection is closed")),
                }
            }
        })
        .await
    }

    pub(crate) fn socket(&mut self) -> CaseResult<&mut WebSocket> {
        match &mut self.transport {
            Transport::WebSocket(socket) => Ok(socket),
            _ => Err(Failure::new("a WebSocket", "another transport")),
        }
    }

    pub(crate) fn into_socket(self) -> CaseResult<WebSocket> {
        match self.transport {
            Transport::WebSocket(socket) => Ok(*socket),
            _ => Err(Failure::new("a WebSocket", "another transport")),
        }
    }

    /// Opens another WebSocket for the same connection, without a handshake. Returns the former transport, which stays open.
    pub(crate) async fn reconnect(&mut self) -> CaseResult<Transport> {
        let query = [("hub", self.hub.as_str()), ("id", self.connection_token.as_str())];
        let transport = Transport::open(&self.service, TransportType::WebSockets, &query, &self.token).await?;
        self.pending.clear();
        Ok(std::mem::replace(&mut self.transport, transport))
    }

    /// A call of the URL of the transport, with the token of the client in the header.
    pub(crate) fn transport_call(&self, method: Method) -> Call<'_> {
        let query = [("hub", self.hub.as_str()), ("id", self.connection_token.as_str())];
        self.service.call_url(method, self.service.client_url(&[], &query)).token(&self.token)
    }

    async fn post(&self, bytes: Vec<u8>) -> CaseResult {
        let content_type = match self.protocol {
            Protocol::Json => "text/plain;charset=UTF-8",
            Protocol::MessagePack => "application/octet-stream",
        };
        let call = self.transport_call(Method::POST).body(content_type, bytes);
        with_timeout(self.service.timeout, "a response to a POST", call.expect_status(200)).await.map(drop)
    }

    /// Sends a hub message.
    pub(crate) async fn send(&mut self, message: &Value) -> CaseResult {
        let bytes = self.protocol.write(message);
        match (&mut self.transport, self.protocol) {
            (Transport::WebSocket(socket), Protocol::Json) => socket.send_text(&String::from_utf8_lossy(&bytes)).await,
            (Transport::WebSocket(socket), Protocol::MessagePack) => socket.send_binary(bytes).await,
            _ => self.post(bytes).await,
        }
    }

    /// Invokes a hub method; with an id, the service responds with a Completion.
    pub(crate) async fn invoke(&mut self, id: Option<&str>, target: &str, arguments: Value) -> CaseResult {
        let mut message = json!({"type": 1, "target": target, "arguments": arguments});
        if let Some(id) = id {
            message["invocationId"] = json!(id);
        }
        self.send(&message).await
    }

    /// The next bytes from the transport; `None` when it is closed.
    async fn receive_bytes(&mut self) -> CaseResult<Option<Vec<u8>>> {
        match &mut self.transport {
            Transport::WebSocket(socket) => loop {
                match socket.next_frame().await {
                    Frame::Text(text) => return Ok(Some(text.into_bytes())),
                    Frame::Binary(bytes) => return Ok(Some(bytes)),
                    Frame::Close(_) | Frame::End => return Ok(None),
                    Frame::Ping | Frame::Pong(_) => {}
                }
            },
            Transport::ServerSentEvents { stream, parser, received } => loop {
                if let Some(data) = received.pop_front() {
                    return Ok(Some(data.into_bytes()));
                }
                match stream.chunk().await {
                    Ok(Some(bytes)) => received.extend(parser.add(&bytes)),
                    // A broken stream is closed as well.
                    Ok(None) | Err(_) => return Ok(None),
                }
            },
            Transport::LongPolling => loop {
                let response = self.transport_call(Method::GET).response().await?;
                if response.status == 204 {
                    return Ok(None);
                }
                let response = response.expect_status(200)?;
                if !response.body.is_empty() {
                    return Ok(Some(response.body));
                }
            },
        }
    }

    /// Waits without a time limit for the next hub message, pings included; `None` when the connection is closed.
    pub(crate) async fn next_message_or_ping(&mut self) -> CaseResult<Option<Value>> {
        loop {
            if let Some(message) = self.protocol.read(&mut self.pending) {
                return message.map(Some).map_err(|actual| Failure::new("a hub message", actual));
            }
            match self.receive_bytes().await? {
                Some(bytes) => self.pending.extend(bytes),
                None => return Ok(None),
            }
        }
    }

    /// The next hub message that is not a ping.
    pub(crate) async fn next_message(&mut self) -> CaseResult<Value> {
        let timeout = self.service.timeout;
        with_timeout(timeout, "a hub message", async {
            loop {
                match self.next_message_or_ping().await? {
                    Some(message) if message["type"] == 6 => {}
                    Some(message) => return Ok(message),
                    None => return Err(Failure::new("a hub message", "the connection is closed")),
                }
            }
        })
        .await
    }

    /// Expects the next message to be the Completion of an invocation.
    pub(crate) async fn expect_completion(&mut self, id: &str) -> CaseResult<Value> {
        let message = self.next_message().await?;
        let actual = (message["type"].clone(), message["invocationId"].clone());
        expect_eq("type and invocationId", (json!(3), json!(id)), actual)?;
        Ok(message)
    }

    /// Expects a Close message and then the end of the transport. Returns the message.
    pub(crate) async fn expect_close_message(&mut self) -> CaseResult<Value> {
        let message = self.next_message().await?;
        expect_eq("a Close message", json!(7), message["type"].clone()).at(&message)?;
        self.expect_end().await?;
        Ok(message)
    }

    /// Expects the end of the transport.
    pub(crate) async fn expect_end(&mut self) -> CaseResult {
        let timeout = self.service.timeout;
        let end = async {
            while self.next_message_or_ping().await?.is_some() {}
            Ok(())
        };
        with_timeout(timeout, "the end of the connection", end).await
    }

    /// Sends a Close message and closes the transport.
    pub(crate) async fn close(mut self) -> CaseResult {
        self.send(&json!({"type": 7})).await?;
        match &mut self.transport {
            // The service may have closed the socket already.
            Transport::WebSocket(socket) => drop(socket.close(None).await),
            Transport::ServerSentEvents { .. } => {}
            Transport::LongPolling => drop(self.transport_call(Method::DELETE).response().await?),
        }
        Ok(())
    }

    /// Closes the transport without a Close message.
    pub(crate) fn abort(self) {}

    /// Expects exactly these invocations, in this order, since the last check.
    pub(crate) async fn expect_invocations(&mut self, expected: &[(&str, Value)]) -> CaseResult {
        let received = self.invocations(expected.len()).await?;
        let expected: Vec<Value> = expected.iter().map(|(target, arguments)| json!([target, arguments])).collect();
        expect_eq("invocations", expected, received)
    }

    /// Expects that no invocation has arrived since the last check.
    pub(crate) async fn expect_no_invocations(&mut self) -> CaseResult {
        self.expect_invocations(&[]).await
    }

    /// Targets and arguments of the invocations up to a marker, and of later ones until there are `at_least` many.
    async fn invocations(&mut self, at_least: usize) -> CaseResult<Vec<Value>> {
        let marker = unique_name("marker");
        let segments = ["api", "hubs", &self.hub.to_lowercase(), "connections", &self.id, ":send"];
        let call = self.service.call(Method::POST, &segments).version(API_VERSION);
        call.message(&marker, &json!([])).expect_status(202).await.at("send to the connection")?;
        let mut received = Vec::new();
        let mut marker_seen = false;
        while !marker_seen || received.len() < at_least {
            let message = match self.next_message().await {
                Ok(message) => message,
                // The caller compares, and its failure shows what is missing.
                Err(_) if marker_seen => break,
                Err(failure) => return Err(failure),
            };
            match message["target"].as_str() {
                Some(target) if target == marker => marker_seen = true,
                Some(target) => received.push(json!([target, message["arguments"]])),
                None => return Err(Failure::new("an invocation", message)),
            }
        }
        Ok(received)
    }
}

/// A JSON message with its record separator.
pub(crate) fn with_separator(message: &str) -> String {
    let mut text = message.to_owned();
    text.push(char::from(RECORD_SEPARATOR));
    text
}
