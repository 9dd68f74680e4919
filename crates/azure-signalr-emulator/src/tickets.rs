//! Negotiated ids: each opens one socket, once, and soon. Pure state; the time is an argument.
//!
//! A connection has two names. The *token* in the client's URL is a secret between it and the service; the
//! *connection id* is what REST callers may know. Only the token is looked up here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::hub::{ConnectionId, UserId};
use crate::hub_name::HubName;

/// The secret name of a connection, from its negotiation until its end.
pub(crate) type ConnectionToken = Arc<str>;

/// Who negotiated, and for which hub. Nobody else may use the ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) connection: ConnectionId,
    pub(crate) hub: HubName,
    pub(crate) user: Option<UserId>,
}

/// All negotiated ids that are waiting or in use. `L` is the link to an open connection.
#[derive(Debug)]
pub(crate) struct Tickets<L> {
    tickets: HashMap<ConnectionToken, Ticket<L>>,
    lifetime: Duration,
    limit: usize,
    next_purge: Option<Instant>,
}

#[derive(Debug)]
enum Ticket<L> {
    Waiting { holder: Holder, until: Instant },
    Open(L),
}

/// As many tickets are out as there may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SoldOut;

/// Why an id does not open a socket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// Never issued, issued to someone else, expired, or its connection is over.
    Unknown,
    /// Its socket is open.
    InUse,
}

/// What a request that is not an upgrade can learn about an id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Unknown,
    Waiting,
    Open,
}

impl<L> Tickets<L> {
    pub(crate) fn new(lifetime: Duration, limit: usize) -> Self {
        Self { tickets: HashMap::new(), lifetime, limit, next_purge: None }
    }

    /// Issues a ticket that waits for its client.
    pub(crate) fn issue(
        &mut self,
        now: Instant,
        token: ConnectionToken,
        holder: Holder,
    ) -> Result<(), SoldOut> {
        self.make_room(now)?;
        let until = now + self.lifetime;
        self.tickets.insert(token, Ticket::Waiting { holder, until });
        Ok(())
    }

    /// Opens a connection that did not negotiate.
    pub(crate) fn open(&mut self, now: Instant, token: ConnectionToken, link: L) -> Result<(), SoldOut> {
        self.make_room(now)?;
        self.tickets.insert(token, Ticket::Open(link));
        Ok(())
    }

    /// Opens the connection the ticket was issued for, and returns the ticket's own copy of the token with its public id.
    pub(crate) fn redeem(
        &mut self,
        now: Instant,
        token: &str,
        hub: &HubName,
        user: Option<&UserId>,
        link: L,
    ) -> Result<(ConnectionToken, ConnectionId), Invalid> {
        let (token, ticket) = self.tickets.get_key_value(token).ok_or(Invalid::Unknown)?;
        let Ticket::Waiting { holder, until } = ticket else { return Err(Invalid::InUse) };
        if now >= *until || holder.hub != *hub || holder.user.as_ref() != user {
            return Err(Invalid::Unknown);
        }
        let (token, connection) = (token.clone(), holder.connection.clone());
        self.tickets.insert(token.clone(), Ticket::Open(link));
        Ok((token, connection))
    }

    /// How the id stands now.
    pub(crate) fn standing(&self, now: Instant, token: &str) -> Standing {
        match self.tickets.get(token) {
            Some(Ticket::Open(_)) => Standing::Open,
            Some(Ticket::Waiting { until, .. }) if now < *until => Standing::Waiting,
            _ => Standing::Unknown,
        }
    }

    /// Ends a connection.
    pub(crate) fn release(&mut self, token: &str) {
        self.tickets.remove(token);
    }

    /// The links of all open connections.
    pub(crate) fn open_links(&self) -> impl Iterator<Item = &L> {
        self.tickets.values().filter_map(|ticket| match ticket {
            Ticket::Open(link) => Some(link),
            Ticket::Waiting { .. } => None,
        })
    }

