//! A client of HTTP/1.1 that costs next to nothing, so that a load is more the target's than the client's.
//!
//! It understands only what the targets answer: a length in `Content-Length`, and one answer per request.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Result;

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

    /// Sends `request`, head and body, and waits for its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
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
