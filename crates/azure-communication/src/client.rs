//! The client: users of a resource, and their tokens.
//!
//! A `Client` is cheap to clone; clones share connections. It takes the wall-clock time as an argument.

use std::fmt;
use std::sync::Arc;

use azure_http::{HttpClient, HttpOptions, Request, Retry, RetryState};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::connection_string::{ConnectionString, Endpoint};
use crate::error::{Error, ErrorKind};
use crate::parameters::{Grant, TeamsUser, UserId};
use crate::request::{Operation, RequestAuth};
use crate::response::{self, AccessToken, Body};
use crate::token_source::TokenSource;

/// A client of the identity API of one resource.
///
/// Every call takes the time it begins at, and ends within ten seconds. Each attempt is authenticated anew. Failures that pass are
/// retried as the policy of `azure-http` says; creating a user counts as unsafe there, everything else as idempotent:
///
/// | after | create | issue, exchange, revoke, delete |
/// |---|---|---|
/// | no connection was made | again | again |
/// | 429 | again, not before `Retry-After` | the same |
/// | the connection broke, 4 s without a response, 408, 500, 502, 503, 504 | not again: it may have been performed | again, not before `Retry-After` |
/// | anything else | not again | not again |
///
/// A delay longer than the time that is left is left to the caller: see [`Error::retry_after`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use azure_communication::Client;
/// use jiff::Timestamp;
///
/// let client = Client::new(&"endpoint=https://NAME.communication.azure.com/;accesskey=a2V5".parse()?)?;
/// let user = client.create_user(Timestamp::now()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: HttpClient,
    endpoint: Endpoint,
    auth: RequestAuth,
}

impl Client {
    /// Calls the resource with its access key. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be built on this machine.
    pub fn new(connection: &ConnectionString) -> Result<Self, Error> {
        Self::build(connection.endpoint(), RequestAuth::Key(connection.key.clone()))
    }

    /// Calls the resource with the tokens of an identity. Nothing is sent or requested yet.
    ///
    /// # Errors
    ///
    /// When the endpoint is not https, since such a token is good for all that the identity may do; when no HTTP client can be built on
    /// this machine.
    pub fn with_tokens(endpoint: &Endpoint, tokens: impl TokenSource) -> Result<Self, Error> {
        if !endpoint.is_encrypted() {
            return Err(Error::insecure());
        }
        Self::build(endpoint, RequestAuth::Tokens(Box::new(tokens)))
    }

    fn build(endpoint: &Endpoint, auth: RequestAuth) -> Result<Self, Error> {
        let user_agent = Some(concat!("azure-communication-rust/", env!("CARGO_PKG_VERSION")));
        let options = HttpOptions { roots: endpoint.roots.clone(), user_agent, ..HttpOptions::default() };
        Ok(Self(Arc::new(Inner { http: HttpClient::new(&options)?, endpoint: endpoint.clone(), auth })))
    }

    /// Creates a user.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not respond in time, or refuses. An unknown user is left behind only if the error
    /// [says so](Error::may_have_been_done).
    pub async fn create_user(&self, now: Timestamp) -> Result<UserId, Error> {
        let operation = Operation::create(&self.0.endpoint, None);
        let (user, _) = self.0.perform(&operation, now).await?.created()?;
        Ok(user)
    }

    /// Creates a user and a token for them, in one call.
    ///
    /// # Errors
    ///
    /// As for [`create_user`](Self::create_user).
    pub async fn create_user_and_token(&self, grant: &Grant, now: Timestamp) -> Result<(UserId, AccessToken), Error> {
        let operation = Operation::create(&self.0.endpoint, Some(grant));
        let body = self.0.perform(&operation, now).await?;
        let (user, token) = body.created()?;
        Ok((user, token.ok_or_else(|| body.without_token())?))
    }

    /// Issues a token for a user. Earlier ones stay valid.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not respond in time, or refuses; [`NotFound`](ErrorKind::NotFound) when there is no
    /// such user any more.
    pub async fn issue_token(&self, user: &UserId, grant: &Grant, now: Timestamp) -> Result<AccessToken, Error> {
        self.0.perform(&Operation::issue(&self.0.endpoint, user, grant), now).await?.token()
    }

    /// Revokes all tokens of a user. In some parts of the service they stay valid for up to fifteen minutes.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not respond in time, or refuses.
    pub async fn revoke_tokens(&self, user: &UserId, now: Timestamp) -> Result<(), Error> {
        self.0.perform(&Operation::revoke(&self.0.endpoint, user), now).await.map(drop)
    }

    /// Deletes a user, all their tokens and all their data.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not respond in time, or refuses.
    pub async fn delete_user(&self, user: &UserId, now: Timestamp) -> Result<(), Error> {
        self.0.perform(&Operation::delete(&self.0.endpoint, user), now).await.map(drop)
    }

    /// Exchanges the Entra token of a Teams user for an access token of the service with the same expiry.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not respond in time, or refuses;
    /// [`InvalidTeamsToken`](ErrorKind::InvalidTeamsToken) when the user's token is not valid or has expired.
    pub async fn exchange_teams_user_token(&self, user: &TeamsUser<'_>, now: Timestamp) -> Result<AccessToken, Error> {
        let operation = Operation::exchange(&self.0.endpoint, user);
        self.0.perform(&operation, now).await.map_err(Error::of_exchange)?.token()
    }
}

impl Inner {
    /// Performs a call that begins at `now`, with as many attempts as it takes and the policy allows.
    async fn perform(&self, operation: &Operation, now: Timestamp) -> Result<Body, Error> {
        let start = Instant::now();
        let mut state = RetryState::start(operation.retry);
        let mut may_have_been_done = false;
        loop {
            let now = now.checked_add(start.elapsed()).unwrap_or(Timestamp::MAX);
            let mut request = Request { connection: state.connection(), ..operation.request() };
            self.auth.authenticate(&mut request, now, state.deadline()).await?;
            let sending =
                async { response::read(self.http.send(request).await?, operation.expected_status, now).await };
            let error = match state.attempt(sending).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            // A repeated delete may respond that there is nothing to delete, though no documentation says so.
            if operation.retry == Retry::Delete && may_have_been_done && error.kind() == ErrorKind::NotFound {
                return Ok(Body::empty());
            }
            may_have_been_done |= error.may_have_been_done();
            if !state.wait(error.failure()).await {
                return Err(error);
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.0.endpoint.as_str()).finish_non_exhaustive()
    }
}
