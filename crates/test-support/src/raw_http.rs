//! HTTP by hand, for requests that no client sends: a connection, and bodies in several forms.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

/// The longest wait for anything: longer than the time-outs of the servers that are waited for.
const RAW_TIMEOUT: Duration = Duration::from_secs(60);

/// A client's side of a connection. It reads only when it is told to.
pub struct RawConnection(TcpStream);

/// A response as it was received.
#[derive(Debug)]
pub struct RawResponse {
    /// The status.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body.
    pub body: String,
}

impl RawResponse {
    /// Whether the server says that it closes the connection.
    pub fn closes(&self) -> bool {
        self.head.contains("connection: close")
    }
}

impl RawConnection {
    /// Connects to `address`.
    pub async fn open(address: impl ToSocketAddrs) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Sends all of `bytes` before anything is read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(RAW_TIMEOUT, self.0.write_all(bytes.as_ref())).await.unwrap().unwrap();
    }

    /// Sends a GET request and reads the response.
    pub async fn get(&mut self, path: &str) -> RawResponse {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        self.response().await
    }

    /// Reads the next response other than 100, with a body of its `Content-Length`.
    pub async fn response(&mut self) -> RawResponse {
        loop {
            let head = self.read_until("\r\n\r\n").await;
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            timeout(RAW_TIMEOUT, self.0.read_exact(&mut body)).await.unwrap().unwrap();
            if status != 100 {
                return RawResponse { status, head, body: String::from_utf8(body).unwrap() };
            }
        }
    }

    /// Reads up to the first `end`, and returns what was read, with it.
    pub async fn read_until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        let reading = async {
            while !text.ends_with(end.as_bytes()) {
                text.push(self.0.read_u8().await.unwrap());
            }
        };
        timeout(RAW_TIMEOUT, reading).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    /// Waits until the server has closed the connection, and returns what it sent before.
    pub async fn closed(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = timeout(RAW_TIMEOUT, self.0.read_to_end(&mut rest)).await.expect("the connection stays open");
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// The form of a request body.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// With `Content-Length`.
    Length,
    /// In chunks.
    Chunked,
    /// With `Content-Length`, announced by `Expect: 100-continue`, and sent without waiting.
    Expected,
    /// With a `Content-Length` of one byte more.
    Incomplete,
}

impl Form {
    /// A request with a body of `size` spaces. `headers` are further lines, each with its end.
    pub fn request(self, method: &str, path: &str, headers: &str, size: usize) -> Vec<u8> {
        let form = match self {
            Self::Length => format!("Content-Length: {size}"),
            Self::Expected => format!("Content-Length: {size}\r\nExpect: 100-continue"),
            Self::Incomplete => format!("Content-Length: {}", size + 1),
            Self::Chunked => "Transfer-Encoding: chunked".to_owned(),
        };
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{form}\r\n\r\n").into_bytes();
        if !matches!(self, Self::Chunked) {
            request.resize(request.len() + size, b' ');
            return request;
        }
        for chunk in vec![b' '; size].chunks(10_000) {
            request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
        }
        request.extend(b"0\r\n\r\n");
        request
    }
}
