//! A minimal HTTP/1.1 client, so that the load generator costs little beside the target.
//!
//! It supports only what the targets send: a `Content-Length`, and one response per request.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Result;

/// A persistent connection.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects to `port` of 127.0.0.1.
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(2_048) })
    }

    /// Sends `request`, head and body, and returns the body of the response. Another status than `status` is an error.
    pub(crate) async fn send(&mut self, request: &[u8], status: u16) -> Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the target closed a connection".into());
            }
            if let Some(head) = Head::parse(&self.received)? {
                break head;
            }
        };
        while self.received.len() < head.total_bytes {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the target closed a connection in the middle of a response".into());
            }
        }
        if head.status != status {
            return Err(format!("the status of a response was {} instead of {status}", head.status).into());
        }
        Ok(&self.received[head.head_bytes..head.total_bytes])
    }
}

/// The status of a response to an upgrade, which has no body.
const SWITCHING_PROTOCOLS: u16 = 101;

/// The parsed head of a response.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) head_bytes: usize,
    pub(crate) total_bytes: usize,
}

impl Head {
    /// Parses the head at the start of `bytes`; `None` while it is incomplete.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let head = str::from_utf8(&bytes[..end])?;
        let status: u16 = head.split(' ').nth(1).ok_or("a response has no status")?.parse()?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then_some(value.trim())
        });
        let length: usize = match length {
            Some(length) => length.parse()?,
            None if status == SWITCHING_PROTOCOLS => 0,
            None => return Err("a response has no Content-Length".into()),
        };
        let head_bytes = end + 4;
        Ok(Some(Self { status, head_bytes, total_bytes: head_bytes + length }))
    }
}
