//! A Communication Services resource: its keys, identities and call counts, and how it responds to requests.
//!
//! Pure state: system time, random ids and bodies are arguments. The order of the checks is part of the behaviour: only a
//! caller with a valid credential learns whether an identity exists.

use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access_keys::{AccessKeys, KeyGeneration};
use crate::access_token::{
    Introspection, REVOCATION_DELAY_SECONDS, TokenClaims, TokenIssuer, TokenState, format_expires_on,
};
use crate::auth::Authenticator;
use crate::error::ApiError;
use crate::fault::Faults;
use crate::identity_api::{ApiVersion, Operation, Route, Scope};
use crate::identity_store::{IdentityStore, StoreFull, TokenStatus, UnknownIdentity};
use crate::options::{Clock, Options, TeamsToken};
use crate::request_body::{self, ExchangeRequest, TokenRequest};

/// The prefix of the ids of Teams users.
const TEAMS_PREFIX: &str = "8:orgid:";

/// How many requests the emulator has received, and how often each operation succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CallCounts {
    /// All requests of the identity API.
    pub received: u64,
    /// Requests that failed, including injected faults.
    pub refused: u64,
    /// Identities created.
    pub create: u64,
    /// Access tokens issued to existing identities; a token issued on creation counts as its creation.
    pub issue: u64,
    /// Revocations.
    pub revoke: u64,
    /// Deletions.
    pub delete: u64,
    /// Teams tokens exchanged.
    pub exchange: u64,
}

impl CallCounts {
    /// Counts a request, as a success of an operation or as a failure.
    fn count(&mut self, success: Option<Operation>) {
        self.received += 1;
        *match success {
            None => &mut self.refused,
            Some(Operation::Create) => &mut self.create,
            Some(Operation::Issue) => &mut self.issue,
            Some(Operation::Revoke) => &mut self.revoke,
            Some(Operation::Delete) => &mut self.delete,
            Some(Operation::Exchange) => &mut self.exchange,
        } += 1;
    }
}

/// The state of a resource.
pub(crate) struct Resource {
    pub(crate) clock: Clock,
    pub(crate) keys: AccessKeys,
    authenticator: Authenticator,
    pub(crate) identities: IdentityStore,
    token_issuer: TokenIssuer,
    teams_tokens: Vec<TeamsToken>,
    pub(crate) faults: Faults,
    pub(crate) calls: CallCounts,
}

/// A request whose method, path and body were read, with or without success.
pub(crate) struct ApiRequest {
    pub(crate) route: Result<Route, ApiError>,
    pub(crate) parts: Parts,
    pub(crate) body: Result<Vec<u8>, ApiError>,
}

/// A successful response.
pub(crate) struct ApiResponse {
    pub(crate) status: StatusCode,
    pub(crate) body: Option<Value>,
}

/// An authenticated caller and the time of the request.
#[derive(Clone, Copy)]
struct Caller {
    /// The key generation of tokens issued to the caller.
    generation: KeyGeneration,
    /// Seconds since 1970.
    now: u64,
}

impl Resource {
    /// `token_key` signs access tokens and must not be an access key.
    pub(crate) fn new(options: Options, token_key: [u8; 32]) -> Self {
        Self {
            clock: options.clock,
            keys: AccessKeys::new(options.access_keys),
            authenticator: Authenticator::new(options.clock_skew.as_secs(), options.entra),
            identities: IdentityStore::new(options.resource_id, options.max_identities),
            token_issuer: TokenIssuer::new(options.resource_id, token_key),
            teams_tokens: options.teams_tokens,
            faults: Faults::default(),
            calls: CallCounts::default(),
        }
    }

    /// Responds to a request. `system_time` is in seconds since 1970; `user` becomes part of the id if an identity is created.
    pub(crate) fn respond(
        &mut self,
        request: ApiRequest,
        system_time: u64,
        user: Uuid,
    ) -> Result<ApiResponse, ApiError> {
        let operation = request.route.as_ref().ok().map(|route| route.operation);
        let result = match self.faults.take(operation) {
            Some(fault) => Err(fault.into()),
            None => self.check_and_execute(request, system_time, user),
        };
        self.calls.count(operation.filter(|_| result.is_ok()));
        result
    }

    fn check_and_execute(
        &mut self,
        ApiRequest { route, parts, body }: ApiRequest,
        system_time: u64,
        user: Uuid,
    ) -> Result<ApiResponse, ApiError> {
        let request = Request::from_parts(parts, body?);
        let now = self.clock.now(system_time);
        let generation = self.authenticator.authenticate(&request, &self.keys, now)?;
        let version = ApiVersion::from_query(request.uri())?;
        let Route { operation, identity } = route?;
        if version < operation.since() {
            return Err(ApiVersion::unsupported(request.uri(), version.as_str()));
        }
        let (caller, body) = (Caller { generation, now }, request.body().as_slice());
        let (status, body) = match operation {
            Operation::Create => {
                let token = request_body::parse_create(body, version)?;
                (StatusCode::CREATED, Some(self.create(token, user, caller)?))
            }
            Operation::Issue => {
                let token = request_body::parse_issue(body, version)?;
                (StatusCode::OK, Some(self.issue_token(&identity, token, caller)?))
            }
            Operation::Revoke => {
                self.identities.revoke(&identity, now)?;
                (StatusCode::NO_CONTENT, None)
            }
            Operation::Delete => {
                self.identities.delete(&identity)?;
                (StatusCode::NO_CONTENT, None)
            }
            Operation::Exchange => {
                let request = request_body::parse_exchange(body)?;
                (StatusCode::OK, Some(self.exchange(&request, caller)?))
            }
        };
        Ok(ApiResponse { status, body })
    }

