//! How a client gets into a hub: it negotiates, opens a transport, and shakes hands.

use std::collections::VecDeque;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::client::Client;
use crate::events::Events;
use crate::outcome::{Stop, Verdict, same};
use crate::protocol::Protocol;
use crate::service::{Answer, Service, within};
use crate::token::Token;
use crate::websocket;
use crate::wire::{Negotiated, Wire};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSockets,
    ServerSentEvents,
    LongPolling,
}

/// A client that has not connected yet.
#[must_use = "nobody is connected yet"]
pub(crate) struct Connect {
    service: Arc<Service>,
    hub: String,
    claims: Value,
    transport: Transport,
    protocol: Protocol,
}

impl Connect {
    pub(crate) fn new(service: Arc<Service>, hub: &str) -> Self {
        Self {
            service,
            hub: hub.to_owned(),
            claims: json!({}),
            transport: Transport::WebSockets,
            protocol: Protocol::Json,
        }
    }

    pub(crate) fn user(self, user: &str) -> Self {
        self.claim("asrs.s.uid", json!(user))
    }

    pub(crate) fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    pub(crate) fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    pub(crate) fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    pub(crate) fn token(&self) -> Token {
        self.service.token(&self.service.client_audience(&self.hub), &self.claims)
    }

    pub(crate) async fn negotiate(&self) -> Verdict<Negotiated> {
        let token = self.token();
        let query = [("hub", self.hub.as_str()), ("negotiateVersion", "1")];
        let answer = self.service.negotiate(&query, &token).status(200).await?.json()?;
        let text = |name: &str| {
            let value = answer[name].as_str().map(str::to_owned);
            value.ok_or_else(|| Stop::failed(format_args!("a negotiation with {name}"), "one without"))
        };
        Ok(Negotiated { id: text("connectionId")?, connection_token: text("connectionToken")?, token })
    }

    /// Negotiates, opens the transport and shakes hands.
    pub(crate) async fn connect(self) -> Verdict<Client> {
        let mut client = self.open().await?;
        client.shake_hands(1).await?;
        Ok(client)
    }

    /// The same without the handshake.
    pub(crate) async fn open(self) -> Verdict<Client> {
        let negotiated = self.negotiate().await?;
        let wire = {
            let query = [("hub", self.hub.as_str()), ("id", negotiated.connection_token.as_str())];
            open_wire(&self.service, self.transport, &query, &negotiated.token).await?
        };
        Ok(Client::new(self.service, wire, self.protocol, &self.hub, negotiated))
    }
}

async fn open_wire(
    service: &Service,
    transport: Transport,
    query: &[(&str, &str)],
    token: &Token,
) -> Verdict<Wire> {
    match transport {
        Transport::WebSockets => {
            let socket = websocket::open(service, query, Some(token)).await?.socket()?;
            Ok(Wire::Socket(Box::new(socket)))
        }
        Transport::ServerSentEvents => {
            let query = [query, &[("access_token", token.0.as_str())]].concat();
            let url = service.client_url(&[], &query);
            let call = service.call_url(Method::GET, url).without_token().header(ACCEPT, "text/event-stream");
            let stream = within(service.patience, "an event stream", call.stream()).await?;
            if stream.status() != 200 {
                let (status, headers) = (stream.status(), stream.headers().clone());
                Answer { status, headers, body: stream.bytes().await?.to_vec() }.with_status(200)?;
                return Err(Stop::failed("an event stream", "none"));
            }
            Ok(Wire::Events { stream, events: Events::default(), arrived: VecDeque::new() })
        }
        Transport::LongPolling => {
            let call = service.call_url(Method::GET, service.client_url(&[], query)).token(token);
            let first =
                within(service.patience, "an answer to the first poll, at once", call.status(200)).await?;
            same("the length of the first poll", 0, first.body.len())?;
            Ok(Wire::Polls)
        }
    }
}
