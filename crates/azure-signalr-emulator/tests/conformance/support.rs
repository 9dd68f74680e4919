//! [`TestService`]: an emulator on a free port for each test, with raw clients and handmade tokens.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azure_signalr_emulator::{Emulator, Options};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt as _, StreamExt as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message, http};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

/// The key of the official emulator, which is the default.
pub(crate) const KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

/// How long a test waits for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A running emulator.
pub(crate) struct TestService {
    pub(crate) emulator: Emulator,
    pub(crate) port: u16,
    http: reqwest::Client,
    /// Begins the shutdown of the server.
    pub(crate) shutdown: Arc<Notify>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Drop for TestService {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl TestService {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let emulator = Emulator::new(options);
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let served = emulator.clone();
        let shutdown = Arc::new(Notify::new());
        let notified = shutdown.clone().notified_owned();
        let server = tokio::spawn(async move { served.serve(vec![socket], notified).await });
        // Succeeds once in a process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { emulator, port, http: reqwest::Client::new(), shutdown, server }
    }

    /// A service with the default options, and an anonymous client of the hub `chat`.
    pub(crate) async fn with_client() -> (Self, Client) {
        let service = Self::start().await;
        let client = service.client().await;
        (service, client)
    }

    /// The same, with the connection id of the client.
    pub(crate) async fn with_client_id() -> (Self, String, Client) {
        let service = Self::start().await;
        let (id, client) = service.client_with_id().await;
        (service, id, client)
    }

    pub(crate) fn url(&self, rest: &str) -> String {
        format!("http://127.0.0.1:{}{rest}", self.port)
    }

    /// Waits until no client is connected.
    pub(crate) async fn wait_until_empty(&self) {
        timeout(DEADLINE, self.emulator.closed()).await.expect("no clients");
    }

    /// A request without a token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// A request with a token for its own path.
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let audience = format!("http://localhost{}", path.split('?').next().unwrap());
        self.request(method, path).bearer_auth(token(json!({"aud": audience})))
    }

    /// Posts a message, and returns the status.
    pub(crate) async fn send(&self, path: &str, message: &Value) -> u16 {
        self.call(Method::POST, path).json(message).send().await.unwrap().status().as_u16()
    }

    /// Sends a text to the hub `chat`.
    pub(crate) async fn broadcast(&self, text: &str) {
        let message = json!({"target": "t", "arguments": [text]});
        assert_eq!(self.send("/api/hubs/chat/:send?api-version=2022-06-01", &message).await, 202);
    }

    /// Negotiates for the hub `chat`.
    pub(crate) async fn negotiate(&self, query: &str, token: &str) -> Response {
        let path = format!("/client/negotiate?hub=chat{query}");
        self.request(Method::POST, &path).bearer_auth(token).send().await.unwrap()
    }

    /// Connection id and connection token of a version 1 negotiation.
    pub(crate) async fn negotiated_ids(&self, token: &str) -> (String, String) {
        let answer: Value = self.negotiate("&negotiateVersion=1", token).await.json().await.unwrap();
        let id = |name: &str| answer[name].as_str().unwrap().to_owned();
        (id("connectionId"), id("connectionToken"))
    }

