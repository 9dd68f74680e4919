//! Connection tokens: each opens one connection, once, and soon after the negotiation. Pure state; the time is an argument.
//!
//! A connection has two names. The *connection token* in the client's URL is a secret of the client and the service; the
//! *connection id* is public, for REST callers. Connections are found here by their token only.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::hub::{ConnectionId, HubName, UserId};

/// The secret name of a connection, from its negotiation to its end.
pub(crate) type ConnectionToken = Arc<str>;

/// The result of a negotiation. Only the same user may connect with it, to the same hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NegotiatedConnection {
    pub(crate) connection: ConnectionId,
    pub(crate) hub: HubName,
    pub(crate) user: Option<UserId>,
    /// Whether the client may use stateful reconnect.
    pub(crate) may_resume: bool,
}

/// All negotiated and open connections by token. `C` represents an open connection.
#[derive(Debug)]
pub(crate) struct ConnectionTokens<C> {
    entries: HashMap<ConnectionToken, Entry<C>>,
    lifetime: Duration,
    limit: usize,
    next_purge: Option<Instant>,
}

#[derive(Debug)]
struct Entry<C> {
    negotiated: NegotiatedConnection,
    state: State<C>,
}

#[derive(Debug)]
enum State<C> {
    Waiting { until: Instant },
    Open(C),
}

/// Why a connection is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// The token was never issued, was issued for another user or hub, has expired, or its connection has ended.
    UnknownToken,
    /// The connection of the token is open.
    TokenInUse,
    /// The maximum number of connections and unused tokens is reached.
    LimitReached,
    /// The service is shutting down.
    Closing,
}

/// The state of a token for one user and hub.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TokenState<C> {
    Unknown,
    Waiting { may_resume: bool },
    Open(C),
}

impl<C> Entry<C> {
    fn is_expired(&self, now: Instant) -> bool {
        matches!(self.state, State::Waiting { until } if now >= until)
    }

    fn is_valid_for(&self, now: Instant, hub: &HubName, user: Option<&UserId>) -> bool {
        !self.is_expired(now) && self.negotiated.hub == *hub && self.negotiated.user.as_ref() == user
    }
}

impl<C> ConnectionTokens<C> {
    /// `lifetime` is how long an unused token is valid, `limit` the maximum number of tokens.
    pub(crate) fn new(lifetime: Duration, limit: usize) -> Self {
        Self { entries: HashMap::new(), lifetime, limit, next_purge: None }
    }

    /// Adds a negotiated connection, which waits for its client.
    pub(crate) fn issue(
        &mut self,
        now: Instant,
        token: ConnectionToken,
        negotiated: NegotiatedConnection,
    ) -> Result<(), ConnectError> {
        let until = now + self.lifetime;
        self.add(now, token, Entry { negotiated, state: State::Waiting { until } })
    }

