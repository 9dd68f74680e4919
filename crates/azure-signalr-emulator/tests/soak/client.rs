//! [`Client`]: a client of any transport and protocol.

use std::net::Ipv4Addr;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::program::Program;
use crate::support::{DEADLINE, client_token};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    WebSocket,
    MessagePack,
    Resumable,
    /// Resumable, with MessagePack.
    ResumableMessagePack,
    EventStream,
    LongPolling,
}

pub(crate) const ALL_KINDS: [Kind; 6] = [
    Kind::WebSocket,
    Kind::MessagePack,
    Kind::Resumable,
    Kind::ResumableMessagePack,
    Kind::EventStream,
    Kind::LongPolling,
];

impl Kind {
    pub(crate) fn is_resumable(self) -> bool {
        matches!(self, Self::Resumable | Self::ResumableMessagePack)
    }

    fn is_messagepack(self) -> bool {
        matches!(self, Self::MessagePack | Self::ResumableMessagePack)
    }

    pub(crate) fn is_websocket(self) -> bool {
        !matches!(self, Self::EventStream | Self::LongPolling)
    }

    fn handshake(self) -> String {
        let protocol = if self.is_messagepack() { "messagepack" } else { "json" };
        let version = if self.is_resumable() { 2 } else { 1 };
        format!("{}\u{1e}", json!({"protocol": protocol, "version": version}))
    }
}

/// What carries the data to the client.
enum Input {
    WebSocket(Box<WebSocketStream<TcpStream>>),
    EventStream(Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>),
    Polls,
}

pub(crate) struct Client {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    token: String,
    input: Input,
    http: reqwest::Client,
    url: String,
    /// Bytes that are no whole message yet.
    unread: Vec<u8>,
}

impl Client {
    /// A new client after its handshake.
    pub(crate) async fn connect(program: &Program, kind: Kind) -> Self {
        let mut client = Self::open(program, kind).await;
        client.send(kind.handshake().into_bytes()).await;
        assert_eq!(client.handshake_response().await, b"{}");
        client
    }

    /// A new client that has not sent its handshake.
    pub(crate) async fn open(program: &Program, kind: Kind) -> Self {
        let (id, token) = program.negotiate(kind.is_resumable()).await;
        let url = program.url(&format!("/client/?hub=chat&id={token}"));
        let (input, http) = (Input::Polls, program.http.clone());
        let mut client = Self { kind, id, token, input, http, url, unread: Vec::new() };
        match kind {
            Kind::EventStream => {
                let response = client.get().header("accept", "text/event-stream").send().await.unwrap();
                client.input = Input::EventStream(Box::pin(response.bytes_stream()));
            }
            Kind::LongPolling => assert_eq!(client.get().send().await.unwrap().status(), 200),
            _ => client.reconnect(program).await,
        }
        client
    }

