//! `Emulator`: the handle through which a program controls and inspects an emulated resource.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::access_keys::{AccessKey, KeyType, random_bytes};
use crate::access_token::Introspection;
use crate::error::ApiError;
use crate::fault::{Fault, TooManyFaults};
use crate::identity_store::IdentityRecord;
use crate::options::{Clock, Options, random_uuid};
use crate::resource::{ApiRequest, ApiResponse, CallCounts, Resource};

/// An emulated Communication Services resource with its own keys and identities.
///
/// Clones refer to the same resource. [`serve`](Self::serve) makes it reachable over HTTP.
///
/// ```no_run
/// # async fn example(listener: tokio::net::TcpListener) -> std::io::Result<()> {
/// use azure_communication_emulator::{Emulator, Options};
///
/// let emulator = Emulator::new(Options::default());
/// println!("{}", emulator.connection_string(&format!("http://{}", listener.local_addr()?)));
/// emulator.serve(vec![listener], std::future::pending()).await
/// # }
/// ```
#[derive(Clone)]
pub struct Emulator {
    resource: Arc<Mutex<Resource>>,
    pub(crate) allowed_hosts: Arc<[String]>,
    pub(crate) has_control_api: bool,
}

impl Emulator {
    /// Creates a resource without identities. It opens no socket and starts no task.
    ///
    /// # Panics
    ///
    /// When the operating system provides no random bytes for the key that signs tokens.
    pub fn new(mut options: Options) -> Self {
        Self {
            allowed_hosts: std::mem::take(&mut options.allowed_hosts).into(),
            has_control_api: options.control_api,
            resource: Arc::new(Mutex::new(Resource::new(options, random_bytes()))),
        }
    }

    /// Returns the connection string with the primary key in clear text.
    ///
    /// `endpoint` is the scheme, host and port under which clients reach the emulator, such as `http://localhost:8889`.
    pub fn connection_string(&self, endpoint: &str) -> String {
        self.connection_string_with(KeyType::Primary, endpoint)
    }

    /// Returns the connection string with the chosen key in clear text.
    pub fn connection_string_with(&self, key_type: KeyType, endpoint: &str) -> String {
        let key = self.resource().keys.get(key_type).to_text();
        // The JavaScript client requires this order.
        format!("endpoint={}/;accesskey={key}", endpoint.trim_end_matches('/'))
    }

    /// Replaces a key. Requests signed with the old key fail from now on, and tokens issued to its users are invalid.
    ///
    /// # Panics
    ///
    /// When the operating system provides no random bytes.
    pub fn regenerate_key(&self, key_type: KeyType) {
        let key = AccessKey::generate();
        self.resource().keys.replace(key_type, key);
    }

    /// Returns what an access token was issued for and whether it is valid; `None` if this emulator did not issue it.
    pub fn introspect(&self, token: &str) -> Option<Introspection> {
        self.resource().introspect(token, system_time())
    }

    /// Returns all identities in the order of creation.
    pub fn identities(&self) -> Vec<IdentityRecord> {
        self.resource().identities.list()
    }

    /// Returns how often the identity API was called. Calls of the control API are not counted.
    pub fn calls(&self) -> CallCounts {
        self.resource().calls
    }

    /// Returns the clock.
    pub fn clock(&self) -> Clock {
        self.resource().clock
    }

    /// Returns the time of the clock, in seconds since 1970.
    pub fn now(&self) -> u64 {
        self.clock().now(system_time())
    }

    /// Replaces the clock.
    pub fn set_clock(&self, clock: Clock) {
        self.resource().clock = clock;
    }

    /// Moves the clock forward by a number of seconds.
    pub fn advance(&self, seconds: u64) {
        let mut resource = self.resource();
        resource.clock = resource.clock.advanced(seconds);
    }

    /// Makes the next request that matches the fault fail. Faults apply in the order in which they were injected.
    ///
    /// # Errors
    ///
    /// [`TooManyFaults`] when 1,024 faults are pending.
    pub fn inject(&self, fault: Fault) -> Result<(), TooManyFaults> {
        self.resource().faults.push(fault)
    }

    /// Removes all pending faults.
    pub fn clear_faults(&self) {
        self.resource().faults.clear();
    }

    pub(crate) fn respond(&self, request: ApiRequest) -> Result<ApiResponse, ApiError> {
        self.resource().respond(request, system_time(), random_uuid())
    }

    /// Locked for short sections without I/O. Poisoning is ignored: no update can panic halfway.
    fn resource(&self) -> MutexGuard<'_, Resource> {
        self.resource.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The system time in seconds since 1970; 0 for a clock that is set before, which makes every signed date invalid.
fn system_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
