//! One client: it connects, shakes hands, and takes what it is sent, without a WebSocket library that would cost more than the target.
//!
//! Payloads of frames are read as one stream, since a target may put several messages into a frame.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use crate::Result;
use crate::message::Numbered;
use crate::service::ACCEPT;
use crate::target::Protocol;

/// What ends a message in JSON, and a handshake in every protocol.
const SEPARATOR: u8 = 0x1e;

/// Pings of the hub protocol. They come by themselves and are not counted.
const PINGS: [&[u8]; 2] = [b"{\"type\":6}\x1e", &[0x02, 0x91, 0x06]];

/// How much is read at once.
pub(crate) const CHUNK: usize = 64 << 10;

/// Opcodes of frames that carry messages.
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// A connected client.
pub(crate) struct Client {
    stream: TcpStream,
    /// The beginning of a frame whose end has not come yet.
    begun: Vec<u8>,
}

impl Client {
    /// Opens a connection to `port` of 127.0.0.1 with `upgrade`, and shakes hands. A refused handshake is an error in the words of the
    /// target.
    pub(crate) async fn connect(port: u16, upgrade: &str, protocol: Protocol) -> Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        stream.write_all(upgrade.as_bytes()).await?;
        let mut head = Vec::with_capacity(256);
        while !head.ends_with(b"\r\n\r\n") {
            // Byte by byte: what follows the head is a frame.
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head)?;
        if !(head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT)) {
            let status = head.lines().next().unwrap_or_default();
            return Err(format!("the upgrade was answered {status}").into());
        }
        let mut client = Self { stream, begun: Vec::new() };
        client.shake_hands(protocol).await?;
        Ok(client)
    }

    async fn shake_hands(&mut self, protocol: Protocol) -> Result<()> {
        let request = format!("{{\"protocol\":\"{}\",\"version\":1}}\x1e", protocol.name());
        let length = u8::try_from(request.len())?;
        // A text frame from a client, masked with zeros, which leaves it as it is.
        let mut frame = vec![0x80 | TEXT, 0x80 | length, 0, 0, 0, 0];
        frame.extend_from_slice(request.as_bytes());
        self.stream.write_all(&frame).await?;
        let answer = self.payload().await?;
        if answer == [b'{', b'}', SEPARATOR] {
            return Ok(());
        }
        Err(format!("the handshake was answered {}", String::from_utf8_lossy(&answer)).into())
    }

    /// The payload of the next frame, as long as nothing is read ahead.
    pub(crate) async fn payload(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            if let Some(frame) = Frame::read(&bytes)? {
                return Ok(frame.payload.to_vec());
            }
            bytes.push(self.stream.read_u8().await?);
        }
    }

    /// Reads what there is into `chunk` and counts the messages in it, the first of which must have number `next`.
    pub(crate) fn poll_take(
        &mut self,
        context: &mut Context<'_>,
        chunk: &mut [u8],
        message: &Numbered,
        next: u32,
    ) -> Poll<Result<u32>> {
        let mut chunk = ReadBuf::new(chunk);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut chunk))?;
        if chunk.filled().is_empty() {
            return Poll::Ready(Err("a connection was closed".into()));
        }
        Poll::Ready(self.take(chunk.filled(), message, next))
    }

    fn take(&mut self, received: &[u8], message: &Numbered, next: u32) -> Result<u32> {
        if self.begun.is_empty() {
            let (numbers, rest) = count(received, message, next)?;
            self.begun.extend_from_slice(rest);
            return Ok(numbers);
        }
        self.begun.extend_from_slice(received);
        let (numbers, rest) = count(&self.begun, message, next)?;
        let read = self.begun.len() - rest.len();
        self.begun.drain(..read);
        Ok(numbers)
    }
}

/// How many messages there are in whole frames, and what is left over.
fn count<'a>(mut bytes: &'a [u8], message: &Numbered, next: u32) -> Result<(u32, &'a [u8])> {
    let mut numbers = 0;
    while let Some(Frame { mut payload, rest }) = Frame::read(bytes)? {
        while !payload.is_empty() {
            if let Some((number, others)) = message.read(payload) {
                let due = next + numbers;
                if number != due {
                    return Err(format!("message {number} came where {due} was due").into());
                }
                numbers += 1;
                payload = others;
            } else {
                let others = PINGS.iter().find_map(|ping| payload.strip_prefix(*ping));
                payload = others.ok_or("something came that nobody had sent")?;
            }
        }
        bytes = rest;
    }
    Ok((numbers, bytes))
}

/// A frame as servers send them, and what comes after it.
struct Frame<'a> {
    payload: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the beginning of `bytes`, once all of it is there. No frame here is longer than 64 KiB.
    fn read(bytes: &'a [u8]) -> Result<Option<Self>> {
        let (opcode, length, rest) = match *bytes {
            [first, 126, high, low, ref rest @ ..] => {
                (first, usize::from(u16::from_be_bytes([high, low])), rest)
            }
            [_, 126, ..] | [] | [_] => return Ok(None),
            [first, length @ 0..126, ref rest @ ..] => (first, usize::from(length), rest),
            _ => return Err("a frame is longer than anything sent, or masked".into()),
        };
        if !matches!(opcode & 0x0f, TEXT | BINARY) {
            return Err("the target closed a connection".into());
        }
        Ok(rest.split_at_checked(length).map(|(payload, rest)| Self { payload, rest }))
    }
}
