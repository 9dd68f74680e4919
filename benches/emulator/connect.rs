//! Blocking sockets for calls and for clients that connect one after the other: nothing costs less beside the target.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::common::Result;
use crate::common::http::Head;
use crate::frame::{Frame, client_frame};
use crate::message::{PING, SEPARATOR};

/// The longest wait for the target. Under callgrind it is fifty times slower.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The size of one read.
const READ_BYTES: usize = 16 << 10;

/// `Sec-WebSocket-Key` and the matching `Sec-WebSocket-Accept`: the example of RFC 6455, section 1.3.
const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The prepared requests of a client.
pub(crate) struct ClientRequests {
    negotiation: String,
    /// The upgrade without the connection token, which belongs between the two.
    upgrade: [String; 2],
}

impl ClientRequests {
    /// The requests to `path` and to `negotiate` below it, with the hub `bench`.
    pub(crate) fn new(path: &str, token: &str) -> Self {
        let authorization = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
        let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        Self {
            negotiation: format!(
                "POST {path}negotiate?hub=bench&negotiateVersion=1 HTTP/1.1\r\n{authorization}Content-Length: 0\r\n\r\n"
            ),
            upgrade: [
                format!("GET {path}?hub=bench&id="),
                format!(" HTTP/1.1\r\n{authorization}{websocket}Sec-WebSocket-Key: {WEBSOCKET_KEY}\r\n\r\n"),
            ],
        }
    }
}

/// A connected client.
pub(crate) struct Connected {
    pub(crate) socket: Socket,
    pub(crate) connection_id: String,
}

/// Negotiates on `caller`, then connects and does the handshake. A rejection is an error with the response.
pub(crate) fn connect(port: u16, caller: &mut Socket, requests: &ClientRequests) -> Result<Connected> {
    let negotiated = caller.exchange(requests.negotiation.as_bytes(), 200)?;
    let connection_token = property(&negotiated, "connectionToken")?;
    let mut socket = Socket::open(port)?;
    let accepted = socket.exchange(requests.upgrade.join(connection_token).as_bytes(), 101)?;
    if !accepted.contains(WEBSOCKET_ACCEPT) {
        return Err(format!("the upgrade was answered {accepted}").into());
    }
    socket.send(&client_frame(b"{\"protocol\":\"json\",\"version\":1}\x1e"))?;
    let response = socket.receive()?;
    if response != [b'{', b'}', SEPARATOR] {
        return Err(format!("the handshake was answered {}", String::from_utf8_lossy(&response)).into());
    }
    Ok(Connected { socket, connection_id: property(&negotiated, "connectionId")?.to_owned() })
}

/// The text of a property of a JSON object. The values of negotiations need no unescaping.
fn property<'a>(json: &'a str, name: &str) -> Result<&'a str> {
    let value = json.split_once(&format!("\"{name}\":\"")).and_then(|(_, rest)| rest.split_once('"'));
    Ok(value.ok_or_else(|| format!("a negotiation returned no {name}"))?.0)
}

/// A blocking socket, and the bytes that have been received after the last response or frame.
pub(crate) struct Socket {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Socket {
    /// Connects to `port` of 127.0.0.1.
    pub(crate) fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        Ok(Self { stream, received: Vec::new() })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Sends an HTTP request and returns the response, head and body.
    pub(crate) fn exchange(&mut self, request: &[u8], status: u16) -> Result<String> {
        self.send(request)?;
        self.response(status)
    }

    /// Receives an HTTP response and returns it, head and body. Another status than `status` is an error.
    pub(crate) fn response(&mut self, status: u16) -> Result<String> {
        loop {
            if let Some(head) = Head::parse(&self.received)?
                && self.received.len() >= head.total_bytes
            {
                let response = String::from_utf8(self.received.drain(..head.total_bytes).collect())?;
                return if head.status == status {
                    Ok(response)
                } else {
                    Err(format!("an answer was {response}").into())
                };
            }
            self.fill()?;
        }
    }

    /// Receives a frame that is not a ping, and returns its payload.
    pub(crate) fn receive(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(Frame { payload, rest }) = Frame::parse(&self.received)? {
                let (payload, rest) = (payload.to_vec(), rest.len());
                self.received.drain(..self.received.len() - rest);
                if payload == PING {
                    continue;
                }
                return Ok(payload);
            }
            self.fill()?;
        }
    }

    /// Reads until the target has closed the connection.
    pub(crate) fn wait_for_end(mut self) -> Result<()> {
        self.stream.read_to_end(&mut self.received)?;
        Ok(())
    }

    /// The socket itself, for asynchronous reading.
    pub(crate) fn into_stream(self) -> Result<TcpStream> {
        self.stream.set_nonblocking(true)?;
        if self.received.is_empty() { Ok(self.stream) } else { Err("a client received a message too early".into()) }
    }

    fn fill(&mut self) -> Result<()> {
        let mut buffer = [0; READ_BYTES];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err("the target closed a connection".into());
        }
        self.received.extend_from_slice(&buffer[..count]);
        Ok(())
    }
}
