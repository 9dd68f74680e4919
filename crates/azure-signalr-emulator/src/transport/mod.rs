//! The endpoint `/client/`: decides what a request wants, and passes it to its transport.
//!
//! The first request of a connection chooses the transport; later requests must fit it.

mod body_writer;
mod long_polling;
mod server_sent_events;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::api_error::ApiError;
use crate::auth::VerifiedToken;
use crate::connection::{ConnectionSettings, UpstreamConnection};
use crate::connection_tokens::{ConnectError, TokenState};
use crate::hub::HubName;
use crate::protocol::handshake::TransportType;
use crate::request::{ClientQuery, access_token};
use crate::service::{ConnectionGuard, OpenConnection, Service, TransportHandle, unix_now};
use crate::upstream::ClientDetails;
use long_polling::{PollQueue, PollTimeouts};
use websocket::Upgrade;

/// Maximum number of requests of one client that wait for its connection.
const MAX_WAITING_REQUESTS: usize = 4;

/// What a request to `/client/` wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestKind {
    WebSocket,
    EventStream,
    Poll,
    Post,
    Delete,
}

impl RequestKind {
    fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        match *method {
            Method::GET if is_web_socket(headers) => Some(Self::WebSocket),
            Method::GET if accepts_event_stream(headers) => Some(Self::EventStream),
            Method::GET => Some(Self::Poll),
            Method::POST => Some(Self::Post),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }

    /// The transport that the request can open.
    fn transport(self) -> Option<TransportType> {
        match self {
            Self::WebSocket => Some(TransportType::WebSockets),
            Self::EventStream => Some(TransportType::ServerSentEvents),
            Self::Poll => Some(TransportType::LongPolling),
            Self::Post | Self::Delete => None,
        }
    }

    /// Only where a browser cannot set headers: a token in a query can end up in logs.
    fn may_carry_token_in_query(self) -> bool {
        matches!(self, Self::WebSocket | Self::EventStream)
    }
}

/// Handles a request to `/client/`.
pub(crate) async fn connect(State(service): State<Arc<Service>>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let Some(kind) = RequestKind::of(&parts.method, &parts.headers) else {
        let message = "clients connect with GET, POST or DELETE";
        return Err(ApiError::method_not_allowed("GET, POST, DELETE", message));
    };
    let query = ClientQuery::parse(parts.uri.query());
    let hub = query.hub()?;
    let in_query = query.access_token.as_deref().filter(|_| kind.may_carry_token_in_query());
    let access_token = access_token(&parts.headers, in_query)?;
    let token = query.id.as_deref().filter(|id| !id.is_empty());
    let remembered = token.and_then(|token| service.remembered_token(token, &hub));
    let verified = service.auth.authorize_client(access_token, remembered, &hub, unix_now())?;
    let Some(token) = token.map(str::to_owned) else {
        return match kind {
            RequestKind::WebSocket => {
                let request = ConnectRequest { service, hub, verified, parts };
                request.open(TransportType::WebSockets, None, false).await
            }
            _ => Err(ApiError::invalid("id", "Connection ID required")),
        };
    };
    let state = service.token_state(&token, &hub, verified.identity.user.as_ref());
    match (state, kind.transport()) {
        (TokenState::Unknown, _) => Err(unknown_token()),
        (TokenState::Waiting { may_resume }, Some(transport)) => {
            let request = ConnectRequest { service, hub, verified, parts };
            request.open(transport, Some(&token), may_resume).await
        }
        (TokenState::Waiting { .. }, None) if kind == RequestKind::Delete => Err(delete_not_allowed()),
        (TokenState::Waiting { .. }, None) => {
            Err(ApiError::invalid("id", "no transport is open for this ID yet: connect before sending"))
        }
        (TokenState::Open(open), _) => forward(&service, &open, kind, parts, body, &token).await,
    }
}

/// An authorized request that opens a connection.
struct ConnectRequest {
    service: Arc<Service>,
    hub: HubName,
    verified: Arc<VerifiedToken>,
    parts: Parts,
}

impl ConnectRequest {
    /// Opens the connection, with a negotiated token or without one.
    async fn open(
        mut self,
        transport: TransportType,
        token: Option<&str>,
        may_resume: bool,
    ) -> Result<Response, ApiError> {
        if !self.verified.identity.allows(transport) {
            return Err(ApiError::not_found(format!(
                "{transport} transport not supported by this end point type (the token's `asrs.s.htt` leaves it out)"
            )));
        }
        match transport {
            TransportType::WebSockets => {
                let upgrade = Upgrade::take(&mut self.parts)?;
                self.open_websocket(upgrade, token, may_resume)
            }
            TransportType::ServerSentEvents => {
                let (posts, received) = mpsc::channel(MAX_WAITING_REQUESTS);
                let (guard, settings) = self.connect(token, TransportHandle::ServerSentEvents(posts))?;
                Ok(server_sent_events::open(received, guard, settings))
            }
            TransportType::LongPolling => {
                let (posts, received_posts) = mpsc::channel(MAX_WAITING_REQUESTS);
                let (polls, received_polls) = mpsc::channel(MAX_WAITING_REQUESTS);
                let options = &self.service.options;
                let poll = self.verified.identity.poll_timeout.unwrap_or(options.poll_timeout);
                let (absence, piece) = (options.disconnect_timeout, options.client_timeout);
                let timeouts = PollTimeouts { poll, absence, piece };
                let handle = TransportHandle::LongPolling { posts, polls };
                let (guard, settings) = self.connect(token, handle)?;
                let queue = PollQueue::new(received_polls, timeouts);
                Ok(long_polling::open(received_posts, queue, guard, settings))
            }
        }
    }

