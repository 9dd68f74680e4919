//! The request that opens a connection, whichever transport it asks for.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts as _;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::long_polling::{Patience, Polls};
use super::{long_polling, no_seat, server_sent_events, websocket};
use crate::api_error::ApiError;
use crate::auth::ClientIdentity;
use crate::connection::{Terms, Transport};
use crate::hub::UserId;
use crate::hub_name::HubName;
use crate::service::{Entrance, Seat, Service, unix_now};
use crate::upstream::ClientDetails;

/// Requests of one client that may wait for their turn.
const AHEAD: usize = 4;

/// A request that opens a connection.
pub(super) struct Visit {
    pub(super) service: Arc<Service>,
    pub(super) hub: HubName,
    pub(super) identity: ClientIdentity,
    pub(super) parts: Parts,
}

impl Visit {
    /// Opens it, with the id that was negotiated, or without one.
    pub(super) async fn open(
        mut self,
        transport: Transport,
        id: Option<&str>,
        may_resume: bool,
    ) -> Result<Response, ApiError> {
        if !self.identity.allows(transport) {
            return Err(ApiError::not_found(format!(
                "{transport} transport not supported by this end point type (the token's `asrs.s.htt` leaves it out)"
            )));
        }
        match transport {
            Transport::WebSockets => match WebSocketUpgrade::from_request_parts(&mut self.parts, &()).await {
                Ok(upgrade) => self.open_socket(upgrade, id, may_resume),
                Err(rejection) => Ok(rejection.into_response()),
            },
            Transport::ServerSentEvents => {
                let (posts, received) = mpsc::channel(AHEAD);
                let (seat, terms) = self.admit(id, Entrance::ServerSentEvents(posts), None)?;
                Ok(server_sent_events::open(received, seat, terms))
            }
            Transport::LongPolling => {
                let ((posts, received), (polls, asked)) = (mpsc::channel(AHEAD), mpsc::channel(AHEAD));
                let options = &self.service.options;
                let poll = self.identity.poll_timeout.unwrap_or(options.poll_timeout);
                let patience = Patience { poll, absence: options.disconnect_timeout };
                let (seat, terms) = self.admit(id, Entrance::LongPolling { posts, polls }, None)?;
                Ok(long_polling::open(Polls::new(received, asked, patience), seat, terms))
            }
        }
    }

    fn open_socket(
        self,
        upgrade: WebSocketUpgrade,
        id: Option<&str>,
        may_resume: bool,
    ) -> Result<Response, ApiError> {
        let (successors, further) = match may_resume.then(|| mpsc::channel(1)) {
            Some((successors, further)) => (Some(successors), Some(further)),
            None => (None, None),
        };
        let (seat, terms) = self.admit(id, Entrance::WebSocket(successors), further)?;
        Ok(websocket::open(upgrade, seat, terms))
    }

    /// Takes a seat, and says on what terms.
    fn admit<W>(
        self,
        id: Option<&str>,
        entrance: Entrance,
        successors: Option<mpsc::Receiver<Box<W>>>,
    ) -> Result<(Seat, Terms<W>), ApiError> {
        let Self { service, hub, identity, parts } = self;
        let seat = service.seat(id, hub.clone(), identity.user.clone(), entrance).map_err(no_seat)?;
        let contact = service.contact(&ClientDetails {
            connection_id: seat.connection().as_str(),
            hub: hub.as_str(),
            user: identity.user.as_ref().map(UserId::as_str),
            claims: &identity.claims,
            query: parts.uri.query().unwrap_or_default(),
        });
        let left = |end: u64| Duration::from_secs(end.saturating_sub(unix_now()));
        let terms = Terms {
            handshake_timeout: identity.handshake_timeout.unwrap_or(service.options.handshake_timeout),
            detailed_errors: identity.detailed_errors,
            expires_at: identity.closes_at.and_then(|end| Instant::now().checked_add(left(end))),
            successors,
            contact,
        };
        Ok((seat, terms))
    }
}
