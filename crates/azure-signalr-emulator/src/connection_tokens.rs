//! Negotiated ids: each opens one connection, once, and soon. Pure state; the time is an argument.
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
    /// Whether the client may lose its socket and come back.
    pub(crate) may_resume: bool,
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
struct Ticket<L> {
    holder: Holder,
    stage: Stage<L>,
}

#[derive(Debug)]
enum Stage<L> {
    Waiting { until: Instant },
    Open(L),
}

/// As many tickets are out as there may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SoldOut;

/// Why an id does not open a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// Never issued, issued to someone else, expired, or its connection is over.
    Unknown,
    /// Its connection is open.
    InUse,
}

/// What somebody can learn about an id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing<L> {
    Unknown,
    Waiting { may_resume: bool },
    Open(L),
}

impl<L> Ticket<L> {
    fn is_expired(&self, now: Instant) -> bool {
        matches!(self.stage, Stage::Waiting { until } if now >= until)
    }

    /// Whether it may be used by this user in this hub.
    fn admits(&self, now: Instant, hub: &HubName, user: Option<&UserId>) -> bool {
        !self.is_expired(now) && self.holder.hub == *hub && self.holder.user.as_ref() == user
    }
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
        let until = now + self.lifetime;
        self.add(now, token, Ticket { holder, stage: Stage::Waiting { until } })
    }

    /// Opens a connection that did not negotiate.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        token: ConnectionToken,
        holder: Holder,
        link: L,
    ) -> Result<(), SoldOut> {
        self.add(now, token, Ticket { holder, stage: Stage::Open(link) })
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
        if !ticket.admits(now, hub, user) {
            return Err(Invalid::Unknown);
        }
        let Stage::Waiting { .. } = ticket.stage else { return Err(Invalid::InUse) };
        let (token, holder) = (token.clone(), ticket.holder.clone());
        let connection = holder.connection.clone();
        self.tickets.insert(token.clone(), Ticket { holder, stage: Stage::Open(link) });
        Ok((token, connection))
    }

    /// How the id stands now, for this user of this hub. To everybody else it is unknown.
    pub(crate) fn standing(
        &self,
        now: Instant,
        token: &str,
        hub: &HubName,
        user: Option<&UserId>,
    ) -> Standing<L>
    where
        L: Clone,
    {
        match self.tickets.get(token).filter(|ticket| ticket.admits(now, hub, user)) {
            Some(Ticket { stage: Stage::Open(link), .. }) => Standing::Open(link.clone()),
            Some(Ticket { holder, .. }) => Standing::Waiting { may_resume: holder.may_resume },
            None => Standing::Unknown,
        }
    }

    /// Ends a connection.
    pub(crate) fn release(&mut self, token: &str) {
        self.tickets.remove(token);
    }

    /// The links of all open connections.
    pub(crate) fn open_links(&self) -> impl Iterator<Item = &L> {
        self.tickets.values().filter_map(|ticket| match &ticket.stage {
            Stage::Open(link) => Some(link),
            Stage::Waiting { .. } => None,
        })
    }

    /// Expired tickets are swept out once in a lifetime, or when room is needed: cheap, and never many.
    fn add(&mut self, now: Instant, token: ConnectionToken, ticket: Ticket<L>) -> Result<(), SoldOut> {
        if self.tickets.len() >= self.limit || self.next_purge.is_none_or(|due| now >= due) {
            self.tickets.retain(|_, ticket| !ticket.is_expired(now));
            self.next_purge = Some(now + self.lifetime);
        }
        if self.tickets.len() >= self.limit {
            return Err(SoldOut);
        }
        self.tickets.insert(token, ticket);
        Ok(())
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
        Holder {
            connection: ConnectionId::new("public"),
            hub: hub(),
            user: UserId::new("alice"),
            may_resume: true,
        }
    }

    fn redeem(tickets: &mut Tickets<()>, now: Instant, token: &str) -> Result<ConnectionId, Invalid> {
        tickets
            .redeem(now, token, &hub(), UserId::new("alice").as_ref(), ())
            .map(|(_, connection)| connection)
    }

    fn standing(tickets: &Tickets<()>, now: Instant, token: &str) -> Standing<()> {
        tickets.standing(now, token, &hub(), UserId::new("alice").as_ref())
    }

    #[test]
    fn a_ticket_opens_once_and_is_unknown_after_its_connection() {
        let (mut tickets, now) = (Tickets::new(LIFETIME, 10), Instant::now());
        tickets.issue(now, "secret".into(), holder()).unwrap();
        assert_eq!(redeem(&mut tickets, now, "secret"), Ok(ConnectionId::new("public")));
        assert_eq!(redeem(&mut tickets, now, "secret"), Err(Invalid::InUse));
        assert_eq!(standing(&tickets, now + 2 * LIFETIME, "secret"), Standing::Open(()));
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
        assert_eq!(tickets.standing(now, "secret", &hub(), mallory.as_ref()), Standing::Unknown);
        assert_eq!(standing(&tickets, now, "secret"), Standing::Waiting { may_resume: true });
    }

    #[test]
    fn an_unused_ticket_expires_and_is_forgotten() {
        let (mut tickets, now) = (Tickets::new(LIFETIME, 10), Instant::now());
        tickets.issue(now, "early".into(), holder()).unwrap();
        assert_eq!(standing(&tickets, now + LIFETIME, "early"), Standing::Unknown);
        assert_eq!(redeem(&mut tickets, now + LIFETIME, "early"), Err(Invalid::Unknown));
        tickets.issue(now + LIFETIME, "late".into(), holder()).unwrap();
        assert_eq!(tickets.tickets.len(), 1);
    }

    #[test]
    fn there_are_never_more_tickets_than_the_limit() {
        let (mut tickets, now) = (Tickets::new(LIFETIME, 2), Instant::now());
        tickets.issue(now, "one".into(), holder()).unwrap();
        tickets.open(now, "two".into(), holder(), ()).unwrap();
        assert_eq!(tickets.issue(now, "three".into(), holder()), Err(SoldOut));
        assert_eq!(tickets.open(now, "three".into(), holder(), ()), Err(SoldOut));
        assert_eq!(tickets.issue(now + LIFETIME, "three".into(), holder()), Ok(()));
    }
}
