//! [`Options`] of the emulator.

use std::time::Duration;

use crate::access_key::AccessKey;
use crate::access_keys::AccessKeyFile;
use crate::auth::EntraOptions;
use crate::upstream::UpstreamOptions;

/// Settings of an [`Emulator`](crate::Emulator). Start from [`Options::default`] and change what differs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Keys that tokens may be signed with; the connection string has the first. When empty, one key is generated.
    pub access_keys: Vec<AccessKey>,

    /// A file with the keys, instead of `access_keys`. It is read again when it changes, while the service is served.
    /// Default: `None`.
    pub access_keys_file: Option<AccessKeyFile>,

    /// Whether to check as little as the official emulator: only the signature of a token, and no `api-version`. Code that passes
    /// may then fail against the real service. Default: false.
    pub lenient: bool,

    /// Callers with an identity of Microsoft Entra ID instead of a key. Default: `None`, there are none.
    pub entra: Option<EntraOptions>,

    /// Webhooks that receive events and invocations of clients. Default: `None`.
    pub upstream: Option<UpstreamOptions>,

    /// Whether clients that a REST call closes are told to reconnect. Default: false.
    pub reconnect_after_close: bool,

    /// Host names that requests and the audiences of tokens may carry besides the loopback names, without scheme or port, such
    /// as `host.docker.internal`.
    pub allowed_hosts: Vec<String>,

    /// Whether the control API is served below `/emulator/`: it shows the state of the service and injects faults. It answers only
    /// to callers on this machine, and to no page of another origin. Default: false.
    pub control: bool,

    /// Tolerated clock difference when `exp` and `nbf` of tokens are checked. Default: 5 s.
    pub clock_leeway: Duration,

    /// How long a negotiated connection token is valid. Default: 15 s.
    pub connection_token_lifetime: Duration,

    /// How long a client may take to send its handshake; the token claim `asrs.s.cht` overrides it. Default: 15 s.
    pub handshake_timeout: Duration,

    /// How long the service sends nothing before it sends a ping (`KeepAliveInterval`). Clients give up after 30 s of silence.
    /// Default: 15 s.
    pub ping_interval: Duration,

    /// How long a client that has pinged once may be silent (`ClientTimeoutInterval`), and how long it may read less than 240
    /// bytes per second of what is sent to it. Default: 30 s.
    pub client_timeout: Duration,

    /// Whether clients may use stateful reconnect. Default: true.
    pub stateful_reconnect: bool,

    /// How long a client with stateful reconnect may take to reconnect. Default: 15 s.
    pub resume_timeout: Duration,

    /// How long a long-polling request is held; the token claim `asrs.s.ttl` overrides it. Clients give up after 100 s.
    /// Default: 90 s.
    pub poll_timeout: Duration,

    /// How long a long-polling client may have no request open before its connection is closed. Default: 15 s.
    pub disconnect_timeout: Duration,

    /// How long `:invoke` waits for the result of the client. Default: 30 s.
    pub result_timeout: Duration,

    /// How long a client may take to read the Close message and to close its side of a socket. Default: 5 s.
    pub close_timeout: Duration,

    /// Most connections at a time; beyond it clients are answered 429. Connection tokens that are not used yet count apart, 100,000
    /// at most, of which the oldest is removed for a new one. Default: 100,000.
    pub max_connections: usize,

    /// Largest message a client may send, in bytes. Default: 1 MiB.
    pub max_client_message_bytes: usize,

    /// Most messages queued for a client. A client that falls further behind is disconnected, so that the others never wait.
    /// Default: 8,192. What is being written, and what stateful reconnect keeps until it is acknowledged, do not count.
    pub max_queued_messages: usize,

    /// Most bytes queued for a client, with the same consequence. Default: 8 MiB.
    pub max_queued_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_keys: vec![AccessKey::official_emulator()],
            access_keys_file: None,
            lenient: false,
            entra: None,
            upstream: None,
            reconnect_after_close: false,
            allowed_hosts: Vec::new(),
            control: false,
            clock_leeway: Duration::from_secs(5),
            connection_token_lifetime: Duration::from_secs(15),
            handshake_timeout: Duration::from_secs(15),
            ping_interval: Duration::from_secs(15),
            client_timeout: Duration::from_secs(30),
            stateful_reconnect: true,
            resume_timeout: Duration::from_secs(15),
            poll_timeout: Duration::from_secs(90),
            disconnect_timeout: Duration::from_secs(15),
            result_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            max_connections: 100_000,
            max_client_message_bytes: 1 << 20,
            max_queued_messages: 8_192,
            max_queued_bytes: 8 << 20,
        }
    }
}
