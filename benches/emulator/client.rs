//! A simulated client of the hub and the numbered messages that it receives.
//!
//! Messages are compared byte by byte without parsing JSON or MessagePack, and frames are read without a WebSocket library: both would cost
//! more than the target. The payloads of frames are read as one stream, since a frame may contain several messages.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use crate::common::Result;

/// The number of digits of a message number.
const NUMBER_BYTES: usize = 8;

/// The size of a message text, including its number.
const TEXT_BYTES: usize = 1_024;

/// The target of the invocations.
pub(crate) const TARGET: &str = "newMessage";

/// The text of message `number`.
pub(crate) fn text(number: u32) -> String {
    let mut text = format!("{number:0NUMBER_BYTES$} ");
    text.extend("Good morning, everyone! ".chars().cycle().take(TEXT_BYTES - text.len()));
    text
}

/// The bytes of a message or request, in which only the number changes.
#[derive(Clone)]
pub(crate) struct NumberedMessage {
    bytes: Vec<u8>,
    digits: Range<usize>,
}

impl NumberedMessage {
    /// Wraps `bytes`, which must contain the [`text`] with number 0 exactly once.
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self> {
        let text = text(0);
        let mut places = bytes.windows(TEXT_BYTES).enumerate().filter(|(_, window)| *window == text.as_bytes());
        let (Some((place, _)), None) = (places.next(), places.next()) else {
            return Err("a message does not contain its text exactly once".into());
        };
        Ok(Self { digits: place..place + NUMBER_BYTES, bytes })
    }

    /// The bytes with `number`.
    pub(crate) fn with(&mut self, number: u32) -> &[u8] {
        let digits = format!("{number:0NUMBER_BYTES$}");
        self.bytes[self.digits.clone()].copy_from_slice(digits.as_bytes());
        &self.bytes
    }

    /// The bytes with the last number.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of the message at the start of `received` and the rest, if it is this message.
    pub(crate) fn read<'a>(&self, received: &'a [u8]) -> Option<(u32, &'a [u8])> {
        let (message, rest) = received.split_at_checked(self.bytes.len())?;
        let Range { start, end } = self.digits;
        let is_same = message[..start] == self.bytes[..start] && message[end..] == self.bytes[end..];
        if !is_same {
            return None;
        }
        let number = str::from_utf8(&message[start..end]).ok()?.parse().ok()?;
        Some((number, rest))
    }
}

/// The hub protocol in the handshake.
#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    Json,
    MessagePack,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "messagepack",
        }
    }
}

/// `Sec-WebSocket-Key` and the matching `Sec-WebSocket-Accept`: the example of RFC 6455, section 1.3.
const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The request that opens a WebSocket at `path`.
pub(crate) fn upgrade_request(path: &str, authorization: &str) -> String {
    let headers = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}{headers}Sec-WebSocket-Key: {WEBSOCKET_KEY}\r\n\r\n"
    )
}

/// Ends a JSON message, and the handshake in every protocol.
const SEPARATOR: u8 = 0x1e;

/// Pings of the hub protocol, which are skipped.
const PINGS: [&[u8]; 2] = [b"{\"type\":6}\x1e", &[0x02, 0x91, 0x06]];

/// The size of the read buffer.
pub(crate) const READ_BUFFER_BYTES: usize = 64 << 10;

/// Opcodes of WebSocket frames with messages (RFC 6455, section 5.2).
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// A connected client.
pub(crate) struct Client {
    stream: TcpStream,
    /// The received part of an incomplete frame.
    partial_frame: Vec<u8>,
}

