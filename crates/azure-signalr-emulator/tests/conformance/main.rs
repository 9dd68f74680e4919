//! The emulator over real sockets, with raw messages. Numbers in test names are those of the suite `azure-signalr-conformance`.
//!
//! Tokens are made by hand here, independently of the library that verifies them.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing; clippy knows only its inner functions")]

mod access_keys;
mod client_limits;
mod connections;
mod endings;
mod entra;
mod long_polling;
mod negotiate;
mod paths;
mod rest;
mod server_sent_events;
mod stateful_reconnect;
mod support;
mod tokens;
mod upstream;
