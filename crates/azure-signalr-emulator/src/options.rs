//! What can be set, and why the defaults are what they are.
//!
//! The durations are part of the contract with clients, so a test may shorten them but nobody should lengthen them lightly.

use std::time::Duration;

use crate::{AccessKey, EntraOptions, UpstreamOptions};

/// Settings of an [`Emulator`](crate::Emulator). Start from [`Options::default`] and change what differs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Keys that tokens may be signed with; the first one stands in the connection string. Two keys let callers be
    /// moved from one to the other. When empty, one key is generated.
    pub access_keys: Vec<AccessKey>,

    /// Whether to be as easy to please as the official emulator: of a token only the signature is looked at, and an
    /// `api-version` may be anything. What works then may fail against the real service.
    pub lenient: bool,

    /// Callers that have an identity of Microsoft Entra ID instead of a key. `None`, the default, admits none.
    pub entra: Option<EntraOptions>,

    /// Webhooks that are told what clients do and say. `None`, the default, calls nobody.
    pub upstream: Option<UpstreamOptions>,

    /// Whether a client that a REST call closes may connect again by itself.
    pub reconnect_after_close: bool,

    /// Host names that requests and the audiences of tokens may carry besides the loopback names, without scheme or port, such
    /// as `host.docker.internal`.
    pub allowed_hosts: Vec<String>,

    /// Whether the control API is there, below `/emulator/`: it shows what the service sees, and makes it misbehave on
    /// demand. It answers only on this machine, and to no page of another origin; still, who does not need it leaves it off.
    pub control: bool,

    /// How far the clock of a caller may be off when `exp` and `nbf` are checked.
    pub clock_leeway: Duration,

    /// How long a negotiated id waits for its client to connect.
    pub id_lifetime: Duration,

    /// How long a connected client may take to send its handshake; the token claim `asrs.s.cht` overrides it.
    pub handshake_timeout: Duration,

    /// How long the service sends nothing before it sends a ping. Clients give up after 30 s of silence.
    pub ping_interval: Duration,

    /// How long a client that has pinged once may then be silent; also how long one write to a client may take.
    pub client_timeout: Duration,

    /// Whether clients that ask for it may lose their socket and come back without missing anything.
    pub stateful_reconnect: bool,

    /// How long such a client may stay away.
    pub resume_timeout: Duration,

    /// How long a poll of a long-polling client is held; the token claim `asrs.s.ttl` overrides it. Clients give up after 100 s.
    pub poll_timeout: Duration,

    /// How long a long-polling client may go without a poll before it counts as gone.
    pub poll_absence: Duration,

    /// How long a caller that invokes a client waits for its answer.
    pub result_timeout: Duration,

    /// How long a client may take to close its side of the socket after the service has closed its own.
    pub close_timeout: Duration,

    /// Most connections and unused ids at a time; beyond it clients are answered 429.
    pub max_connections: usize,

    /// Largest message a client may send, in bytes.
    pub max_client_message_bytes: usize,

    /// Most messages that wait for one client. A client that falls further behind is dropped, so that the others never wait.
    pub max_queued_messages: usize,

    /// Most bytes that wait for one client, with the same consequence.
    pub max_queued_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_keys: vec![AccessKey::official_emulator()],
            lenient: false,
            entra: None,
            upstream: None,
            reconnect_after_close: false,
            allowed_hosts: Vec::new(),
            control: false,
            clock_leeway: Duration::from_secs(5),
            id_lifetime: Duration::from_secs(15),
            handshake_timeout: Duration::from_secs(15),
            ping_interval: Duration::from_secs(15),
            client_timeout: Duration::from_secs(30),
            stateful_reconnect: true,
            resume_timeout: Duration::from_secs(15),
            poll_timeout: Duration::from_secs(90),
            poll_absence: Duration::from_secs(15),
            result_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            max_connections: 100_000,
            max_client_message_bytes: 1 << 20,
            max_queued_messages: 8_192,
            max_queued_bytes: 8 << 20,
        }
    }
}