    fn open_websocket(self, upgrade: Upgrade, token: Option<&str>, may_resume: bool) -> Result<Response, ApiError> {
        let (sender, replacements) = match may_resume.then(|| mpsc::channel(1)) {
            Some((sender, replacements)) => (Some(sender), Some(replacements)),
            None => (None, None),
        };
        let (guard, settings) = self.connect(token, TransportHandle::WebSocket(sender))?;
        Ok(websocket::open(upgrade, replacements, guard, settings))
    }

    fn connect<T>(
        self,
        token: Option<&str>,
        transport: TransportHandle,
    ) -> Result<(ConnectionGuard, ConnectionSettings<T>), ApiError> {
        let Self { service, hub, verified, parts } = self;
        let identity = &verified.identity;
        let guard = service.connect(token, hub.clone(), identity.user.clone(), transport).map_err(connect_error)?;
        let upstream = service.upstream.clone().map(|upstream| {
            let recorder = service.recorder(&hub, &guard.connection);
            let (connection_id, user) = (guard.connection.clone(), identity.user.clone());
            let query = parts.uri.query().unwrap_or_default();
            let client = ClientDetails::new(connection_id, hub, user, verified.payload(), query);
            UpstreamConnection::new(upstream, client, recorder)
        });
        let time_left = |end: u64| Duration::from_secs(end.saturating_sub(unix_now()));
        let settings = ConnectionSettings {
            handshake_timeout: identity.handshake_timeout.unwrap_or(service.options.handshake_timeout),
            detailed_errors: identity.detailed_errors,
            expires_at: identity.closes_at.and_then(|end| Instant::now().checked_add(time_left(end))),
            replacements: None,
            upstream,
        };
        Ok((guard, settings))
    }
}

/// Passes a request to the transport of its open connection.
async fn forward(
    service: &Service,
    open: &OpenConnection,
    kind: RequestKind,
    mut parts: Parts,
    body: Body,
    token: &str,
) -> Result<Response, ApiError> {
    match (kind, &open.transport) {
        (RequestKind::WebSocket, TransportHandle::WebSocket(replacements)) => {
            let replacements = replacements.as_ref().filter(|replacements| !replacements.is_closed());
            let replacements = replacements.ok_or_else(token_in_use)?;
            Ok(websocket::resume(Upgrade::take(&mut parts)?, replacements.clone()))
        }
        (RequestKind::EventStream, TransportHandle::ServerSentEvents(_)) => Err(token_in_use()),
        (RequestKind::Poll, TransportHandle::LongPolling { polls, .. }) => Ok(long_polling::poll(polls).await),
        (RequestKind::Post, TransportHandle::ServerSentEvents(posts) | TransportHandle::LongPolling { posts, .. }) => {
            let message = read_body(body, service.options.max_client_message_bytes).await?;
            posts.send(message).await.map_err(|_| unknown_token())?;
            Ok(StatusCode::OK.into_response())
        }
        (RequestKind::Post, TransportHandle::WebSocket(_)) => {
            Err(ApiError::method_not_allowed("GET", "POST requests are not allowed for WebSocket connections."))
        }
        (RequestKind::Delete, TransportHandle::LongPolling { .. }) => {
            service.remove_token(token);
            open.handle.send_queue.delete();
            Ok(StatusCode::ACCEPTED.into_response())
        }
        (RequestKind::Delete, _) => Err(delete_not_allowed()),
        (RequestKind::WebSocket | RequestKind::EventStream | RequestKind::Poll, _) => {
            Err(ApiError::invalid("id", "Cannot change transports mid-connection"))
        }
    }
}

async fn read_body(body: Body, limit: usize) -> Result<bytes::Bytes, ApiError> {
    to_bytes(body, limit).await.map_err(|error| {
        let message = format!("the body is longer than the {limit} bytes a client may send at once, or broke off");
        let too_large = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message);
        ApiError::body_timeout(&error).unwrap_or_else(too_large)
    })
}

/// The error response for a connection that is not accepted.
pub(crate) fn connect_error(error: ConnectError) -> ApiError {
    match error {
        ConnectError::UnknownToken => unknown_token(),
        ConnectError::TokenInUse => token_in_use(),
        ConnectError::LimitReached => ApiError::too_many_connections(),
        ConnectError::Closing => ApiError::closing(),
    }
}

fn unknown_token() -> ApiError {
    ApiError::not_found(
        "No Connection with that ID: it was never negotiated for this hub and user, waited too long, or its connection is over",
    )
}

fn token_in_use() -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "ConnectionInUse", "the connection with that ID is open already")
}

fn delete_not_allowed() -> ApiError {
    ApiError::invalid("id", "Cannot terminate this connection using the DELETE endpoint.")
}

fn is_web_socket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn accepts_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("text/event-stream")))
}
