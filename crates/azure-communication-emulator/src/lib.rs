#![doc = include_str!("../README.md")]
//!
//! # The map
//!
//! - [`Emulator`] is the whole service as a router; [`Options`] what can be set, [`AccessKey`] who may sign requests.
//! - `http` is its face to callers, `control` the one to tests; `refusal` words every "no".
//! - `resource` is the state and decides everything: `auth` who may come in, `operation` and `version` what is asked for,
//!   `payload` how, `directory` who exists, `keys` and `token` which tokens are good.
//! - `fault`, `calls`, `clock` and `introspection` are for those who test.
//!
//! `http` and `control` know `resource`; nothing behind it does I/O, reads a clock or draws at random.

mod access_key;
mod auth;
mod calls;
mod clock;
mod control;
mod directory;
mod fault;
mod http;
mod introspection;
mod jwt;
mod keys;
mod operation;
mod options;
mod payload;
mod random;
mod refusal;
mod resource;
mod scope;
mod teams;
mod token;
mod version;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;

pub use access_key::{AccessKey, InvalidAccessKey};
pub use auth::EntraOptions;
pub use calls::Calls;
pub use clock::Clock;
pub use directory::IdentityRecord;
pub use fault::{Fault, InvalidFault, TooManyFaults};
pub use introspection::{Introspection, TokenState};
pub use keys::KeySlot;
pub use operation::Operation;
pub use options::Options;
pub use scope::Scope;
pub use teams::TeamsToken;

use resource::Resource;

/// One Communication Services resource with its own keys and identities. Clones are the same resource.
#[derive(Clone)]
pub struct Emulator {
    resource: Arc<Mutex<Resource>>,
}

impl Emulator {
    /// Makes a resource without identities. It owns no socket and no task.
    ///
    /// # Panics
    ///
    /// When the operating system has no random bytes to give for the key that signs tokens.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { resource: Arc::new(Mutex::new(Resource::new(options, random::bytes()))) }
    }

    /// The identity API, to be served over HTTP/1.1, at the root of whatever host, by whoever binds a socket.
    pub fn router(&self) -> Router {
        Router::new().fallback(http::serve).with_state(self.clone())
    }

    /// What the methods below do, over HTTP, on paths that begin with `/_emulator/`: to be merged with
    /// [`router`](Self::router) or served elsewhere, on a loopback address, and only where a test needs it.
    ///
    /// Anybody who reaches it can have an access key. It answers requests made to a loopback name and without an `Origin`,
    /// and, served with `ConnectInfo<SocketAddr>`, from loopback addresses; the rest are answered 403.
    pub fn control_router(&self) -> Router {
        control::router(self.clone())
    }

    /// The connection string with the primary key, in clear, for callers that reach the emulator at `endpoint`: scheme, host
    /// and port, such as `http://localhost:8889`.
    #[must_use]
    pub fn connection_string(&self, endpoint: &str) -> String {
        self.connection_string_with(KeySlot::Primary, endpoint)
    }

    /// The same, with the key in `slot`.
    #[must_use]
    pub fn connection_string_with(&self, slot: KeySlot, endpoint: &str) -> String {
        let key = self.resource().key(slot).to_text();
        // In this order: the JavaScript client reads no other.
        format!("endpoint={}/;accesskey={key}", endpoint.trim_end_matches('/'))
    }

    /// Puts a new key into `slot`. Requests signed with the old one are refused from now on, and tokens issued to its holders
    /// are dead.
    ///
    /// # Panics
    ///
    /// When the operating system has no random bytes to give.
    pub fn regenerate_key(&self, slot: KeySlot) {
        let key = AccessKey::generate();
        self.resource().replace_key(slot, key);
    }

    /// What a token was issued for, and whether it is still good; `None` for a text that is no token of this emulator's.
    #[must_use]
    pub fn introspect(&self, token: &str) -> Option<Introspection> {
        self.resource().introspect(token, http::unix_now())
    }

    /// Everyone who exists, in the order of creation.
    #[must_use]
    pub fn identities(&self) -> Vec<IdentityRecord> {
        self.resource().identities()
    }

    /// How often the identity API was called so far. What comes through [`control_router`](Self::control_router) is not
    /// counted.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.resource().calls()
    }

    /// How time is told.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.resource().clock()
    }

    /// What time it is, in seconds since 1970.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock().now(http::unix_now())
    }

    /// Tells time another way.
    pub fn set_clock(&self, clock: Clock) {
        self.resource().set_clock(clock);
    }

    /// Lets seconds pass.
    pub fn advance(&self, seconds: u64) {
        let mut resource = self.resource();
        let later = resource.clock().advanced(seconds);
        resource.set_clock(later);
    }

    /// Lets the next request fail that the fault is for. Faults are used up in their order.
    ///
    /// # Errors
    ///
    /// [`TooManyFaults`] when 1,024 wait already.
    pub fn inject(&self, fault: Fault) -> Result<(), TooManyFaults> {
        self.resource().inject(fault)
    }

    /// Forgets the faults that wait.
    pub fn clear_faults(&self) {
        self.resource().clear_faults();
    }

    /// Held for short sections without I/O. A panic elsewhere cannot leave the state half changed, so poison says nothing.
    fn resource(&self) -> MutexGuard<'_, Resource> {
        self.resource.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
