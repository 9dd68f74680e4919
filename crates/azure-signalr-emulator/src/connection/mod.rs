//! One connection of a client, independent of its transport.
//!
//! [`run`] serves a connection in one task, over any [`Transport`]. `keep_alive` and `message_buffer` are pure state.

mod connection_handler;
mod keep_alive;
mod message_buffer;
mod transport;
mod upstream_connection;

pub(crate) use connection_handler::{ConnectionSettings, run};
pub(crate) use transport::{CloseRequest, Disconnected, Frames, Received, Transport};
pub(crate) use upstream_connection::UpstreamConnection;
