//! A WebSocket client that shows every frame to the cases.
//!
//! An upgrade that is not answered with 101 returns the response; it is not an error.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::HeaderMap;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::{Frame as RawFrame, FrameHeader};
use tokio_tungstenite::tungstenite::{Error, Message};
use url::Url;

use crate::case_result::{CaseResult, Failure, error_chain};
use crate::credentials::Token;
use crate::service::{Response, Service, with_timeout};

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Duplex for T {}

/// An open WebSocket.
pub(crate) struct WebSocket(WebSocketStream<Box<dyn Duplex>>);

/// A received frame.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Pong(Vec<u8>),
    /// A Close frame and its code, if it has one.
    Close(Option<u16>),
    /// The end of the stream.
    End,
}

/// The result of an upgrade request.
pub(crate) enum Upgrade {
    Accepted(WebSocket),
    Rejected(Response),
}

impl Upgrade {
    pub(crate) fn into_socket(self) -> CaseResult<WebSocket> {
        match self {
            Self::Accepted(socket) => Ok(socket),
            Self::Rejected(response) => {
                let failure = response.expect_status(101).err();
                Err(failure.unwrap_or_else(|| Failure::new("a WebSocket", "101 without one")))
            }
        }
    }

    /// Expects a rejected upgrade with a status.
    pub(crate) fn expect_status(self, status: u16) -> CaseResult<Response> {
        match self {
            Self::Accepted(_) => Err(Failure::new(status, "101, a WebSocket")),
            Self::Rejected(response) => response.expect_status(status),
        }
    }
}

/// Requests an upgrade of `…/client/`, with a `Host` header of its own if given.
pub(crate) async fn open(
    service: &Service,
    query: &[(&str, &str)],
    token: Option<&Token>,
    host: Option<&str>,
) -> CaseResult<Upgrade> {
    open_url(service, &service.client_url(&[], query), token, host).await
}

/// Requests an upgrade of any URL.
pub(crate) async fn open_url(
    service: &Service,
    url: &Url,
    token: Option<&Token>,
    host: Option<&str>,
) -> CaseResult<Upgrade> {
    let mut request = websocket_url(url).as_str().into_client_request().map_err(websocket_error)?;
    let headers = request.headers_mut();
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.0))
            .map_err(|_| Failure::new("a token that fits a header", "another"))?;
        value.set_sensitive(true);
        headers.insert("authorization", value);
    }
    if let Some(host) = host.and_then(|host| HeaderValue::from_str(host).ok()) {
        headers.insert("host", host);
    }
    with_timeout(service.timeout, "a response to a WebSocket upgrade", async {
        let stream = connect(service, url).await?;
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Upgrade::Accepted(WebSocket(socket))),
            Err(Error::Http(response)) => {
                let (parts, body) = response.into_parts();
                let headers: HeaderMap = parts.headers;
                let body = body.unwrap_or_default();
                Ok(Upgrade::Rejected(Response { status: parts.status, headers, body }))
            }
            Err(error) => Err(websocket_error(error)),
        }
    })
    .await
}

fn websocket_url(url: &Url) -> Url {
    let mut url = url.clone();
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    url.set_scheme(scheme).expect("http and https can become ws and wss");
    url
}

async fn connect(service: &Service, url: &Url) -> CaseResult<Box<dyn Duplex>> {
    let failed = |error: std::io::Error| Failure::new("a connection", error_chain(&error));
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    if url.scheme() == "http" {
        return Ok(Box::new(stream));
    }
    let name =
        rustls::pki_types::ServerName::try_from(host.to_owned()).map_err(|error| Failure::new("a host", error))?;
    Ok(Box::new(service.tls.connect(name, stream).await.map_err(failed)?))
}

fn websocket_error(error: Error) -> Failure {
    Failure::new("a WebSocket", error_chain(&error))
}

impl WebSocket {
    pub(crate) async fn send_text(&mut self, text: &str) -> CaseResult {
        self.0.send(Message::text(text)).await.map_err(websocket_error)
    }

    pub(crate) async fn send_binary(&mut self, bytes: Vec<u8>) -> CaseResult {
        self.0.send(Message::binary(bytes)).await.map_err(websocket_error)
    }

    pub(crate) async fn ping(&mut self, payload: &[u8]) -> CaseResult {
        self.0.send(Message::Ping(payload.to_vec().into())).await.map_err(websocket_error)
    }

    /// Sends a Close frame, with a code if one is given.
    pub(crate) async fn close(&mut self, code: Option<u16>) -> CaseResult {
        let frame = code.map(|code| CloseFrame { code: code.into(), reason: Default::default() });
        self.0.close(frame).await.map_err(websocket_error)
    }

    /// Sends a frame that no extension allows: with the first reserved bit.
    pub(crate) async fn send_reserved_bit(&mut self) -> CaseResult {
        let header = FrameHeader { rsv1: true, ..FrameHeader::default() };
        let frame = RawFrame::from_payload(header, Default::default());
        self.0.send(Message::Frame(frame)).await.map_err(websocket_error)
    }

    /// Waits without a time limit for the next frame.
    pub(crate) async fn next_frame(&mut self) -> Frame {
        Frame::received(self.0.next().await)
    }

    /// Sends messages and receives frames at the same time, until a Close frame, the end, or no frame for `idle`.
    ///
    /// A service may stop reading: what cannot be sent is no failure.
    pub(crate) async fn exchange(self, messages: impl IntoIterator<Item = Message>, idle: Duration) -> Vec<Frame> {
        let (mut sink, mut stream) = self.0.split();
        let sending = async {
            for message in messages {
                if sink.send(message).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let receiving = async {
            let mut frames = Vec::new();
            while let Ok(frame) = tokio::time::timeout(idle, stream.next()).await {
                frames.push(Frame::received(frame));
                if matches!(frames.last(), Some(Frame::Close(_) | Frame::End)) {
                    break;
                }
            }
            frames
        };
        tokio::select! {
            frames = receiving => frames,
            () = sending => Vec::new(),
        }
    }
}

impl Frame {
    fn received(message: Option<Result<Message, Error>>) -> Self {
        match message {
            Some(Ok(Message::Text(text))) => Self::Text(text.to_string()),
            Some(Ok(Message::Binary(bytes))) => Self::Binary(bytes.to_vec()),
            Some(Ok(Message::Ping(_))) => Self::Ping,
            Some(Ok(Message::Pong(payload))) => Self::Pong(payload.to_vec()),
            Some(Ok(Message::Close(close))) => Self::Close(close.map(|close| close.code.into())),
            // Raw frames are never read; a broken connection has ended as well.
            Some(Ok(Message::Frame(_)) | Err(_)) | None => Self::End,
        }
    }
}
