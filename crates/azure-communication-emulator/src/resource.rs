//! One Communication Services resource: its keys and identities, and what it answers. Pure state: it reads no clock, draws
//! nothing at random and does no I/O; the machine's time, ids and bodies are arguments.
//!
//! The order of the checks is part of the behaviour: nobody without a valid signature learns whether an identity exists.

use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::Auth;
use crate::directory::{Directory, Full, IdentityRecord, Standing, Unknown};
use crate::fault::{Faults, TooManyFaults};
use crate::introspection::REVOCATION_DELAY;
use crate::keys::{Generation, Keys};
use crate::operation::Asked;
use crate::payload::{self, TokenRequest};
use crate::refusal::Refusal;
use crate::token::{self, Grant, Mint};
use crate::version::ApiVersion;
use crate::{
    AccessKey, Calls, Clock, Fault, Introspection, KeySlot, Operation, Options, Scope, TeamsToken,
    TokenState, teams,
};

/// What ids of Teams users begin with.
const TEAMS_PREFIX: &str = "8:orgid:";

/// Everything behind the endpoints.
pub(crate) struct Resource {
    clock: Clock,
    keys: Keys,
    auth: Auth,
    directory: Directory,
    mint: Mint,
    teams_tokens: Vec<TeamsToken>,
    faults: Faults,
    calls: Calls,
}

/// A request that was served.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Option<Value>,
}

/// Who asks, and when.
#[derive(Clone, Copy)]
struct Caller {
    /// What tokens for it are issued under.
    generation: Generation,
    /// Seconds since 1970.
    now: u64,
}

impl Resource {
    /// `token_key` signs access tokens, and must not be an access key.
    pub(crate) fn new(options: Options, token_key: [u8; 32]) -> Self {
        Self {
            clock: options.clock,
            keys: Keys::new(options.access_keys),
            auth: Auth::new(options.clock_skew.as_secs(), options.entra),
            directory: Directory::new(options.resource_id, options.max_identities),
            mint: Mint::new(options.resource_id, token_key),
            teams_tokens: options.teams_tokens,
            faults: Faults::default(),
            calls: Calls::default(),
        }
    }

    /// Answers a request. `asked` is what its method and path ask for; `body` what could be read of it; `machine` the
    /// machine's time, in seconds since 1970; `user` the id of an identity, should one be created.
    pub(crate) fn answer(
        &mut self,
        asked: Result<Asked, Refusal>,
        parts: Parts,
        body: Result<Vec<u8>, Refusal>,
        machine: u64,
        user: Uuid,
    ) -> Result<Answer, Refusal> {
        let operation = asked.as_ref().ok().map(|asked| asked.operation);
        let outcome = match self.faults.next(operation) {
            Some(fault) => Err(fault.into()),
            None => self.checked(asked, parts, body, machine, user),
        };
        self.calls.count(operation.filter(|_| outcome.is_ok()));
        outcome
    }

    fn checked(
        &mut self,
        asked: Result<Asked, Refusal>,
        parts: Parts,
        body: Result<Vec<u8>, Refusal>,
        machine: u64,
        user: Uuid,
    ) -> Result<Answer, Refusal> {
        let request = Request::from_parts(parts, body?);
        let now = self.clock.now(machine);
        let generation = self.auth.admit(&request, &self.keys, now)?;
        let version = ApiVersion::of(request.uri())?;
        let Asked { operation, identity } = asked?;
        if version < operation.since() {
            return Err(ApiVersion::unsupported(request.uri(), version.as_str()));
        }
        let (caller, body) = (Caller { generation, now }, request.body().as_slice());
        match operation {
            Operation::Create => self.create(payload::create(body, version)?, user, caller),
            Operation::Issue => self.issue(&identity, payload::issue(body, version)?, caller),
            Operation::Revoke => self.revoke(&identity, now),
            Operation::Delete => self.delete(&identity),
            Operation::Exchange => self.exchange(&payload::exchange(body)?, caller),
        }
    }

