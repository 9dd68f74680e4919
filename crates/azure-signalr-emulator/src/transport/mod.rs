//! The endpoint `/client/`: decides what a request wants, and passes it to its transport.
//!
//! The first request of a connection chooses the transport; later requests must fit it.

mod connect_request;
mod long_polling;
mod server_sent_events;
mod websocket;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::bearer;
use crate::connection_tokens::TokenState;
use crate::hub_name::HubName;
use crate::protocol::handshake::TransportType;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::service::{OpenConnection, Service, TransportHandle, unix_now};
use connect_request::{ConnectRequest, token_in_use, unknown_token};

pub(crate) use connect_request::connect_refusal;

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
pub(crate) async fn connect(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let Some(kind) = RequestKind::of(&parts.method, &parts.headers) else {
        let message = "clients connect with GET, POST or DELETE";
        return Err(Refusal::method_not_allowed("GET, POST, DELETE", message));
    };
    let query = Query::new(parts.uri.query());
    let hub = requested_hub(query)?;
    let access_token = bearer::token(&parts.headers, kind.may_carry_token_in_query().then_some(query));
    let identity = service.auth.client(access_token.as_deref(), &hub, unix_now())?;
    let token = query.last("id").filter(|id| !id.is_empty()).map(String::from);
    let Some(token) = token else {
        return match kind {
            RequestKind::WebSocket => {
                let request = ConnectRequest { service, hub, identity, parts };
                request.open(TransportType::WebSockets, None, false).await
            }
            _ => Err(Refusal::invalid("id", "Connection ID required")),
        };
    };
    let state = service.token_state(&token, &hub, identity.user.as_ref());
    match (state, kind.transport()) {
        (TokenState::Unknown, _) => Err(unknown_token()),
        (TokenState::Waiting { may_resume }, Some(transport)) => {
            let request = ConnectRequest { service, hub, identity, parts };
            request.open(transport, Some(&token), may_resume).await
        }
        (TokenState::Waiting { .. }, None) if kind == RequestKind::Delete => Err(delete_not_allowed()),
        (TokenState::Waiting { .. }, None) => {
            Err(Refusal::invalid("id", "no transport is open for this ID yet: connect before sending"))
        }
        (TokenState::Open(open), _) => forward(&service, &open, kind, parts, body, &token).await,
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
) -> Result<Response, Refusal> {
    match (kind, &open.transport) {
        (RequestKind::WebSocket, TransportHandle::WebSocket(replacements)) => {
            let replacements = replacements.as_ref().filter(|replacements| !replacements.is_closed());
            let replacements = replacements.ok_or_else(token_in_use)?;
            Ok(match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
                Ok(upgrade) => {
                    let max_message_bytes = service.options.max_client_message_bytes;
                    websocket::resume(upgrade, replacements.clone(), max_message_bytes)
                }
                Err(rejection) => rejection.into_response(),
            })
        }
        (RequestKind::EventStream, TransportHandle::ServerSentEvents(_)) => Err(token_in_use()),
        (RequestKind::Poll, TransportHandle::LongPolling { polls, .. }) => {
            Ok(long_polling::poll(polls).await)
        }
        (
            RequestKind::Post,
            TransportHandle::ServerSentEvents(posts) | TransportHandle::LongPolling { posts, .. },
        ) => {
            let message = read_body(body, service.options.max_client_message_bytes).await?;
            posts.send(message).await.map_err(|_| unknown_token())?;
            Ok(StatusCode::OK.into_response())
        }
        (RequestKind::Post, TransportHandle::WebSocket(_)) => Err(Refusal::method_not_allowed(
            "GET",
            "POST requests are not allowed for WebSocket connections.",
        )),
        (RequestKind::Delete, TransportHandle::LongPolling { .. }) => {
            service.remove_token(token);
            open.handle.send_queue().delete();
            Ok(StatusCode::ACCEPTED.into_response())
        }
        (RequestKind::Delete, _) => Err(delete_not_allowed()),
        (RequestKind::WebSocket | RequestKind::EventStream | RequestKind::Poll, _) => {
            Err(Refusal::invalid("id", "Cannot change transports mid-connection"))
        }
    }
}

async fn read_body(body: Body, limit: usize) -> Result<bytes::Bytes, Refusal> {
    to_bytes(body, limit).await.map_err(|_| {
        let message =
            format!("the body is longer than the {limit} bytes a client may send at once, or broke off");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message)
    })
}

/// The hub in the query of a client request.
pub(crate) fn requested_hub(query: Query<'_>) -> Result<HubName, Refusal> {
    let name = query
        .one("hub")
        .map_err(|_| Refusal::invalid("hub", "`hub` is given more than once in the query"))?;
    let name = name.ok_or_else(|| Refusal::invalid("hub", "`hub` is missing in the query"))?;
    Ok(HubName::of_client(&name)?)
}

fn delete_not_allowed() -> Refusal {
    Refusal::invalid("id", "Cannot terminate this connection using the DELETE endpoint.")
}

fn is_web_socket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn accepts_event_stream(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("text/event-stream"))
    })
}
