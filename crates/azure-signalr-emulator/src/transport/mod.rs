//! The endpoint clients connect to, `/client/`: which transport a request wants, and whether it may have it.
//!
//! Only WebSockets are there. A request for another transport is told so, but first everything that would be wrong
//! with it on the real service.

pub(crate) mod outbox;
mod rhythm;
mod websocket;

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::time::Duration;

use crate::bearer;
use crate::hub_name::HubName;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::service::{NoSeat, Seat, Service, unix_now};
use crate::tickets::Standing;

/// Serves `/client/`.
pub(crate) async fn connect(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (mut parts, _) = request.into_parts();
    if ![Method::GET, Method::POST, Method::DELETE].contains(&parts.method) {
        return Err(Refusal::method_not_allowed(
            "GET, POST, DELETE",
            "clients connect with GET, POST or DELETE",
        ));
    }
    let query = Query::new(parts.uri.query());
    let hub = requested_hub(query)?;
    let upgrade = parts.method == Method::GET && is_web_socket(&parts.headers);
    // A browser cannot set headers on a WebSocket; anywhere else a token in a query would only end up in logs.
    let token = bearer::token(&parts.headers, upgrade.then_some(query));
    let identity = service.auth.client(token.as_deref(), &hub, unix_now())?;
    let id = query.last("id").filter(|id| !id.is_empty());
    if !upgrade {
        return Err(other_transport(&service, &parts, id.as_deref()));
    }
    if !identity.web_sockets {
        let message = "WebSockets transport not supported by this end point type (the token's `asrs.s.htt` leaves it out)";
        return Err(Refusal::not_found(message));
    }
    let seat = service.seat(id.as_deref(), hub, identity.user).map_err(no_seat)?;
    let handshake_timeout = identity.handshake_timeout.unwrap_or(service.options.handshake_timeout);
    Ok(open_web_socket(&mut parts, seat, handshake_timeout).await)
}

/// The hub a client names in its query.
pub(crate) fn requested_hub(query: Query<'_>) -> Result<HubName, Refusal> {
    let name = query
        .one("hub")
        .map_err(|_| Refusal::invalid("hub", "`hub` is given more than once in the query"))?;
    let name = name.ok_or_else(|| Refusal::invalid("hub", "`hub` is missing in the query"))?;
    Ok(HubName::of_client(&name)?)
}

/// Why a seat was not to be had, in the words of the real service.
pub(crate) fn no_seat(reason: NoSeat) -> Refusal {
    match reason {
        NoSeat::Unknown => unknown_id(),
        NoSeat::InUse => Refusal::new(
            StatusCode::CONFLICT,
            "ConnectionInUse",
            "the connection with that ID is open already",
        ),
        NoSeat::SoldOut => Refusal::too_many_connections(),
        NoSeat::Closing => Refusal::closing(),
    }
}

fn unknown_id() -> Refusal {
    Refusal::not_found(
        "No Connection with that ID: it was never negotiated for this hub and user, waited too long, or its connection is over",
    )
}

fn is_web_socket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// What is wrong with a request that is no WebSocket upgrade; something always is.
fn other_transport(service: &Service, parts: &Parts, id: Option<&str>) -> Refusal {
    let Some(id) = id else { return Refusal::invalid("id", "Connection ID required") };
    let standing = service.standing(id);
    match (&parts.method, standing) {
        (_, Standing::Unknown) => unknown_id(),
        (&Method::POST, Standing::Open) => {
            Refusal::method_not_allowed("GET", "POST requests are not allowed for WebSocket connections.")
        }
        (&Method::DELETE, _) => {
            Refusal::invalid("id", "Cannot terminate this connection using the DELETE endpoint.")
        }
        (_, Standing::Open) => Refusal::invalid("id", "Cannot change transports mid-connection"),
        (_, Standing::Waiting) if accepts_event_stream(&parts.headers) => {
            Refusal::not_emulated("Server-Sent Events transport")
        }
        (_, Standing::Waiting) => Refusal::not_emulated("Long polling transport"),
    }
}

fn accepts_event_stream(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("text/event-stream"))
    })
}

async fn open_web_socket(parts: &mut Parts, seat: Seat, handshake_timeout: Duration) -> Response {
    match WebSocketUpgrade::from_request_parts(parts, &()).await {
        Ok(upgrade) => websocket::upgrade(upgrade, seat, handshake_timeout),
        Err(rejection) => rejection.into_response(),
    }
}
