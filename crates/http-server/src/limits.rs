//! [`Limits`]: what a peer may take of the server.

use std::time::Duration;

/// The limits of a server. The defaults suit a server whose peers are on the same machine or behind a proxy.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The most connections at a time, those that have become WebSockets included. Further ones wait to be accepted. Default: 10,000.
    pub max_connections: usize,

    /// How long the head of a request may take from its first byte to its last; then the connection is closed. Default: 20 s.
    pub head_timeout: Duration,

    /// How long a service may wait for the body of a request, in all; then its body fails with [`BodyTimeout`](crate::BodyTimeout).
    /// Default: 30 s.
    pub body_timeout: Duration,

    /// How long a connection may be open without a request; then it is closed. Default: 180 s.
    ///
    /// A client that reuses a connection at the moment in which it is closed gets an error, and must not repeat what is not idempotent.
    /// So the client should be the one that closes. The Functions host does so after 60 s (`PooledConnectionIdleTimeout` of .NET's
    /// `SocketsHttpHandler`), and looks only at times: twice that, and a margin. Browsers keep connections for longer, and repeat requests.
    pub idle_timeout: Duration,

    /// How long a peer may read nothing of a response that is being sent; then the connection is closed. Default: 60 s.
    ///
    /// A response that has nothing to send is not limited.
    pub write_timeout: Duration,

    /// How much of a request body that its service has left unread is read and discarded before the response, in bytes. Default: 8 MiB.
    pub max_discarded_bytes: usize,

    /// How long the above may take. Default: 5 s.
    pub discard_timeout: Duration,

    /// How long a connection that is closed while its peer sends stays half open, so that the peer can read the response.
    /// Default: 2 s.
    pub linger_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            head_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(180),
            write_timeout: Duration::from_secs(60),
            max_discarded_bytes: 8 << 20,
            discard_timeout: Duration::from_secs(5),
            linger_timeout: Duration::from_secs(2),
        }
    }
}
