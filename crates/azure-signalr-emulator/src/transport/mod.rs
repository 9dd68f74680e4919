//! The endpoint clients connect to, `/client/`: which transport a request wants, and whether it may have it.
//!
//! The first request with an id decides its transport; every later one has to fit. Each transport is a file of its own and
//! knows nothing of the others.

mod long_polling;
mod server_sent_events;
mod visit;
mod websocket;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api_error::ApiError;
use crate::connection::Transport;
use crate::hub_name::HubName;
use crate::request::{Query, bearer_token};
use crate::service::{Door, Entrance, NoSeat, Service, unix_now};
use crate::tickets::Standing;
use visit::Visit;

/// What a request to `/client/` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Socket,
    Events,
    Poll,
    Post,
    Delete,
}

impl Wanted {
    fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        match *method {
            Method::GET if is_web_socket(headers) => Some(Self::Socket),
            Method::GET if accepts_event_stream(headers) => Some(Self::Events),
            Method::GET => Some(Self::Poll),
            Method::POST => Some(Self::Post),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }

    /// The transport it opens, if it opens one.
    fn transport(self) -> Option<Transport> {
        match self {
            Self::Socket => Some(Transport::WebSockets),
            Self::Events => Some(Transport::ServerSentEvents),
            Self::Poll => Some(Transport::LongPolling),
            Self::Post | Self::Delete => None,
        }
    }

    /// A browser cannot set headers on a socket or a stream; anywhere else a token in a query would only end up in logs.
    fn may_carry_token_in_query(self) -> bool {
        matches!(self, Self::Socket | Self::Events)
    }
}

/// Serves `/client/`.
pub(crate) async fn connect(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let Some(wanted) = Wanted::of(&parts.method, &parts.headers) else {
        let message = "clients connect with GET, POST or DELETE";
        return Err(ApiError::method_not_allowed("GET, POST, DELETE", message));
    };
    let query = Query::new(parts.uri.query());
    let hub = requested_hub(query)?;
    let token = bearer_token(&parts.headers, wanted.may_carry_token_in_query().then_some(query));
    let identity = service.auth.authorize_client(token.as_deref(), &hub, unix_now())?;
    let id = query.last("id").filter(|id| !id.is_empty()).map(String::from);
    let Some(id) = id else {
        return match wanted {
            Wanted::Socket => {
                Visit { service, hub, identity, parts }.open(Transport::WebSockets, None, false).await
            }
            _ => Err(ApiError::invalid("id", "Connection ID required")),
        };
    };
    let standing = service.standing(&id, &hub, identity.user.as_ref());
    match (standing, wanted.transport()) {
        (Standing::Unknown, _) => Err(unknown_id()),
        (Standing::Waiting { may_resume }, Some(transport)) => {
            Visit { service, hub, identity, parts }.open(transport, Some(&id), may_resume).await
        }
        (Standing::Waiting { .. }, None) if wanted == Wanted::Delete => Err(not_to_be_deleted()),
        (Standing::Waiting { .. }, None) => {
            Err(ApiError::invalid("id", "no transport is open for this ID yet: connect before sending"))
        }
        (Standing::Open(door), _) => come_in(&service, &door, wanted, parts, body, &id).await,
    }
}

/// A request to a connection that is open.
async fn come_in(
    service: &Service,
    door: &Door,
    wanted: Wanted,
    mut parts: Parts,
    body: Body,
    id: &str,
) -> Result<Response, ApiError> {
    match (wanted, &door.entrance) {
        (Wanted::Socket, Entrance::WebSocket(successors)) => {
            let successors = successors.as_ref().filter(|successors| !successors.is_closed());
            let successors = successors.ok_or_else(in_use)?;
            Ok(match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
                Ok(upgrade) => {
                    let largest = service.options.max_client_message_bytes;
                    websocket::resume(upgrade, successors.clone(), largest)
                }
                Err(rejection) => rejection.into_response(),
            })
        }
        (Wanted::Events, Entrance::ServerSentEvents(_)) => Err(in_use()),
        (Wanted::Poll, Entrance::LongPolling { polls, .. }) => Ok(long_polling::poll(polls).await),
        (Wanted::Post, Entrance::ServerSentEvents(posts) | Entrance::LongPolling { posts, .. }) => {
            let message = read(body, service.options.max_client_message_bytes).await?;
            posts.send(message).await.map_err(|_| unknown_id())?;
            Ok(StatusCode::OK.into_response())
        }
        (Wanted::Post, Entrance::WebSocket(_)) => Err(ApiError::method_not_allowed(
            "GET",
            "POST requests are not allowed for WebSocket connections.",
        )),
        (Wanted::Delete, Entrance::LongPolling { .. }) => {
            service.forget(id);
            door.link.depart();
            Ok(StatusCode::ACCEPTED.into_response())
        }
        (Wanted::Delete, _) => Err(not_to_be_deleted()),
        (Wanted::Socket | Wanted::Events | Wanted::Poll, _) => {
            Err(ApiError::invalid("id", "Cannot change transports mid-connection"))
        }
    }
}

async fn read(body: Body, limit: usize) -> Result<bytes::Bytes, ApiError> {
    to_bytes(body, limit).await.map_err(|_| {
        let message =
            format!("the body is longer than the {limit} bytes a client may send at once, or broke off");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message)
    })
}

/// The hub a client names in its query.
pub(crate) fn requested_hub(query: Query<'_>) -> Result<HubName, ApiError> {
    let name = query
        .one("hub")
        .map_err(|_| ApiError::invalid("hub", "`hub` is given more than once in the query"))?;
    let name = name.ok_or_else(|| ApiError::invalid("hub", "`hub` is missing in the query"))?;
    Ok(HubName::of_client(&name)?)
}

/// Why a seat was not to be had, in the words of the real service.
pub(crate) fn no_seat(reason: NoSeat) -> ApiError {
    match reason {
        NoSeat::Unknown => unknown_id(),
        NoSeat::InUse => in_use(),
        NoSeat::SoldOut => ApiError::too_many_connections(),
        NoSeat::Closing => ApiError::closing(),
    }
}

fn unknown_id() -> ApiError {
    ApiError::not_found(
        "No Connection with that ID: it was never negotiated for this hub and user, waited too long, or its connection is over",
    )
}

fn in_use() -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "ConnectionInUse", "the connection with that ID is open already")
}

fn not_to_be_deleted() -> ApiError {
    ApiError::invalid("id", "Cannot terminate this connection using the DELETE endpoint.")
}

fn is_web_socket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn accepts_event_stream(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("text/event-stream"))
    })
}