    /// Opens a new WebSocket with the connection token, in place of the last one.
    pub(crate) async fn reconnect(&mut self, program: &Program) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 << 10).unwrap();
        let stream = socket.connect((Ipv4Addr::LOCALHOST, program.port).into()).await.unwrap();
        let url = format!("ws://127.0.0.1:{}/client/?hub=chat&id={}", program.port, self.token);
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {}", client_token(json!({})));
        request.headers_mut().insert("authorization", bearer.parse().unwrap());
        let (socket, _) = timeout(DEADLINE, client_async(request, stream)).await.expect("a response").unwrap();
        self.input = Input::WebSocket(Box::new(socket));
        self.unread.clear();
    }

    fn get(&mut self) -> RequestBuilder {
        self.http.get(&self.url).bearer_auth(client_token(json!({})))
    }

    /// Ends the connection of a client over long polling.
    pub(crate) async fn delete(&mut self) {
        self.http.delete(&self.url).bearer_auth(client_token(json!({}))).send().await.unwrap();
    }

    /// Sends bytes; the connection may have ended.
    pub(crate) async fn send(&mut self, bytes: Vec<u8>) {
        match &mut self.input {
            Input::WebSocket(socket) => drop(socket.send(Message::binary(bytes)).await),
            _ => drop(self.http.post(&self.url).bearer_auth(client_token(json!({}))).body(bytes).send().await),
        }
    }

    /// Sends a message whose MessagePack form is an array of these values.
    pub(crate) async fn send_message(&mut self, json: Value, array: Value) {
        let bytes = if self.kind.is_messagepack() { packed(&array) } else { format!("{json}\u{1e}").into_bytes() };
        self.send(bytes).await;
    }

    /// Sends a close frame, if the client has a WebSocket.
    pub(crate) async fn close(&mut self) {
        if let Input::WebSocket(socket) = &mut self.input {
            let _ = socket.send(Message::Close(None)).await;
        }
    }

    /// The next bytes; `None` at the end.
    async fn read(&mut self) -> Option<()> {
        let bytes = match &mut self.input {
            Input::WebSocket(socket) => match socket.next().await?.ok()? {
                Message::Text(text) => text.into(),
                Message::Binary(bytes) => bytes,
                _ => Bytes::new(),
            },
            Input::EventStream(stream) => stream.next().await?.ok()?,
            Input::Polls => {
                let response = self.get().send().await.unwrap();
                if response.status() != 200 {
                    return None;
                }
                response.bytes().await.ok()?
            }
        };
        self.unread.extend_from_slice(&bytes);
        Some(())
    }

    async fn handshake_response(&mut self) -> Vec<u8> {
        loop {
            if let Some(record) = self.take_record() {
                return record;
            }
            timeout(DEADLINE, self.read()).await.expect("a handshake response").expect("an open connection");
        }
    }

    /// A text up to its separator. Events of Server-Sent Events hold one each.
    fn take_record(&mut self) -> Option<Vec<u8>> {
        let end = self.unread.iter().position(|byte| *byte == 0x1e)?;
        let rest = self.unread.split_off(end + 1);
        let mut record = std::mem::replace(&mut self.unread, rest);
        record.pop();
        let begin = record.iter().position(|byte| *byte == b'{').unwrap();
        Some(record.split_off(begin))
    }

    /// The next message, in its JSON form or as the array of MessagePack; `None` at the end.
    pub(crate) async fn receive(&mut self) -> Option<Value> {
        loop {
            let message = if self.kind.is_messagepack() {
                self.take_packed()
            } else {
                self.take_record().map(|record| serde_json::from_slice(&record).unwrap())
            };
            if message.is_some() {
                return message;
            }
            timeout(2 * DEADLINE, self.read()).await.expect("a message, a ping or the end")?;
        }
    }

    fn take_packed(&mut self) -> Option<Value> {
        let length_bytes = self.unread.iter().position(|byte| *byte < 0x80)? + 1;
        let parts = self.unread[..length_bytes].iter().rev();
        let length = parts.fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
        let end = length_bytes + length;
        if self.unread.len() < end {
            return None;
        }
        let mut bytes = &self.unread[length_bytes..end];
        let value = rmpv::decode::read_value(&mut bytes).unwrap();
        self.unread.drain(..end);
        Some(json(value))
    }
}

/// The JSON form of what the messages of this test hold.
fn json(value: rmpv::Value) -> Value {
    match value {
        rmpv::Value::Array(values) => values.into_iter().map(json).collect(),
        rmpv::Value::Integer(number) => number.as_u64().into(),
        rmpv::Value::String(text) => text.as_str().into(),
        rmpv::Value::Boolean(value) => value.into(),
        _ => Value::Null,
    }
}

fn packed(array: &Value) -> Vec<u8> {
    let pack = |value: &Value| match value {
        Value::Number(number) => number.as_u64().unwrap().into(),
        Value::String(text) => text.as_str().into(),
        Value::Object(_) => rmpv::Value::Map(Vec::new()),
        Value::Array(_) => rmpv::Value::Array(Vec::new()),
        _ => rmpv::Value::Nil,
    };
    let values = array.as_array().unwrap().iter().map(pack).collect();
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &rmpv::Value::Array(values)).unwrap();
    let length = u8::try_from(bytes.len()).ok().filter(|length| *length < 0x80).expect("a short message");
    bytes.insert(0, length);
    bytes
}