    /// Expired tickets are swept out once in a lifetime, or when room is needed: cheap, and never many.
    fn make_room(&mut self, now: Instant) -> Result<(), SoldOut> {
        if self.tickets.len() >= self.limit || self.next_purge.is_none_or(|due| now >= due) {
            self.tickets
                .retain(|_, ticket| !matches!(ticket, Ticket::Waiting { until, .. } if now >= *until));
            self.next_purge = Some(now + self.lifetime);
        }
        if self.tickets.len() < self.limit { Ok(()) } else { Err(SoldOut) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(15);

    fn hub() -> HubName {
        HubName::of_client("chat").unwrap()
    }

    fn holder() -> Holder {
        Holder { connection: ConnectionId::new("public"), hub: hub(), user: UserId::new("alice") }
    }

    fn redeem(tickets: &mut Tickets<()>, now: Instant, token: &str) -> Result<ConnectionId, Invalid> {
        tickets
            .redeem(now, token, &hub(), UserId::new("alice").as_ref(), ())
            .map(|(_, connection)| connection)
    }

    #[test]
    fn a_ticket_opens_once_and_is_unknown_after_its_connection() {
        let (mut tickets, now) = (Tickets::new(LIFETIME, 10), Instant::now());
        tickets.issue(now, "secret".into(), holder()).unwrap();
        assert_eq!(redeem(&mut tickets, now, "secret"), Ok(ConnectionId::new("public")));
        assert_eq!(redeem(&mut tickets, now, "secret"), Err(Invalid::InUse));
        tickets.release("secret");
        assert_eq!(redeem(&mut tickets, now, "secret"), Err(Invalid::Unknown));
    }

    #[test]
    fn the_public_id_opens_nothing() {
        let (mut tickets, now) = (Tickets::new(LIFETIME, 10), Instant::now());
        tickets.issue(now, "secret".into(), holder()).unwrap();
        assert_eq!(redeem(&mut tickets, now, "public"), Err(Invalid::Unknown));
    }

    #[test]
    fn a_ticket_is_no_use_to_another_user_or_hub() {
        let (mut tickets, now) = (Tickets::new(LIFETIME, 10), Instant::now());
        tickets.issue(now, "secret".into(), holder()).unwrap();
        let other = HubName::of_client("other").unwrap();
        let (alice, mallory) = (UserId::new("alice"), UserId::new("mallory"));
        assert_eq!(tickets.redeem(now, "secret", &other, alice.as_ref(), ()), Err(Invalid::Unknown));
        assert_eq!(tickets.redeem(now, "secret", &hub(), mallory.as_ref(), ()), Err(Invalid::Unknown));
        assert_eq!(tickets.redeem(now, "secret", &hub(), None, ()), Err(Invalid::Unknown));
        assert_eq!(tickets.standing(now, "secret"), Standing::Waiting);
    }

    #[test]
    fn an_unused_ticket_expires_and_is_forgotten() {
        let (mut tickets, now) = (Tickets::new(LIFETIME, 10), Instant::now());
        tickets.issue(now, "early".into(), holder()).unwrap();
        assert_eq!(tickets.standing(now + LIFETIME, "early"), Standing::Unknown);
        assert_eq!(redeem(&mut tickets, now + LIFETIME, "early"), Err(Invalid::Unknown));
        tickets.issue(now + LIFETIME, "late".into(), holder()).unwrap();
        assert_eq!(tickets.tickets.len(), 1);
    }

    #[test]
    fn there_are_never_more_tickets_than_the_limit() {
        let (mut tickets, now) = (Tickets::new(LIFETIME, 2), Instant::now());
        tickets.issue(now, "one".into(), holder()).unwrap();
        tickets.open(now, "two".into(), ()).unwrap();
        assert_eq!(tickets.issue(now, "three".into(), holder()), Err(SoldOut));
        assert_eq!(tickets.open(now, "three".into(), ()), Err(SoldOut));
        assert_eq!(tickets.issue(now + LIFETIME, "three".into(), holder()), Ok(()));
    }
}
