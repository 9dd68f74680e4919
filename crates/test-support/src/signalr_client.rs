//! A minimal SignalR client: it negotiates, opens a WebSocket and reads JSON records, and fails the test at every deviation.
//!
//! It never waits for the absence of a message: a test sends a marker and asks what arrived before it.

use std::collections::VecDeque;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{RequestBuilder, Response, Url};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::process::TEST_TIMEOUT;

/// Ends every record.
const SEPARATOR: char = '\u{1e}';

/// The response of `POST /api/negotiate`.
#[derive(Clone)]
pub struct NegotiateResponse {
    /// The URL to connect to.
    pub url: Url,
    /// The access token.
    pub token: String,
}

impl NegotiateResponse {
    /// Sends `request`, a negotiation with the handler, and reads the response.
    pub async fn request(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let body: Value = response.json().await.unwrap();
        Self {
            url: body["url"].as_str().unwrap().parse().unwrap(),
            token: body["accessToken"].as_str().unwrap().to_owned(),
        }
    }

    /// Negotiates with the service.
    pub async fn negotiate(&self, client: &reqwest::Client) -> Response {
        let mut url = self.url.clone();
        url.path_segments_mut().unwrap().pop_if_empty().push("negotiate");
        url.query_pairs_mut().append_pair("negotiateVersion", "1");
        client.post(url).bearer_auth(&self.token).send().await.unwrap()
    }

    /// Opens a WebSocket to the service over `socket`, with the token in the query as in a browser. Sends no handshake.
    pub async fn open(&self, socket: TcpStream, id: Option<&str>) -> Result<Client, Error> {
        let mut url = self.url.clone();
        url.set_scheme("ws").unwrap();
        url.query_pairs_mut().extend_pairs(id.map(|id| ("id", id))).append_pair("access_token", &self.token);
        let opening = client_async(url.as_str().into_client_request()?, socket);
        let (socket, _) = timeout(TEST_TIMEOUT, opening).await.expect("no response to the upgrade")?;
        Ok(Client { socket, records: VecDeque::new() })
    }

    /// Opens a TCP connection to the service.
    pub async fn socket(&self) -> TcpStream {
        let address = (self.url.host_str().unwrap(), self.url.port().unwrap());
        timeout(TEST_TIMEOUT, TcpStream::connect(address)).await.expect("no connection").unwrap()
    }

    /// Opens a TCP connection with a receive buffer of 64 KiB, so that unread data soon blocks the sender.
    pub async fn narrow_socket(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1_024).unwrap();
        let address = ([127, 0, 0, 1], self.url.port().unwrap()).into();
        timeout(TEST_TIMEOUT, socket.connect(address)).await.expect("no connection").unwrap()
    }
}

/// A connection to the hub.
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    records: VecDeque<Value>,
}

impl Client {
    /// Connects to the hub with `access`; returns after the handshake.
    pub async fn connect(access: &NegotiateResponse, client: &reqwest::Client) -> Self {
        let response = access.negotiate(client).await;
        assert_eq!(response.status(), 200);
        let negotiated: Value = response.json().await.unwrap();
        let id = negotiated["connectionToken"].as_str().unwrap();
        let mut client = access.open(access.socket().await, Some(id)).await.unwrap();
        client.shake_hands().await;
        client
    }

    /// Sends the handshake and reads its response; then the connection is in the hub.
    pub async fn shake_hands(&mut self) {
        let handshake = format!("{}{SEPARATOR}", json!({"protocol": "json", "version": 1}));
        self.socket.send(Message::text(handshake)).await.unwrap();
        assert_eq!(self.record().await, Some(json!({})));
    }

    /// The next record that is no ping; `None` at the end of the socket.
    pub async fn record(&mut self) -> Option<Value> {
        loop {
            if let Some(record) = self.records.pop_front() {
                if record["type"] == 6 {
                    continue;
                }
                return Some(record);
            }
            let frame = timeout(TEST_TIMEOUT, self.socket.next()).await.expect("no record");
            let Some(Ok(Message::Text(text))) = frame else { return None };
            let records = text.strip_suffix(SEPARATOR).expect("a frame ends with its last record");
            self.records.extend(records.split(SEPARATOR).map(|record| serde_json::from_str::<Value>(record).unwrap()));
        }
    }

    /// The next chat message.
    pub async fn message(&mut self) -> Value {
        let record = self.record().await.expect("the connection was closed");
        let message = record["arguments"][0].clone();
        assert_eq!(record, json!({"type": 1, "target": "newMessage", "arguments": [message]}));
        message
    }

    /// All messages up to the one whose text is `marker`.
    pub async fn before(&mut self, marker: &str) -> Vec<Value> {
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
