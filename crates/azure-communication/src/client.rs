//! The client: users of a resource, and their tokens.
//!
//! A `Client` is cheap to clone; clones share connections. It asks for the time as an argument and has no clock of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::access_token::AccessToken;
use crate::answer::{self, Body};
use crate::authority::Authority;
use crate::call::Call;
use crate::connection_string::ConnectionString;
use crate::endpoint::Endpoint;
use crate::entra::TokenSource;
use crate::error::{Error, ErrorKind};
use crate::grant::Grant;
use crate::http;
use crate::retry::{self, Repeat};
use crate::teams_user::TeamsUser;
use crate::user_id::UserId;

/// The time for a whole call, tries and waits included.
const DEADLINE: Duration = Duration::from_secs(10);

/// A client of the identity API of one resource.
///
/// Every call takes the time it begins at, and ends within ten seconds. It is made again, signed anew and with growing waits, after
/// failures a later try may not meet, as long as that can do no harm:
///
/// | after | create | issue, exchange, revoke, delete |
/// |---|---|---|
/// | no connection came about | again | again |
/// | 429 | again, not before `Retry-After` | the same |
/// | the connection broke, 408, 500, 502, 503, 504 | not again: it may have been done | again, not before `Retry-After` |
/// | anything else | not again | not again |
///
/// What would take longer than the time that is left is left to the caller: see [`Error::retry_after`].
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    endpoint: Endpoint,
    authority: Authority,
}

impl Client {
    /// Calls the resource with its access key. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be built here.
    pub fn new(connection: &ConnectionString) -> Result<Self, Error> {
        Self::build(connection.endpoint(), Authority::Key(connection.key().clone()))
    }

    /// Calls the resource with the tokens of an identity. Nothing is sent or asked for yet.
    ///
    /// # Errors
    ///
    /// When the endpoint is not https, since such a token is good for all that the identity may do; when no HTTP client can be built
    /// here.
    pub fn with_tokens(endpoint: &Endpoint, tokens: impl TokenSource) -> Result<Self, Error> {
        if !endpoint.is_encrypted() {
            return Err(Error::insecure());
        }
        Self::build(endpoint, Authority::Tokens(Box::new(tokens)))
    }

    fn build(endpoint: &Endpoint, authority: Authority) -> Result<Self, Error> {
        let http = http::client(endpoint.roots())?;
        Ok(Self(Arc::new(Inner { http, endpoint: endpoint.clone(), authority })))
    }

    /// Makes a new user.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not answer in time, or refuses. A user nobody knows is left behind only if the error
    /// [says so](Error::may_have_been_done).
    pub async fn create_user(&self, now: Timestamp) -> Result<UserId, Error> {
        let call = Call::create(&self.0.endpoint, None);
        let (user, _) = self.0.perform(&call, now).await?.created()?;
        Ok(user)
    }

    /// Makes a new user and a token for them, in one call.
    ///
    /// # Errors
    ///
    /// As for [`create_user`](Self::create_user).
    pub async fn create_user_and_token(
        &self,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<(UserId, AccessToken), Error> {
        let call = Call::create(&self.0.endpoint, Some(grant));
        let answer = self.0.perform(&call, now).await?;
        let (user, token) = answer.created()?;
        Ok((user, token.ok_or_else(|| answer.without_token())?))
    }

    /// Makes a token for a user. Those made before stay good.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not answer in time, or refuses; [`NotFound`](ErrorKind::NotFound) when there is no
    /// such user any more.
    pub async fn issue_token(
        &self,
        user: &UserId,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<AccessToken, Error> {
        self.0.perform(&Call::issue(&self.0.endpoint, user, grant), now).await?.token()
    }

    /// Ends all tokens of a user. Some parts of the service hear of it up to fifteen minutes later.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not answer in time, or refuses.
    pub async fn revoke_tokens(&self, user: &UserId, now: Timestamp) -> Result<(), Error> {
        self.0.perform(&Call::revoke(&self.0.endpoint, user), now).await.map(drop)
    }

    /// Deletes a user, all their tokens and all their data.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not answer in time, or refuses.
    pub async fn delete_user(&self, user: &UserId, now: Timestamp) -> Result<(), Error> {
        self.0.perform(&Call::delete(&self.0.endpoint, user), now).await.map(drop)
    }

    /// Exchanges the token of a Teams user for one of the service's, which ends when that one does.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not answer in time, or refuses;
    /// [`InvalidTeamsToken`](ErrorKind::InvalidTeamsToken) when the user's token is none or has ended.
    pub async fn exchange_teams_user_token(
        &self,
        user: &TeamsUser<'_>,
        now: Timestamp,
    ) -> Result<AccessToken, Error> {
        let call = Call::exchange(&self.0.endpoint, user);
        self.0.perform(&call, now).await.map_err(Error::of_exchange)?.token()
    }
}

impl Inner {
    /// Makes a call that begins at `now`, as often as it takes and may be.
    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Body, Error> {
        let begun = Instant::now();
        let deadline = begun + DEADLINE;
        let mut may_have_been_done = false;
        let mut tries = 0;
        loop {
            let now = now.checked_add(begun.elapsed()).unwrap_or(Timestamp::MAX);
            let error = match self.attempt(call, now, deadline).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            if call.repeat == Repeat::Vanishes && may_have_been_done && error.kind() == ErrorKind::NotFound {
                return Ok(Body::empty());
            }
            may_have_been_done |= error.may_have_been_done();
            tries += 1;
            let left = deadline.duration_since(Instant::now());
            let wait = retry::wait(&error, call.repeat, tries, fastrand::f64());
            let Some(wait) = wait.filter(|wait| *wait < left) else {
                return Err(error);
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, call: &Call, now: Timestamp, deadline: Instant) -> Result<Body, Error> {
        let mut request = call.request();
        self.authority.vouch_for(&mut request, now, deadline).await?;
        let answer = async {
            let response = self.http.execute(request).await.map_err(Error::from_http)?;
            answer::read(response, call.expected, now, deadline).await
        };
        timeout_at(deadline, answer).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.0.endpoint.as_str()).finish_non_exhaustive()
    }
}
