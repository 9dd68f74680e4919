//! The place of one open connection, from the request that opens it to its end. Dropping it is leaving.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::info;

use super::{Service, Witness};
use crate::Options;
use crate::connection::{Link, Outbox};
use crate::hub::{ConnectionId, UserId};
use crate::hub_name::HubName;
use crate::protocol::{Outcome, Protocol};
use crate::tickets::ConnectionToken;

/// The place of one open connection.
#[must_use = "dropping a seat ends the connection"]
pub(crate) struct Seat {
    pub(super) service: Arc<Service>,
    pub(super) token: ConnectionToken,
    pub(super) hub: HubName,
    pub(super) connection: ConnectionId,
    pub(super) user: Option<UserId>,
    pub(super) link: Arc<Link>,
    /// Where the control API is wanted.
    pub(super) witness: Option<Witness>,
}

impl Seat {
    /// From here on the connection is one of its hub's, and messages queue up for it in its own protocol.
    pub(crate) fn join(&self, protocol: Protocol) {
        let Self { hub, connection, .. } = self;
        self.link.speaks(protocol);
        let (user, link) = (self.user.as_ref(), self.link.clone());
        self.service.lock().hubs.join(Instant::now(), hub, connection, user, link);
        let (user, transport) = (user.map(UserId::as_str), self.link.transport());
        info!(%hub, %connection, user, %transport, "connection {connection} joined hub {hub}");
    }

    /// From here on nobody finds the connection any more, though its transport may still be open.
    pub(crate) fn leave(&self) {
        self.service.lock().hubs.leave(&self.hub, &self.connection);
        self.link.over();
    }

    /// From here on the id of the connection is unknown. What is left to be done for it need not hurry, but the service
    /// waits for it.
    pub(crate) fn vacate(&self) {
        self.service.forget(&self.token);
    }

    /// Gives an answer of the client to whoever asked. False when nobody did.
    pub(crate) fn answer(&self, id: &str, outcome: Outcome) -> bool {
        self.link.answer(id, outcome)
    }

    pub(crate) fn options(&self) -> &Options {
        &self.service.options
    }

    pub(crate) fn witness(&self) -> Option<&Witness> {
        self.witness.as_ref()
    }

    pub(crate) fn connection(&self) -> &ConnectionId {
        &self.connection
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        self.link.outbox()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
        self.vacate();
        self.service.lock().seats -= 1;
        self.service.left.notify_waiters();
    }
}
