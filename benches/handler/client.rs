//! A client of HTTP/1.1 that costs next to nothing, so that a load is more the target's than the client's.
//!
//! It understands only what the targets answer: a length in `Content-Length`, and one answer per request.

use std::net::Ipv4Addr;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Result;

/// Who signs in, as the platform's header says it.
pub(crate) const USER: &str = "alice@contoso.com";

/// What is said in every message.
pub(crate) const TEXT: &str = "Good morning, everyone! Shall we meet at ten, or is eleven better?";

const NAME: &str = "X-MS-CLIENT-PRINCIPAL-NAME";
const INVOCATION: &str = "X-Azure-Functions-InvocationId";
const INVOCATION_ID: &str = "0b8d1c52-6d0e-4f3a-9c1b-2f6f5a1e7d34";

/// A request as it is sent, head and body.
pub(crate) struct Request(String);

impl Request {
    /// The probe of the Functions host.
    pub(crate) fn probe() -> Self {
        Self("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_owned())
    }

    /// `POST /api/negotiate`, as the page calls it.
    pub(crate) fn negotiation() -> Self {
        Self::post("/api/negotiate?negotiateVersion=1", "")
    }

    /// `POST /api/messages` to everyone.
    pub(crate) fn message() -> Self {
        Self::post("/api/messages", &json!({ "text": TEXT, "recipient": null }).to_string())
    }

    /// `POST path` by [`USER`] with a JSON `body`, perhaps an empty one, with the headers the platform adds.
    fn post(path: &str, body: &str) -> Self {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let length = body.len();
        let platform = format!("{INVOCATION}: {INVOCATION_ID}\r\n{NAME}: {USER}\r\n");
        Self(format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{platform}{kind}Content-Length: {length}\r\n\r\n{body}"
        ))
    }
}

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer. It lies in its connection until the next request.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// A connection to `port` of 127.0.0.1.
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(2_048) })
    }

    /// Sends `request` and waits for its answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Answer<'_>> {
        self.stream.write_all(request.0.as_bytes()).await?;
        self.received.clear();
        let head = loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the target closed a connection".into());
            }
            if let Some(head) = Head::read(&self.received)? {
                break head;
            }
        };
        while self.received.len() < head.whole {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the target closed a connection in the middle of an answer".into());
            }
        }
        Ok(Answer { status: head.status, body: &self.received[head.size..head.whole] })
    }
}

/// What the head of an answer says.
struct Head {
    status: u16,
    size: usize,
    /// Head and body.
    whole: usize,
}

impl Head {
    /// The head at the beginning of `bytes`, once all of it is there.
    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let head = str::from_utf8(&bytes[..end])?;
        let status = head.split(' ').nth(1).ok_or("an answer has no status")?.parse()?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then_some(value.trim())
        });
        let length: usize = length.ok_or("an answer does not tell its length")?.parse()?;
        let size = end + 4;
        Ok(Some(Self { status, size, whole: size + length }))
    }
}