    fn create(&mut self, token: Option<TokenRequest>, user: Uuid, caller: Caller) -> Result<Value, ApiError> {
        let id = self.identities.create(user, caller.now).map_err(|StoreFull| {
            let max = self.identities.max_identities();
            let message = format!("The limit of {max} identities (`max_identities`) is reached; delete some.");
            ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage", message)
        })?;
        let mut body = json!({"identity": {"id": id}});
        if let Some(token) = token {
            body["accessToken"] = self.issue_token(&id, token, caller)?;
        }
        Ok(body)
    }

    fn issue_token(&mut self, id: &str, token: TokenRequest, caller: Caller) -> Result<Value, ApiError> {
        let issued_at = self.identities.issue(id, caller.now)?;
        let expires_at = caller.now.saturating_add(token.lifetime_seconds);
        let (identity, scopes, generation) = (id.to_owned(), token.scopes, caller.generation);
        Ok(self.token_response(&TokenClaims { identity, scopes, issued_at, expires_at, generation }))
    }

    fn exchange(&self, request: &ExchangeRequest, caller: Caller) -> Result<Value, ApiError> {
        let found = find_teams_token(&self.teams_tokens, request, caller.now)?;
        let (identity, scopes) = ([TEAMS_PREFIX, &found.user_id].concat(), vec![Scope::Chat, Scope::Voip]);
        let Caller { generation, now: issued_at } = caller;
        let expires_at = found.expires_at;
        Ok(self.token_response(&TokenClaims { identity, scopes, issued_at, expires_at, generation }))
    }

    fn token_response(&self, claims: &TokenClaims) -> Value {
        json!({"token": self.token_issuer.issue(claims), "expiresOn": format_expires_on(claims.expires_at)})
    }

    /// Describes a token; `None` if it was not issued here. `system_time` is in seconds since 1970.
    pub(crate) fn introspect(&self, token: &str, system_time: u64) -> Option<Introspection> {
        let claims = self.token_issuer.read(token)?;
        let (state, revoked_at) = self.token_state(&claims, self.clock.now(system_time));
        let TokenClaims { identity, scopes, issued_at, expires_at, .. } = claims;
        let honoured_until = revoked_at.map(|at| expires_at.min(at + REVOCATION_DELAY_SECONDS));
        Some(Introspection { identity, scopes, issued_at, expires_at, state, honoured_until })
    }

    /// The state of a token, and when it was revoked, if it was.
    fn token_state(&self, claims: &TokenClaims, now: u64) -> (TokenState, Option<u64>) {
        if claims.expires_at <= now {
            return (TokenState::Expired, None);
        }
        if !self.keys.is_current(claims.generation) {
            return (TokenState::KeyChanged, None);
        }
        // Teams users are not identities of the resource; their tokens cannot be revoked.
        if claims.identity.starts_with(TEAMS_PREFIX) {
            return (TokenState::Alive, None);
        }
        match self.identities.token_status(&claims.identity, claims.issued_at) {
            TokenStatus::Valid => (TokenState::Alive, None),
            TokenStatus::Revoked { at } => (TokenState::Revoked, Some(at)),
            TokenStatus::Deleted => (TokenState::Deleted, None),
        }
    }
}

/// Finds the configured token of a request, if it has not expired and belongs to the application and user of the request.
fn find_teams_token<'a>(
    tokens: &'a [TeamsToken],
    request: &ExchangeRequest,
    now: u64,
) -> Result<&'a TeamsToken, ApiError> {
    let found = tokens.iter().find(|token| !token.token.is_empty() && token.token == request.token);
    let Some(token) = found.filter(|token| now < token.expires_at) else {
        let message = "Provided access token is not valid.";
        let error = ApiError::new(StatusCode::UNAUTHORIZED, "InvalidAccessToken", message);
        return Err(error.with_log_message("expected a token of `teams_tokens` that has not expired; got another one"));
    };
    if token.app_id != request.app_id {
        return Err(ApiError::invalid("appId", "AAD application is not the expected one."));
    }
    if token.user_id != request.user_id {
        return Err(ApiError::invalid("userId", "Provided AAD token issued for unexpected user."));
    }
    Ok(token)
}

/// The message is that of the service's samples; its status and code are not published.
impl From<UnknownIdentity> for ApiError {
    fn from(UnknownIdentity: UnknownIdentity) -> Self {
        Self::not_found("Provided identity doesn't exist").with_log_message(
            "expected the id of an identity that was created here and not deleted since; got another one",
        )
    }
}
