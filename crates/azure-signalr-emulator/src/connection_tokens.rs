//! Connection tokens: each opens one connection, once, and soon after the negotiation. Pure state; the time is an argument.
//!
//! A connection has two names. The *connection token* in the client's URL is a secret of the client and the service; the
//! *connection id* is public, for REST callers. Connections are found here by their token only.
//!
//! A token whose client has not connected yet takes no connection from others: such tokens have a limit of their own, at which the
//! oldest is removed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::VerifiedToken;
use crate::hub::{ConnectionId, HubName, UserId};

/// Most tokens whose client has not connected yet: more than a service gives out within the lifetime of a token.
pub(crate) const MAX_WAITING_TOKENS: usize = 100_000;

/// The secret name of a connection, from its negotiation to its end.
pub(crate) type ConnectionToken = Arc<str>;

/// The result of a negotiation. Only the same user may connect with it, to the same hub. No `Debug`: it holds an access token.
#[derive(Clone)]
pub(crate) struct NegotiatedConnection {
    pub(crate) connection: ConnectionId,
    pub(crate) hub: HubName,
    pub(crate) user: Option<UserId>,
    /// Whether the client may use stateful reconnect.
    pub(crate) may_resume: bool,
    /// The access token of the negotiation, while later requests may carry it.
    pub(crate) access_token: Option<Arc<VerifiedToken>>,
}

/// All negotiated and open connections by token. `C` represents an open connection.
pub(crate) struct ConnectionTokens<C> {
    entries: HashMap<ConnectionToken, Entry<C>>,
    /// The tokens whose client has not connected yet, oldest first.
    waiting: BTreeMap<IssueNumber, ConnectionToken>,
    next_number: IssueNumber,
    lifetime: Duration,
    max_open: usize,
    max_waiting: usize,
}

/// Counts the tokens in the order of their negotiation.
type IssueNumber = u64;

struct Entry<C> {
    negotiated: NegotiatedConnection,
    state: State<C>,
}

enum State<C> {
    Waiting { until: Instant, number: IssueNumber },
    Open(C),
}

/// Why a connection is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// The token was never issued, was issued for another user or hub, has expired or made room for others, or its connection has
    /// ended.
    UnknownToken,
    /// The connection of the token is open.
    TokenInUse,
    /// The maximum number of open connections is reached.
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
        matches!(self.state, State::Waiting { until, .. } if now >= until)
    }

    fn is_valid_for(&self, now: Instant, hub: &HubName, user: Option<&UserId>) -> bool {
        !self.is_expired(now) && self.negotiated.hub == *hub && self.negotiated.user.as_ref() == user
    }
}

impl<C> ConnectionTokens<C> {
    /// `lifetime` is how long an unused token is valid. At most `max_open` connections are open; at `max_waiting` unused tokens the
    /// oldest is removed for a new one.
    pub(crate) fn new(lifetime: Duration, max_open: usize, max_waiting: usize) -> Self {
        let (entries, waiting) = (HashMap::new(), BTreeMap::new());
        Self { entries, waiting, next_number: 0, lifetime, max_open, max_waiting }
    }

    /// Adds a negotiated connection, which waits for its client.
    pub(crate) fn issue(
        &mut self,
        now: Instant,
        token: ConnectionToken,
        negotiated: NegotiatedConnection,
    ) -> Result<(), ConnectError> {
        self.check_room()?;
        self.make_room(now);
        let (until, number) = (now + self.lifetime, self.next_number);
        self.next_number += 1;
        self.waiting.insert(number, token.clone());
        self.entries.insert(token, Entry { negotiated, state: State::Waiting { until, number } });
        Ok(())
    }

    /// Adds an open connection that was not negotiated.
    pub(crate) fn open(
        &mut self,
        token: ConnectionToken,
        negotiated: NegotiatedConnection,
        open: C,
    ) -> Result<(), ConnectError> {
        self.check_room()?;
        self.entries.insert(token, Entry { negotiated, state: State::Open(open) });
        Ok(())
    }