    /// Opens a WebSocket without a handshake, or returns status and body of the error.
    pub(crate) async fn open(&self, path: &str, token: Option<&str>) -> Result<Client, (u16, String)> {
        let request = self.upgrade(path, token);
        match timeout(DEADLINE, connect_async(request)).await.unwrap() {
            Ok((socket, _)) => Ok(Client { socket }),
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                Err((response.status().as_u16(), body.into_owned()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn upgrade(&self, path: &str, token: Option<&str>) -> http::Request<()> {
        let mut request = format!("ws://127.0.0.1:{}{path}", self.port).into_client_request().unwrap();
        if let Some(token) = token {
            let bearer = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", bearer);
        }
        request
    }

    /// An anonymous client of the hub `chat`, after its handshake.
    pub(crate) async fn client(&self) -> Client {
        self.connect("/client/?hub=chat", &client_token(json!({}))).await
    }

    /// A client of the user in the hub `chat`, after its handshake.
    pub(crate) async fn user(&self, user: &str) -> Client {
        self.connect("/client/?hub=chat", &client_token(json!({"asrs.s.uid": user}))).await
    }

    /// A client after its handshake.
    pub(crate) async fn connect(&self, path: &str, token: &str) -> Client {
        let mut client = self.open(path, Some(token)).await.unwrap();
        client.handshake().await;
        client
    }

    /// A client and its connection id, after its handshake.
    pub(crate) async fn client_with_id(&self) -> (String, Client) {
        let token = client_token(json!({}));
        let (public, secret) = self.negotiated_ids(&token).await;
        (public, self.connect(&format!("/client/?hub=chat&id={secret}"), &token).await)
    }

    /// An open WebSocket with the smallest receive buffer of the system.
    pub(crate) async fn slow_socket(&self, path: &str) -> WebSocketStream<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        self.plain_socket(socket, path).await
    }

    /// An open WebSocket of the hub `chat` over a TCP stream.
    pub(crate) async fn plain_socket(&self, socket: TcpSocket, path: &str) -> WebSocketStream<TcpStream> {
        let stream = socket.connect((Ipv4Addr::LOCALHOST, self.port).into()).await.unwrap();
        let request = self.upgrade(path, Some(&client_token(json!({}))));
        client_async(request, stream).await.unwrap().0
    }

    /// A client with the smallest receive buffer of the system, after its handshake.
    pub(crate) async fn slow_client(&self) -> WebSocketStream<TcpStream> {
        let mut socket = self.slow_socket("/client/?hub=chat").await;
        greet(&mut socket, 1).await;
        socket
    }
}

/// Does the handshake of this version of the JSON protocol.
pub(crate) async fn greet(socket: &mut WebSocketStream<TcpStream>, version: u32) {
    let request = format!("{{\"protocol\":\"json\",\"version\":{version}}}\u{1e}");
    socket.send(Message::text(request)).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), "{}\u{1e}");
}

/// Reads until the socket ends, and counts the frames.
pub(crate) async fn count_until_end(mut socket: WebSocketStream<TcpStream>) -> usize {
    let counting = async {
        let mut count = 0;
        while let Some(Ok(_)) = socket.next().await {
            count += 1;
        }
        count
    };
    timeout(DEADLINE, counting).await.expect("the end of the socket")
}

/// A raw client: frames in, frames out.
pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send_frame(Message::text(text)).await;
    }

    pub(crate) async fn send_frame(&mut self, frame: Message) {
        self.try_send(frame).await.unwrap();
    }

    /// Sends a frame to a service that may have closed the connection.
    pub(crate) async fn try_send(&mut self, frame: Message) -> Result<(), Error> {
        self.socket.send(frame).await
    }

    pub(crate) async fn handshake(&mut self) {
        self.send_text("{\"protocol\":\"json\",\"version\":1}\u{1e}").await;
        assert_eq!(self.receive().await, json!({}));
    }

    /// The next frame, or `None` when the socket has ended.
    pub(crate) async fn next_frame(&mut self) -> Option<Message> {
        timeout(DEADLINE, self.socket.next()).await.expect("a frame or the end").and_then(Result::ok)
    }

    /// The next message, which has to be alone and complete in a text frame.
    pub(crate) async fn receive(&mut self) -> Value {
        let frame = self.next_frame().await;
        let Some(Message::Text(text)) = frame else { panic!("not text: {frame:?}") };
        let record = text.strip_suffix('\u{1e}').expect("a separator at the end");
        serde_json::from_str(record).unwrap()
    }

    /// The next message that is not a ping.
    pub(crate) async fn receive_past_pings(&mut self) -> Value {
        loop {
            let message = self.receive().await;
            if message != json!({"type": 6}) {
                return message;
            }
        }
    }

    /// The first argument of the next invocation.
    pub(crate) async fn receive_argument(&mut self) -> Value {
        let message = self.receive_past_pings().await;
        assert_eq!(message["type"], 1, "{message}");
        message["arguments"][0].clone()
    }

    /// All messages until the socket ends, and the code of its close frame.
    pub(crate) async fn receive_until_end(&mut self) -> (Vec<Value>, Option<u16>) {
        timeout(DEADLINE, self.read_until_end()).await.expect("the end of the socket")
    }

    async fn read_until_end(&mut self) -> (Vec<Value>, Option<u16>) {
        let (mut messages, mut code) = (Vec::new(), None);
        while let Some(frame) = self.next_frame().await {
            match frame {
                Message::Text(text) => {
                    messages.push(serde_json::from_str(text.trim_end_matches('\u{1e}')).unwrap());
                }
                Message::Close(frame) => code = frame.map(|frame| frame.code.into()),
                other => panic!("{other:?}"),
            }
        }
        (messages, code)
    }
}

/// A token for clients of the hub `chat`, with further claims.
pub(crate) fn client_token(claims: Value) -> String {
    let mut all = json!({"aud": "http://localhost/client/?hub=chat"});
    merge(&mut all, claims);
    token(all)
}

/// A token with the default key that is valid for an hour.
pub(crate) fn token(claims: Value) -> String {
    let now = now();
    let mut all = json!({"exp": now + 3600, "nbf": now, "iat": now});
    merge(&mut all, claims);
    sign(KEY, &json!({"alg": "HS256", "typ": "JWT"}), &all)
}

pub(crate) fn sign(key: &str, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{message}.{signature}")
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn merge(all: &mut Value, more: Value) {
    let Value::Object(more) = more else { panic!("claims are an object") };
    all.as_object_mut().unwrap().extend(more);
}