    fn create(&mut self, token: Option<TokenRequest>, user: Uuid, caller: Caller) -> Result<Answer, Refusal> {
        let id = self.directory.create(user, caller.now).map_err(|Full| {
            let most = self.directory.most();
            let message =
                format!("There are {most} identities, as many as were set (`max_identities`); delete some.");
            Refusal::new(StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage", message)
        })?;
        let mut body = json!({"identity": {"id": id}});
        if let Some(token) = token {
            body["accessToken"] = self.token(&id, token, caller)?;
        }
        Ok(Answer { status: StatusCode::CREATED, body: Some(body) })
    }

    fn issue(&mut self, id: &str, token: TokenRequest, caller: Caller) -> Result<Answer, Refusal> {
        let body = self.token(id, token, caller)?;
        Ok(Answer { status: StatusCode::OK, body: Some(body) })
    }

    fn token(&mut self, id: &str, token: TokenRequest, caller: Caller) -> Result<Value, Refusal> {
        let issued_at = self.directory.issue(id, caller.now)?;
        Ok(self.minted(&Grant {
            identity: id.to_owned(),
            scopes: token.scopes,
            issued_at,
            expires_at: caller.now.saturating_add(token.lifetime),
            generation: caller.generation,
        }))
    }

    fn revoke(&mut self, id: &str, now: u64) -> Result<Answer, Refusal> {
        self.directory.revoke(id, now)?;
        Ok(Answer { status: StatusCode::NO_CONTENT, body: None })
    }

    fn delete(&mut self, id: &str) -> Result<Answer, Refusal> {
        self.directory.delete(id)?;
        Ok(Answer { status: StatusCode::NO_CONTENT, body: None })
    }

    fn exchange(&mut self, request: &payload::ExchangeRequest, caller: Caller) -> Result<Answer, Refusal> {
        let found = teams::find(&self.teams_tokens, request, caller.now)?;
        let body = self.minted(&Grant {
            identity: [TEAMS_PREFIX, &found.user_id].concat(),
            scopes: vec![Scope::Chat, Scope::Voip],
            issued_at: caller.now,
            expires_at: found.expires_at,
            generation: caller.generation,
        });
        Ok(Answer { status: StatusCode::OK, body: Some(body) })
    }

    fn minted(&self, grant: &Grant) -> Value {
        json!({"token": self.mint.issue(grant), "expiresOn": token::expires_on(grant.expires_at)})
    }

    /// What a token is, at the machine's time; `None` for what was not issued here.
    pub(crate) fn introspect(&self, token: &str, machine: u64) -> Option<Introspection> {
        let grant = self.mint.read(token)?;
        let (state, revoked_at) = self.state(&grant, self.clock.now(machine));
        let Grant { identity, scopes, issued_at, expires_at, .. } = grant;
        let honoured_until = revoked_at.map(|at| expires_at.min(at + REVOCATION_DELAY));
        Some(Introspection { identity, scopes, issued_at, expires_at, state, honoured_until })
    }

    /// Whether a token is good, and when it was revoked, if it was.
    fn state(&self, grant: &Grant, now: u64) -> (TokenState, Option<u64>) {
        if grant.expires_at <= now {
            return (TokenState::Expired, None);
        }
        if !self.keys.is_current(grant.generation) {
            return (TokenState::KeyChanged, None);
        }
        // Teams users are not identities of the resource, and nothing revokes their tokens.
        if grant.identity.starts_with(TEAMS_PREFIX) {
            return (TokenState::Alive, None);
        }
        match self.directory.standing(&grant.identity, grant.issued_at) {
            Standing::Good => (TokenState::Alive, None),
            Standing::Revoked { at } => (TokenState::Revoked, Some(at)),
            Standing::Deleted => (TokenState::Deleted, None),
        }
    }

    pub(crate) fn key(&self, slot: KeySlot) -> &AccessKey {
        self.keys.get(slot)
    }

    pub(crate) fn replace_key(&mut self, slot: KeySlot, key: AccessKey) {
        self.keys.replace(slot, key);
    }

    pub(crate) fn identities(&self) -> Vec<IdentityRecord> {
        self.directory.list()
    }

    pub(crate) fn calls(&self) -> Calls {
        self.calls
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    pub(crate) fn inject(&mut self, fault: Fault) -> Result<(), TooManyFaults> {
        self.faults.push(fault)
    }

    pub(crate) fn clear_faults(&mut self) {
        self.faults.clear();
    }
}

/// The sentence is the service's, as its samples quote it; its status and code are not published.
impl From<Unknown> for Refusal {
    fn from(Unknown: Unknown) -> Self {
        Self::not_found("Provided identity doesn't exist").logged(
            "expected the id of an identity that was created here and not deleted since; came another one",
        )
    }
}
