//! A house of its own for every test: an emulator on a free port, and requests written byte by byte.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use azure_communication_emulator::{AccessKey, Clock, Emulator, Options};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::signer::{KEY, USUAL, authorization, content_hash};

/// Where the clock of a house stands.
pub(crate) const NOW: u64 = 1_697_643_256;

pub(crate) const RESOURCE: &str = "2dee53b4-368b-45b4-ab52-8493fb117652";

/// The path of create.
pub(crate) const IDENTITIES: &str = "/identities?api-version=2023-10-01";

/// How long anything that must happen may take; much longer than it does.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running emulator.
pub(crate) struct House {
    pub(crate) emulator: Emulator,
    pub(crate) port: u16,
    server: JoinHandle<std::io::Result<()>>,
}

impl Drop for House {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The options of a house, whose primary key is the signer's.
pub(crate) fn options() -> Options {
    Options {
        access_keys: [AccessKey::new(KEY).unwrap(), AccessKey::generate()],
        resource_id: RESOURCE.parse().unwrap(),
        clock: Clock::Standing { at: NOW },
        ..Options::default()
    }
}

impl House {
    pub(crate) async fn start() -> Self {
        Self::with(options()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let emulator = Emulator::new(options);
        let app = emulator.router().merge(emulator.control_router());
        Self::serve(emulator, app).await
    }

    /// A house that serves nothing but the service.
    pub(crate) async fn without_control(options: Options) -> Self {
        let emulator = Emulator::new(options);
        let app = emulator.router();
        Self::serve(emulator, app).await
    }

    async fn serve(emulator: Emulator, app: Router) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move { axum::serve(socket, app).await });
        Self { emulator, port, server }
    }

    /// What requests to this house have as `Host`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A request with all its headers but for `Authorization`, dated as the house is.
    pub(crate) fn draft(&self, method: &str, target: &str, body: &str) -> Draft {
        let draft = Draft::new(method, target, body);
        let draft = draft.header("host", &self.host()).header("x-ms-date", &date(self.emulator.now()));
        draft.header("x-ms-content-sha256", &content_hash(body.as_bytes()))
    }

    /// Sends a signed request.
    pub(crate) async fn call(&self, method: &str, target: &str, body: &str) -> Answer {
        self.send(self.draft(method, target, body).signed(KEY, &USUAL)).await
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, draft: Draft) -> Answer {
        self.send_bytes(&draft.into_bytes()).await
    }

    /// Sends bytes, and takes what comes until the end as one answer.
    pub(crate) async fn send_bytes(&self, bytes: &[u8]) -> Answer {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut answer = String::new();
        timeout(DEADLINE, socket.read_to_string(&mut answer)).await.expect("an answer").unwrap();
        Answer::read(&answer)
    }

    /// Creates an identity, and returns its id.
    pub(crate) async fn create(&self) -> String {
        let answer = self.call("POST", IDENTITIES, "").await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()["identity"]["id"].as_str().unwrap().to_owned()
    }

    /// Asks for something to be done to an identity, whose id is escaped as browsers and most clients do.
    pub(crate) async fn of(&self, method: &str, identity: &str, verb: &str, body: &str) -> Answer {
        let identity = identity.replace(':', "%3A");
        let target = format!("/identities/{identity}{verb}?api-version=2023-10-01");
        self.call(method, &target, body).await
    }

    pub(crate) async fn issue(&self, identity: &str, body: &str) -> Answer {
        self.of("POST", identity, "/:issueAccessToken", body).await
    }

    /// Issues a token for chat, and returns it.
    pub(crate) async fn token(&self, identity: &str) -> String {
        let answer = self.issue(identity, r#"{"scopes":["chat"]}"#).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["token"].as_str().unwrap().to_owned()
    }
}

/// A time as HTTP writes it.
pub(crate) fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// A request to be. Its headers can be changed after it was signed, as an attacker would.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Draft {
    pub(crate) fn new(method: &str, target: &str, body: &str) -> Self {
        let [method, target, body] = [method, target, body].map(str::to_owned);
        Self { method, target, body, headers: Vec::new() }
    }

    /// With a header, in place of one of that name.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        let mut draft = self.without(name);
        draft.headers.push((name.to_owned(), value.to_owned()));
        draft
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self
    }

    /// With a header, beside one of that name.
    pub(crate) fn second_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a signature over the headers of these names. One that is absent is signed as if it were empty.
    pub(crate) fn signed(self, key: &str, names: &[&str]) -> Self {
        let value = |name: &str| self.headers.iter().find(|(present, _)| present == name);
        let headers: Vec<_> =
            names.iter().map(|name| (*name, value(name).map_or("", |(_, value)| value.as_str()))).collect();
        let authorization = authorization(key, &self.method, &self.target, &headers);
        self.header("authorization", &authorization)
    }

    /// Lines of the head, the body's length left out.
    fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        format!("{}content-length: {}\r\n\r\n{}", self.head(), self.body.len(), self.body).into_bytes()
    }

    /// The body in chunks of one byte.
    pub(crate) fn into_chunks(self) -> Vec<u8> {
        let chunks: String = self.body.chars().map(|byte| format!("1\r\n{byte}\r\n")).collect();
        format!("{}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n", self.head()).into_bytes()
    }
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(present, _)| present.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status and code of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        let error = &self.json()["error"];
        assert!(error["message"].is_string(), "{}", self.body);
        (self.status, error["code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

/// The claims of a token, unverified, as clients read them.
pub(crate) fn claims(token: &str) -> Value {
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

/// Seconds since 1970 of an `expiresOn`, whose form is checked.
pub(crate) fn expiry(answer: &Value) -> u64 {
    let text = answer["expiresOn"].as_str().unwrap();
    let (fraction, offset) = text.split_once('.').unwrap().1.split_at(7);
    assert!(fraction.bytes().all(|byte| byte.is_ascii_digit()) && offset == "+00:00", "{text}");
    let time: jiff::Timestamp = text.parse().unwrap();
    u64::try_from(time.as_second()).unwrap()
}
