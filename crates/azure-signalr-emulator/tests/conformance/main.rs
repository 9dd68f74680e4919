//! The service as its clients and callers meet it: over real sockets, with raw messages.
//!
//! Tokens are made here by hand, not by the library the emulator checks them with, so that one cannot excuse the
//! other. Numbers in names are those of the conformance cases.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by failing; clippy knows only its inner functions"
)]

mod connections;
mod entra;
mod events;
mod fan_out;
mod negotiate;
mod polls;
mod rest;
mod stateful;
mod support;
mod tokens;
mod upstream;