    /// Adds an open connection that was not negotiated.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        token: ConnectionToken,
        negotiated: NegotiatedConnection,
        open: C,
    ) -> Result<(), ConnectError> {
        self.add(now, token, Entry { negotiated, state: State::Open(open) })
    }

    /// Opens a negotiated connection, and returns the stored token and the connection id.
    pub(crate) fn redeem(
        &mut self,
        now: Instant,
        token: &str,
        hub: &HubName,
        user: Option<&UserId>,
        open: C,
    ) -> Result<(ConnectionToken, ConnectionId), ConnectError> {
        let (token, entry) = self.entries.get_key_value(token).ok_or(ConnectError::UnknownToken)?;
        if !entry.is_valid_for(now, hub, user) {
            return Err(ConnectError::UnknownToken);
        }
        let State::Waiting { .. } = entry.state else { return Err(ConnectError::TokenInUse) };
        let (token, negotiated) = (token.clone(), entry.negotiated.clone());
        let connection = negotiated.connection.clone();
        self.entries.insert(token.clone(), Entry { negotiated, state: State::Open(open) });
        Ok((token, connection))
    }

    /// The state of a token for this user of this hub; unknown for all others.
    pub(crate) fn state(&self, now: Instant, token: &str, hub: &HubName, user: Option<&UserId>) -> TokenState<C>
    where
        C: Clone,
    {
        match self.entries.get(token).filter(|entry| entry.is_valid_for(now, hub, user)) {
            Some(Entry { state: State::Open(open), .. }) => TokenState::Open(open.clone()),
            Some(Entry { negotiated, .. }) => TokenState::Waiting { may_resume: negotiated.may_resume },
            None => TokenState::Unknown,
        }
    }

    /// Removes a token.
    pub(crate) fn remove(&mut self, token: &str) {
        self.entries.remove(token);
    }

    /// All open connections.
    pub(crate) fn open_connections(&self) -> impl Iterator<Item = &C> {
        self.entries.values().filter_map(|entry| match &entry.state {
            State::Open(open) => Some(open),
            State::Waiting { .. } => None,
        })
    }

    /// Removes expired tokens once in a lifetime, or when the limit is reached.
    fn add(&mut self, now: Instant, token: ConnectionToken, entry: Entry<C>) -> Result<(), ConnectError> {
        if self.entries.len() >= self.limit || self.next_purge.is_none_or(|due| now >= due) {
            self.entries.retain(|_, entry| !entry.is_expired(now));
            self.next_purge = Some(now + self.lifetime);
        }
        if self.entries.len() >= self.limit {
            return Err(ConnectError::LimitReached);
        }
        self.entries.insert(token, entry);
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

    fn negotiated() -> NegotiatedConnection {
        let (connection, user) = (ConnectionId::new("public"), UserId::new("alice"));
        NegotiatedConnection { connection, hub: hub(), user, may_resume: true }
    }

    fn redeem(tokens: &mut ConnectionTokens<()>, now: Instant, token: &str) -> Result<ConnectionId, ConnectError> {
        tokens.redeem(now, token, &hub(), UserId::new("alice").as_ref(), ()).map(|(_, connection)| connection)
    }

    fn state(tokens: &ConnectionTokens<()>, now: Instant, token: &str) -> TokenState<()> {
        tokens.state(now, token, &hub(), UserId::new("alice").as_ref())
    }

    #[test]
    fn a_token_opens_once_and_is_unknown_after_its_connection() {
        let (mut tokens, now) = (ConnectionTokens::new(LIFETIME, 10), Instant::now());
        tokens.issue(now, "secret".into(), negotiated()).unwrap();
        assert_eq!(redeem(&mut tokens, now, "secret"), Ok(ConnectionId::new("public")));
        assert_eq!(redeem(&mut tokens, now, "secret"), Err(ConnectError::TokenInUse));
        assert_eq!(state(&tokens, now + 2 * LIFETIME, "secret"), TokenState::Open(()));
        tokens.remove("secret");
        assert_eq!(redeem(&mut tokens, now, "secret"), Err(ConnectError::UnknownToken));
    }

    #[test]
    fn the_public_id_opens_no_connection() {
        let (mut tokens, now) = (ConnectionTokens::new(LIFETIME, 10), Instant::now());
        tokens.issue(now, "secret".into(), negotiated()).unwrap();
        assert_eq!(redeem(&mut tokens, now, "public"), Err(ConnectError::UnknownToken));
    }

    #[test]
    fn a_token_is_unknown_for_another_user_or_hub() {
        let (mut tokens, now) = (ConnectionTokens::new(LIFETIME, 10), Instant::now());
        tokens.issue(now, "secret".into(), negotiated()).unwrap();
        let other = HubName::of_client("other").unwrap();
        let (alice, mallory) = (UserId::new("alice"), UserId::new("mallory"));
        assert_eq!(tokens.redeem(now, "secret", &other, alice.as_ref(), ()), Err(ConnectError::UnknownToken));
        assert_eq!(tokens.redeem(now, "secret", &hub(), mallory.as_ref(), ()), Err(ConnectError::UnknownToken));
        assert_eq!(tokens.redeem(now, "secret", &hub(), None, ()), Err(ConnectError::UnknownToken));
        assert_eq!(tokens.state(now, "secret", &hub(), mallory.as_ref()), TokenState::Unknown);
        assert_eq!(state(&tokens, now, "secret"), TokenState::Waiting { may_resume: true });
    }

    #[test]
    fn an_unused_token_expires_and_is_removed() {
        let (mut tokens, now) = (ConnectionTokens::new(LIFETIME, 10), Instant::now());
        tokens.issue(now, "early".into(), negotiated()).unwrap();
        assert_eq!(state(&tokens, now + LIFETIME, "early"), TokenState::Unknown);
        assert_eq!(redeem(&mut tokens, now + LIFETIME, "early"), Err(ConnectError::UnknownToken));
        tokens.issue(now + LIFETIME, "late".into(), negotiated()).unwrap();
        assert_eq!(tokens.entries.len(), 1);
    }

    #[test]
    fn there_are_never_more_tokens_than_the_limit() {
        let (mut tokens, now) = (ConnectionTokens::new(LIFETIME, 2), Instant::now());
        tokens.issue(now, "one".into(), negotiated()).unwrap();
        tokens.open(now, "two".into(), negotiated(), ()).unwrap();
        assert_eq!(tokens.issue(now, "three".into(), negotiated()), Err(ConnectError::LimitReached));
        assert_eq!(tokens.open(now, "three".into(), negotiated(), ()), Err(ConnectError::LimitReached));
        assert_eq!(tokens.issue(now + LIFETIME, "three".into(), negotiated()), Ok(()));
    }
}