    /// Opens a negotiated connection, and returns the stored token and the connection id. Forgets the access token unless the client
    /// has `later_requests`.
    pub(crate) fn redeem(
        &mut self,
        now: Instant,
        token: &str,
        hub: &HubName,
        user: Option<&UserId>,
        open: C,
        later_requests: bool,
    ) -> Result<(ConnectionToken, ConnectionId), ConnectError> {
        let room = self.check_room();
        let entry = self.entries.get_mut(token).filter(|entry| entry.is_valid_for(now, hub, user));
        let entry = entry.ok_or(ConnectError::UnknownToken)?;
        let State::Waiting { number, .. } = entry.state else { return Err(ConnectError::TokenInUse) };
        room?;
        entry.state = State::Open(open);
        entry.negotiated.access_token.take_if(|_| !later_requests);
        let token = self.waiting.remove(&number).expect("a waiting token has its number");
        Ok((token, entry.negotiated.connection.clone()))
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

    /// The access token with which the connection was negotiated for this hub, if it is remembered.
    pub(crate) fn access_token(&self, token: &str, hub: &HubName) -> Option<Arc<VerifiedToken>> {
        let negotiated = &self.entries.get(token)?.negotiated;
        negotiated.access_token.clone().filter(|_| negotiated.hub == *hub)
    }

    /// Removes a token.
    pub(crate) fn remove(&mut self, token: &str) {
        if let Some(Entry { state: State::Waiting { number, .. }, .. }) = self.entries.remove(token) {
            self.waiting.remove(&number);
        }
    }

    /// All open connections.
    pub(crate) fn open_connections(&self) -> impl Iterator<Item = &C> {
        self.entries.values().filter_map(|entry| match &entry.state {
            State::Open(open) => Some(open),
            State::Waiting { .. } => None,
        })
    }

    /// Removes expired tokens, and the oldest if there are as many as may wait.
    fn make_room(&mut self, now: Instant) {
        loop {
            let is_full = self.waiting.len() >= self.max_waiting;
            let Some(oldest) = self.waiting.first_entry() else { return };
            if !is_full && self.entries.get(oldest.get()).is_some_and(|entry| !entry.is_expired(now)) {
                return;
            }
            self.entries.remove(&oldest.remove());
        }
    }

    fn check_room(&self) -> Result<(), ConnectError> {
        let open = self.entries.len() - self.waiting.len();
        if open < self.max_open { Ok(()) } else { Err(ConnectError::LimitReached) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_key::AccessKey;
    use crate::access_keys::AccessKeys;
    use crate::auth::{Auth, client_token};

    const LIFETIME: Duration = Duration::from_secs(15);

    fn hub() -> HubName {
        HubName::of_client("chat").unwrap()
    }

    fn negotiated() -> NegotiatedConnection {
        let (connection, user) = (ConnectionId::new("public"), UserId::new("alice"));
        NegotiatedConnection { connection, hub: hub(), user, may_resume: true, access_token: None }
    }

    fn access_token() -> Arc<VerifiedToken> {
        let key = AccessKey::official_emulator();
        let token = client_token(&key, &hub(), None, 0, LIFETIME);
        let auth = Auth::new(AccessKeys::new(&[key], None).into(), &[], Duration::ZERO);
        auth.authorize_client(Some(&token), None, &hub(), 0).ok().unwrap()
    }

    fn redeem(tokens: &mut ConnectionTokens<()>, now: Instant, token: &str) -> Result<ConnectionId, ConnectError> {
        tokens.redeem(now, token, &hub(), UserId::new("alice").as_ref(), (), false).map(|(_, connection)| connection)
    }

    fn state(tokens: &ConnectionTokens<()>, now: Instant, token: &str) -> TokenState<()> {
        tokens.state(now, token, &hub(), UserId::new("alice").as_ref())
    }

    #[test]
    fn a_token_opens_once_and_is_unknown_after_its_connection() {
        let (mut tokens, now) = (ConnectionTokens::new(LIFETIME, 10, 10), Instant::now());
        tokens.issue(now, "secret".into(), negotiated()).unwrap();
        assert_eq!(redeem(&mut tokens, now, "secret"), Ok(ConnectionId::new("public")));
        assert_eq!(redeem(&mut tokens, now, "secret"), Err(ConnectError::TokenInUse));
        assert_eq!(state(&tokens, now + 2 * LIFETIME, "secret"), TokenState::Open(()));
        tokens.remove("secret");
        assert_eq!(redeem(&mut tokens, now, "secret"), Err(ConnectError::UnknownToken));
    }

    #[test]
    fn the_public_id_opens_no_connection() {
        let (mut tokens, now) = (ConnectionTokens::new(LIFETIME, 10, 10), Instant::now());
        tokens.issue(now, "secret".into(), negotiated()).unwrap();
        assert_eq!(redeem(&mut tokens, now, "public"), Err(ConnectError::UnknownToken));
    }

    #[test]
    fn a_token_is_unknown_for_another_user_or_hub() {
        let (mut tokens, now) = (ConnectionTokens::new(LIFETIME, 10, 10), Instant::now());
        tokens.issue(now, "secret".into(), negotiated()).unwrap();
        let other = HubName::of_client("other").unwrap();
        let (alice, mallory) = (UserId::new("alice"), UserId::new("mallory"));
        assert_eq!(tokens.redeem(now, "secret", &other, alice.as_ref(), (), false), Err(ConnectError::UnknownToken));
        assert_eq!(tokens.redeem(now, "secret", &hub(), mallory.as_ref(), (), false), Err(ConnectError::UnknownToken));
        assert_eq!(tokens.redeem(now, "secret", &hub(), None, (), false), Err(ConnectError::UnknownToken));
        assert_eq!(tokens.state(now, "secret", &hub(), mallory.as_ref()), TokenState::Unknown);
        assert_eq!(state(&tokens, now, "secret"), TokenState::Waiting { may_resume: true });
    }

    #[test]
    fn an_unused_token_expires_and_is_removed() {
        let (mut tokens, now) = (ConnectionTokens::new(LIFETIME, 10, 10), Instant::now());
        tokens.issue(now, "early".into(), negotiated()).unwrap();
        assert_eq!(state(&tokens, now + LIFETIME, "early"), TokenState::Unknown);
        assert_eq!(redeem(&mut tokens, now + LIFETIME, "early"), Err(ConnectError::UnknownToken));
        tokens.issue(now + LIFETIME, "late".into(), negotiated()).unwrap();
        assert_eq!(tokens.entries.len(), 1);
    }

    /// What a step of the next test does.
    #[derive(Debug)]
    enum Step {
        Issue(&'static str),
        Redeem(&'static str),
        Open(&'static str),
        Remove(&'static str),
        /// Until all unused tokens have expired.
        Wait,
    }

    #[test]
    fn unused_tokens_take_no_connection_and_the_oldest_makes_room() {
        use ConnectError::{LimitReached, UnknownToken};
        use Step::{Issue, Open, Redeem, Remove, Wait};
        // Two connections may be open, and three tokens may be unused.
        let cases: &[&[(Step, Result<(), ConnectError>)]] = &[
            // Unused tokens leave all connections to others.
            &[
                (Issue("a"), Ok(())),
                (Issue("b"), Ok(())),
                (Issue("c"), Ok(())),
                (Open("d"), Ok(())),
                (Open("e"), Ok(())),
            ],
            // The fourth unused token replaces the oldest.
            &[
                (Issue("a"), Ok(())),
                (Issue("b"), Ok(())),
                (Issue("c"), Ok(())),
                (Issue("d"), Ok(())),
                (Redeem("a"), Err(UnknownToken)),
                (Redeem("b"), Ok(())),
                (Redeem("d"), Ok(())),
            ],
            // A token that was used, or removed, is not the oldest any more.
            &[
                (Issue("a"), Ok(())),
                (Issue("b"), Ok(())),
                (Issue("c"), Ok(())),
                (Redeem("a"), Ok(())),
                (Remove("b"), Ok(())),
                (Issue("d"), Ok(())),
                (Issue("e"), Ok(())),
                (Redeem("c"), Ok(())),
            ],
            // Beyond the open connections there is neither a connection nor a token for one.
            &[
                (Issue("a"), Ok(())),
                (Open("b"), Ok(())),
                (Open("c"), Ok(())),
                (Open("d"), Err(LimitReached)),
                (Issue("d"), Err(LimitReached)),
                (Redeem("a"), Err(LimitReached)),
                (Remove("b"), Ok(())),
                (Redeem("a"), Ok(())),
                (Issue("d"), Err(LimitReached)),
            ],
            // An unknown token is that, also at the limit.
            &[(Open("a"), Ok(())), (Open("b"), Ok(())), (Redeem("x"), Err(UnknownToken))],
            // Expired tokens go first.
            &[
                (Issue("a"), Ok(())),
                (Wait, Ok(())),
                (Issue("b"), Ok(())),
                (Redeem("a"), Err(UnknownToken)),
                (Redeem("b"), Ok(())),
            ],
        ];
        for case in cases {
            let (mut tokens, mut now) = (ConnectionTokens::new(LIFETIME, 2, 3), Instant::now());
            for (step, expected) in *case {
                let result = match *step {
                    Issue(token) => tokens.issue(now, token.into(), negotiated()),
                    Redeem(token) => redeem(&mut tokens, now, token).map(drop),
                    Open(token) => tokens.open(token.into(), negotiated(), ()),
                    Remove(token) => {
                        tokens.remove(token);
                        Ok(())
                    }
                    Wait => {
                        now += LIFETIME;
                        Ok(())
                    }
                };
                assert_eq!(result, *expected, "{step:?} of {case:?}");
                let waiting = tokens.entries.values().filter(|entry| matches!(entry.state, State::Waiting { .. }));
                assert_eq!(waiting.count(), tokens.waiting.len());
                assert!(tokens.waiting.len() <= 3 && tokens.open_connections().count() <= 2);
            }
        }
    }

    #[test]
    fn any_number_of_idle_negotiations_locks_no_client_out() {
        let (mut tokens, now) = (ConnectionTokens::new(LIFETIME, 1_000, 1_000), Instant::now());
        for number in 0..100_000 {
            tokens.issue(now, format!("idle {number}").into(), negotiated()).unwrap();
        }
        tokens.issue(now, "late".into(), negotiated()).unwrap();
        assert_eq!(redeem(&mut tokens, now, "late"), Ok(ConnectionId::new("public")));
        assert_eq!(tokens.entries.len(), 1_000);
    }

    #[test]
    fn an_access_token_is_remembered_for_its_hub_while_later_requests_may_carry_it() {
        let other = HubName::of_client("other").unwrap();
        for (later_requests, is_remembered) in [(true, true), (false, false)] {
            let (mut tokens, now) = (ConnectionTokens::new(LIFETIME, 10, 10), Instant::now());
            let access_token = Some(access_token());
            tokens.issue(now, "secret".into(), NegotiatedConnection { access_token, ..negotiated() }).unwrap();
            assert!(tokens.access_token("secret", &hub()).is_some());
            assert!(tokens.access_token("secret", &other).is_none() && tokens.access_token("public", &hub()).is_none());
            let user = UserId::new("alice");
            tokens.redeem(now, "secret", &hub(), user.as_ref(), (), later_requests).unwrap();
            assert_eq!(tokens.access_token("secret", &hub()).is_some(), is_remembered);
        }
    }
}
