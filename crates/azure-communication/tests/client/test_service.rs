//! The service of the tests: it records each request as it arrived and sends the next reply of its script.
//!
//! It reads and writes bytes itself, since bytes are what is tested.

use std::collections::VecDeque;
use std::iter::successors;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_communication::{AccessToken, Client, ConnectionString, Error, Grant, Scope, UserId};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const USER: &str = "8:acs:2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081";
pub(crate) const ESCAPED_USER: &str =
    "8%3Aacs%3A2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081";
pub(crate) const TOKEN: &str = "hush.token.hush";
pub(crate) const TOKEN_BODY: &str = r#"{"token":"hush.token.hush","expiresOn":"2023-10-19T15:34:15.5010629+00:00"}"#;

/// For what should happen at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// What the service does after a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Sends this and reads the next request.
    Full(String),
    /// Sends this and keeps the connection open.
    Stall(String),
    /// Sends this and closes the connection.
    Disconnect(String),
    /// Sends this, and then spaces without end.
    Endless(String),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// With its line breaks, up to and without the empty line.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn date(&self) -> Timestamp {
        let date = self.header("x-ms-date").unwrap();
        jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).unwrap()
    }
}

#[derive(Clone, Default)]
pub(crate) struct TestService {
    script: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<watch::Sender<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

impl TestService {
    pub(crate) fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        Self { script: Arc::new(Mutex::new(script.into_iter().collect())), ..Self::default() }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    pub(crate) async fn first_request(&self) {
        let mut requests = self.requests.subscribe();
        let first = requests.wait_for(|requests| !requests.is_empty());
        tokio::time::timeout(REQUEST_TIMEOUT, first).await.expect("no request arrived").unwrap();
    }

    pub(crate) fn only_request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests[0].clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Serves one connection until either side closes it.
    pub(crate) async fn serve(self, mut socket: impl AsyncRead + AsyncWrite + Unpin) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        while let Some(request) = read(&mut socket).await {
            self.requests.send_modify(|requests| requests.push(request));
            let next = self.script.lock().unwrap().pop_front();
            let reply = next.unwrap_or_else(|| reply(418, "the script is over"));
            let (Reply::Full(text) | Reply::Stall(text) | Reply::Disconnect(text) | Reply::Endless(text)) = &reply;
            socket.write_all(text.as_bytes()).await.unwrap();
            match reply {
                Reply::Full(_) => continue,
                Reply::Stall(_) => drop(socket.read(&mut [0]).await),
                Reply::Disconnect(_) => {}
                Reply::Endless(_) => while socket.write_all(&[b' '; 4_096]).await.is_ok() {},
            }
            return;
        }
    }
}

async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    head.truncate(head.len() - 4);
    let mut request = Request { head: String::from_utf8(head).unwrap(), body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}

pub(crate) fn reply(status: u16, body: &str) -> Reply {
    reply_with(status, "", body)
}

/// A complete response with further headers, each with its line break.
pub(crate) fn reply_with(status: u16, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let length = if status == 204 { String::new() } else { format!("content-length: {length}\r\n") };
    Reply::Full(format!("HTTP/1.1 {status} X\r\n{length}{headers}\r\n{body}"))
}

/// The service on a free port, and a client of it.
pub(crate) async fn start(script: impl IntoIterator<Item = Reply>) -> (Client, TestService) {
    let (port, service) = listen(script).await;
    (client(port), service)
}

pub(crate) async fn listen(script: impl IntoIterator<Item = Reply>) -> (u16, TestService) {
    let service = TestService::new(script);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = service.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serving.clone().serve(socket));
        }
    });
    (port, service)
}

pub(crate) fn client(port: u16) -> Client {
    let connection = format!("endpoint=http://127.0.0.1:{port}/;accesskey={KEY}");
    Client::new(&connection.parse::<ConnectionString>().unwrap()).unwrap()
}

/// Wed, 18 Oct 2023 15:34:16 GMT
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_697_643_256).unwrap()
}

pub(crate) fn user() -> UserId {
    USER.parse().unwrap()
}

/// The call of most tests, since it is retried.
pub(crate) async fn issue(client: &Client) -> Result<AccessToken, Error> {
    client.issue_token(&user(), &Grant::from(Scope::VOIP), now()).await
}

/// `Debug` and `Display` of an error and its causes, after a search for secrets.
pub(crate) fn error_chain(error: &Error) -> String {
    let chain = successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    let chain: String = chain.map(|error| format!("{error:?} {error} ")).collect();
    for secret in [KEY, &KEY[..20], "hush", "8:acs", "8%3A", "2dee53b4", "identities", "HMAC-SHA256", "://"] {
        assert!(!chain.contains(secret), "{secret} is in {chain}");
    }
    chain
}
