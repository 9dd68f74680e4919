//! The hub protocol: bytes ⇄ messages, as pure functions. Nothing here knows of sockets, hubs or time.

pub(crate) mod handshake;
pub(crate) mod json;
pub(crate) mod records;
