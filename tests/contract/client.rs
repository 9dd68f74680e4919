//! A SignalR client as raw as it gets: it negotiates twice, opens a WebSocket and reads records, and forgives nothing.
//!
//! It does not wait for what should not come. To show that nothing came, a test sends a marker and asks what was before it.

use std::collections::VecDeque;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{Response, Url};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::local::Stack;
use crate::support::PATIENCE;

/// Ends every record.
const SEPARATOR: char = '\u{1e}';

/// What negotiate answers: where to connect, and with which token.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) url: Url,
    pub(crate) token: String,
}

impl Access {
    /// What the handler of `stack` gives the holder of a session token, or nobody.
    pub(crate) async fn of(stack: &Stack, session: Option<&str>) -> Self {
        let response = stack.post_as(session, "/api/negotiate").send().await.unwrap();
        assert_eq!(response.status(), 200);
        let body: Value = response.json().await.unwrap();
        Self {
            url: body["url"].as_str().unwrap().parse().unwrap(),
            token: body["accessToken"].as_str().unwrap().to_owned(),
        }
    }

    /// The service's own negotiation.
    pub(crate) async fn negotiate(&self, client: &reqwest::Client) -> Response {
        let mut url = self.url.clone();
        url.path_segments_mut().unwrap().pop_if_empty().push("negotiate");
        url.query_pairs_mut().append_pair("negotiateVersion", "1");
        client.post(url).bearer_auth(&self.token).send().await.unwrap()
    }

    /// A WebSocket to the service, opened as a browser does it, with the token in the query. No handshake yet.
    pub(crate) async fn open(&self, socket: TcpStream, id: Option<&str>) -> Result<Client, Error> {
        let mut url = self.url.clone();
        url.set_scheme("ws").unwrap();
        url.query_pairs_mut().extend_pairs(id.map(|id| ("id", id))).append_pair("access_token", &self.token);
        let opening = client_async(url.as_str().into_client_request()?, socket);
        let (socket, _) = timeout(PATIENCE, opening).await.expect("an answer to the upgrade")?;
        Ok(Client { socket, records: VecDeque::new() })
    }

    /// A socket to where the service is.
    pub(crate) async fn socket(&self) -> TcpStream {
        let place = (self.url.host_str().unwrap(), self.url.port().unwrap());
        timeout(PATIENCE, TcpStream::connect(place)).await.expect("a connection").unwrap()
    }

    /// The same with little room for what is not read, and no more however much comes.
    pub(crate) async fn narrow_socket(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1_024).unwrap();
        let place = ([127, 0, 0, 1], self.url.port().unwrap()).into();
        timeout(PATIENCE, socket.connect(place)).await.expect("a connection").unwrap()
    }
}

/// Somebody who is connected.
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    records: VecDeque<Value>,
}

impl Client {
    /// The whole way, from the handler's negotiate to a place in the hub.
    pub(crate) async fn join(stack: &Stack, session: Option<&str>) -> Self {
        let access = Access::of(stack, session).await;
        let response = access.negotiate(&stack.client).await;
        assert_eq!(response.status(), 200);
        let negotiated: Value = response.json().await.unwrap();
        let id = negotiated["connectionToken"].as_str().unwrap();
        let mut client = access.open(access.socket().await, Some(id)).await.unwrap();
        client.shake_hands().await;
        client
    }

    /// From the answer on it is in the hub.
    pub(crate) async fn shake_hands(&mut self) {
        let handshake = format!("{}{SEPARATOR}", json!({"protocol": "json", "version": 1}));
        self.socket.send(Message::text(handshake)).await.unwrap();
        assert_eq!(self.record().await, Some(json!({})));
    }

    /// The next record that is no ping; `None` at the end of the socket.
    pub(crate) async fn record(&mut self) -> Option<Value> {
        loop {
            if let Some(record) = self.records.pop_front() {
                if record["type"] == 6 {
                    continue;
                }
                return Some(record);
            }
            let frame = timeout(PATIENCE, self.socket.next()).await.expect("waited in vain for a record");
            let Some(Ok(Message::Text(text))) = frame else { return None };
            let records = text.strip_suffix(SEPARATOR).expect("a frame ends with its last record");
            self.records.extend(
                records.split(SEPARATOR).map(|record| serde_json::from_str::<Value>(record).unwrap()),
            );
        }
    }

    /// The next chat message.
    pub(crate) async fn message(&mut self) -> Value {
        let record = self.record().await.expect("a message instead of the end");
        let message = record["arguments"][0].clone();
        assert_eq!(record, json!({"type": 1, "target": "newMessage", "arguments": [message]}));
        message
    }

    /// All messages up to the one whose text is `marker`.
    pub(crate) async fn before(&mut self, marker: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let message = self.message().await;
            if message["text"] == marker {
                return messages;
            }
            messages.push(message);
        }
    }
}
