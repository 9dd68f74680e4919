//! One connection of a client, independent of its transport.
//!
//! [`run`] serves a connection in one task, over any [`Transport`]. `keep_alive` and `received_sequence` are pure state.

mod close_reason;
mod connection_task;
mod keep_alive;
mod received_sequence;
mod transport;
mod upstream_connection;

pub(crate) use close_reason::close_code;
pub(crate) use connection_task::{ConnectionSettings, run};
pub(crate) use transport::{CloseRequest, Received, SendError, Transport};
pub(crate) use upstream_connection::UpstreamConnection;