impl Client {
    /// Connects to `port` of 127.0.0.1 with the request `upgrade`, and sends the handshake. The error of a rejected handshake contains the
    /// response.
    pub(crate) async fn connect(port: u16, upgrade: &str, protocol: Protocol) -> Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        stream.write_all(upgrade.as_bytes()).await?;
        let mut head = Vec::with_capacity(256);
        while !head.ends_with(b"\r\n\r\n") {
            // Byte by byte, since a frame may follow the head.
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head)?;
        if !(head.starts_with("HTTP/1.1 101 ") && head.contains(WEBSOCKET_ACCEPT)) {
            let status = head.lines().next().unwrap_or_default();
            return Err(format!("the upgrade was answered {status}").into());
        }
        let mut client = Self { stream, partial_frame: Vec::new() };
        client.handshake(protocol).await?;
        Ok(client)
    }

    async fn handshake(&mut self, protocol: Protocol) -> Result<()> {
        let request = format!("{{\"protocol\":\"{}\",\"version\":1}}\x1e", protocol.name());
        let length = u8::try_from(request.len())?;
        // A client masks its frames; a mask of zeros changes nothing.
        let mut frame = vec![0x80 | TEXT, 0x80 | length, 0, 0, 0, 0];
        frame.extend_from_slice(request.as_bytes());
        self.stream.write_all(&frame).await?;
        let response = self.payload().await?;
        if response == [b'{', b'}', SEPARATOR] {
            return Ok(());
        }
        Err(format!("the handshake was answered {}", String::from_utf8_lossy(&response)).into())
    }

    /// Reads the payload of the next frame, byte by byte.
    pub(crate) async fn payload(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            if let Some(frame) = Frame::parse(&bytes)? {
                return Ok(frame.payload.to_vec());
            }
            bytes.push(self.stream.read_u8().await?);
        }
    }

    /// Reads available bytes into `buffer` and returns the number of messages; the first must have number `next`.
    pub(crate) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        message: &NumberedMessage,
        next: u32,
    ) -> Poll<Result<u32>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err("a connection was closed".into()));
        }
        Poll::Ready(self.receive(buffer.filled(), message, next))
    }

    fn receive(&mut self, received: &[u8], message: &NumberedMessage, next: u32) -> Result<u32> {
        if self.partial_frame.is_empty() {
            let (messages, rest) = count_messages(received, message, next)?;
            self.partial_frame.extend_from_slice(rest);
            return Ok(messages);
        }
        self.partial_frame.extend_from_slice(received);
        let (messages, rest) = count_messages(&self.partial_frame, message, next)?;
        let consumed = self.partial_frame.len() - rest.len();
        self.partial_frame.drain(..consumed);
        Ok(messages)
    }
}

/// Counts the messages in complete frames. Returns the number and the bytes of the incomplete frame.
fn count_messages<'a>(mut bytes: &'a [u8], message: &NumberedMessage, next: u32) -> Result<(u32, &'a [u8])> {
    let mut messages = 0;
    while let Some(Frame { mut payload, rest }) = Frame::parse(bytes)? {
        while !payload.is_empty() {
            if let Some((number, others)) = message.read(payload) {
                let expected = next + messages;
                if number != expected {
                    return Err(format!("message {number} was received instead of {expected}").into());
                }
                messages += 1;
                payload = others;
            } else {
                let others = PINGS.iter().find_map(|ping| payload.strip_prefix(*ping));
                payload = others.ok_or("an unknown message was received")?;
            }
        }
        bytes = rest;
    }
    Ok((messages, bytes))
}

/// The payload of an unmasked frame, and the bytes after it.
struct Frame<'a> {
    payload: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Parses the frame at the start of `bytes`; `None` while it is incomplete. Frames of more than 64 KiB are an error.
    fn parse(bytes: &'a [u8]) -> Result<Option<Self>> {
        let (opcode, length, rest) = match *bytes {
            [first, 126, high, low, ref rest @ ..] => (first, usize::from(u16::from_be_bytes([high, low])), rest),
            [_, 126, ..] | [] | [_] => return Ok(None),
            [first, length @ 0..126, ref rest @ ..] => (first, usize::from(length), rest),
            _ => return Err("a frame is too long or masked".into()),
        };
        if !matches!(opcode & 0x0f, TEXT | BINARY) {
            return Err("the target closed a connection".into());
        }
        Ok(rest.split_at_checked(length).map(|(payload, rest)| Self { payload, rest }))
    }
}
