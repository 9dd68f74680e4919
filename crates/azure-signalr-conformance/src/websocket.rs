//! WebSockets, frame by frame.
//!
//! An upgrade that is answered with anything but 101 is an answer like any other, not an error.

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::HeaderMap;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use url::Url;

use crate::outcome::{Stop, Verdict, causes};
use crate::service::{Answer, Service, within};
use crate::token::Token;

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Duplex for T {}

/// An open WebSocket.
pub(crate) struct Socket(WebSocketStream<Box<dyn Duplex>>);

/// What comes out of one.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Pong(Vec<u8>),
    /// A close frame, with its code if it has one.
    Close(Option<u16>),
    /// The stream is over.
    End,
}

/// What an upgrade led to.
pub(crate) enum Opened {
    Socket(Socket),
    Answered(Answer),
}

impl Opened {
    pub(crate) fn socket(self) -> Verdict<Socket> {
        match self {
            Self::Socket(socket) => Ok(socket),
            Self::Answered(answer) => {
                Err(answer.with_status(101).err().unwrap_or_else(|| Stop::failed("a socket", "101")))
            }
        }
    }

    pub(crate) fn status(self, status: u16) -> Verdict<Answer> {
        match self {
            Self::Socket(_) => Err(Stop::failed(status, "101, a WebSocket")),
            Self::Answered(answer) => answer.with_status(status),
        }
    }
}

/// Asks for an upgrade of `…/client/`.
pub(crate) async fn open(
    service: &Service,
    query: &[(&str, &str)],
    token: Option<&Token>,
) -> Verdict<Opened> {
    open_as(service, query, token, None).await
}

/// The same, with a `Host` of the caller's choice.
pub(crate) async fn open_as(
    service: &Service,
    query: &[(&str, &str)],
    token: Option<&Token>,
    host: Option<&str>,
) -> Verdict<Opened> {
    let url = service.client_url(&[], query);
    let mut request = websocket_url(&url).as_str().into_client_request().map_err(broken)?;
    let headers = request.headers_mut();
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.0))
            .map_err(|_| Stop::failed("a token", "none"))?;
        value.set_sensitive(true);
        headers.insert("authorization", value);
    }
    if let Some(host) = host.and_then(|host| HeaderValue::from_str(host).ok()) {
        headers.insert("host", host);
    }
    within(service.patience, "an answer to a WebSocket upgrade", async {
        let stream = stream(service, &url).await?;
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Opened::Socket(Socket(socket))),
            Err(Error::Http(response)) => {
                let (parts, body) = response.into_parts();
                let headers: HeaderMap = parts.headers;
                Ok(Opened::Answered(Answer { status: parts.status, headers, body: body.unwrap_or_default() }))
            }
            Err(error) => Err(broken(error)),
        }
    })
    .await
}

fn websocket_url(url: &Url) -> Url {
    let mut url = url.clone();
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    url.set_scheme(scheme).expect("http becomes ws, and https wss");
    url
}

async fn stream(service: &Service, url: &Url) -> Verdict<Box<dyn Duplex>> {
    let failed = |error: std::io::Error| Stop::failed("a connection", causes(&error));
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    if url.scheme() == "http" {
        return Ok(Box::new(stream));
    }
    let name = rustls::pki_types::ServerName::try_from(host.to_owned())
        .map_err(|error| Stop::failed("a host", error))?;
    Ok(Box::new(service.tls.connect(name, stream).await.map_err(failed)?))
}

fn broken(error: Error) -> Stop {
    Stop::failed("a WebSocket", causes(&error))
}

impl Socket {
    pub(crate) async fn send_text(&mut self, text: &str) -> Verdict {
        self.0.send(Message::text(text)).await.map_err(broken)
    }

    pub(crate) async fn send_binary(&mut self, bytes: Vec<u8>) -> Verdict {
        self.0.send(Message::binary(bytes)).await.map_err(broken)
    }

    pub(crate) async fn ping(&mut self, payload: &[u8]) -> Verdict {
        self.0.send(Message::Ping(payload.to_vec().into())).await.map_err(broken)
    }

    /// Closes as clients do: a close frame without a code.
    pub(crate) async fn close(&mut self) -> Verdict {
        self.0.close(None).await.map_err(broken)
    }

    /// The next frame, whenever it comes.
    pub(crate) async fn frame(&mut self) -> Frame {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Frame::Text(text.to_string()),
            Some(Ok(Message::Binary(bytes))) => Frame::Binary(bytes.to_vec()),
            Some(Ok(Message::Ping(_))) => Frame::Ping,
            Some(Ok(Message::Pong(payload))) => Frame::Pong(payload.to_vec()),
            Some(Ok(Message::Close(close))) => Frame::Close(close.map(|close| close.code.into())),
            // A raw frame is never read; a connection that breaks is over, too.
            Some(Ok(Message::Frame(_)) | Err(_)) | None => Frame::End,
        }
    }
}
