//! A request that opens a connection, for each transport.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts as _;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::long_polling::{PollQueue, PollTimeouts};
use super::{long_polling, server_sent_events, websocket};
use crate::auth::ClientIdentity;
use crate::connection::{ConnectionSettings, UpstreamConnection};
use crate::hub::UserId;
use crate::hub_name::HubName;
use crate::protocol::handshake::TransportType;
use crate::refusal::Refusal;
use crate::service::{ConnectError, ConnectionGuard, Service, TransportHandle, unix_now};
use crate::upstream::ClientFacts;

/// Maximum number of requests of one client that wait for its connection.
const MAX_WAITING_REQUESTS: usize = 4;

/// An authorized request that opens a connection.
pub(super) struct ConnectRequest {
    pub(super) service: Arc<Service>,
    pub(super) hub: HubName,
    pub(super) identity: ClientIdentity,
    pub(super) parts: Parts,
}

impl ConnectRequest {
    /// Opens the connection, with a negotiated token or without one.
    pub(super) async fn open(
        mut self,
        transport: TransportType,
        token: Option<&str>,
        may_resume: bool,
    ) -> Result<Response, Refusal> {
        if !self.identity.allows(transport) {
            return Err(Refusal::not_found(format!(
                "{transport} transport not supported by this end point type (the token's `asrs.s.htt` leaves it out)"
            )));
        }
        match transport {
            TransportType::WebSockets => {
                match WebSocketUpgrade::from_request_parts(&mut self.parts, &()).await {
                    Ok(upgrade) => self.open_websocket(upgrade, token, may_resume),
                    Err(rejection) => Ok(rejection.into_response()),
                }
            }
            TransportType::ServerSentEvents => {
                let (posts, received) = mpsc::channel(MAX_WAITING_REQUESTS);
                let (guard, settings) =
                    self.connect(token, TransportHandle::ServerSentEvents(posts), None)?;
                Ok(server_sent_events::open(received, guard, settings))
            }
            TransportType::LongPolling => {
                let (posts, received_posts) = mpsc::channel(MAX_WAITING_REQUESTS);
                let (polls, received_polls) = mpsc::channel(MAX_WAITING_REQUESTS);
                let options = &self.service.options;
                let poll = self.identity.poll_timeout.unwrap_or(options.poll_timeout);
                let timeouts = PollTimeouts { poll, absence: options.poll_absence };
                let handle = TransportHandle::LongPolling { posts, polls };
                let (guard, settings) = self.connect(token, handle, None)?;
                let queue = PollQueue::new(received_polls, timeouts);
                Ok(long_polling::open(received_posts, queue, guard, settings))
            }
        }
    }

    fn open_websocket(
        self,
        upgrade: WebSocketUpgrade,
        token: Option<&str>,
        may_resume: bool,
    ) -> Result<Response, Refusal> {
        let (sender, replacements) = match may_resume.then(|| mpsc::channel(1)) {
            Some((sender, replacements)) => (Some(sender), Some(replacements)),
            None => (None, None),
        };
        let (guard, settings) = self.connect(token, TransportHandle::WebSocket(sender), replacements)?;
        Ok(websocket::open(upgrade, guard, settings))
    }

    fn connect<T>(
        self,
        token: Option<&str>,
        transport: TransportHandle,
        replacements: Option<mpsc::Receiver<Box<T>>>,
    ) -> Result<(ConnectionGuard, ConnectionSettings<T>), Refusal> {
        let Self { service, hub, identity, parts } = self;
        let guard =
            service.connect(token, hub.clone(), identity.user.clone(), transport).map_err(connect_refusal)?;
        let upstream = service.upstream.clone().map(|upstream| {
            let client = upstream.client(&ClientFacts {
                connection_id: guard.connection().as_str(),
                hub: hub.as_str(),
                user: identity.user.as_ref().map(UserId::as_str),
                claims: &identity.claims,
                query: parts.uri.query().unwrap_or_default(),
            });
            UpstreamConnection::new(upstream, client, service.recorder(&hub, guard.connection()))
        });
        let time_left = |end: u64| Duration::from_secs(end.saturating_sub(unix_now()));
        let settings = ConnectionSettings {
            handshake_timeout: identity.handshake_timeout.unwrap_or(service.options.handshake_timeout),
            detailed_errors: identity.detailed_errors,
            expires_at: identity.closes_at.and_then(|end| Instant::now().checked_add(time_left(end))),
            replacements,
            upstream,
        };
        Ok((guard, settings))
    }
}

/// The error response for a connection that is not accepted.
pub(crate) fn connect_refusal(error: ConnectError) -> Refusal {
    match error {
        ConnectError::UnknownToken => unknown_token(),
        ConnectError::TokenInUse => token_in_use(),
        ConnectError::LimitReached => Refusal::too_many_connections(),
        ConnectError::Closing => Refusal::closing(),
    }
}

pub(super) fn unknown_token() -> Refusal {
    Refusal::not_found(
        "No Connection with that ID: it was never negotiated for this hub and user, waited too long, or its connection is over",
    )
}

pub(super) fn token_in_use() -> Refusal {
    Refusal::new(StatusCode::CONFLICT, "ConnectionInUse", "the connection with that ID is open already")
}
