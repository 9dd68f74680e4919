//! The control API over real sockets: what goes wrong on demand, as clients and callers meet it, and what is shown.
//!
//! A fault is proved by what comes after it, too: the service must behave again.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by failing; clippy knows only its inner functions"
)]

mod connections;
mod gate;
mod messages;
mod panel;
mod requests;
mod sights;
#[path = "../conformance/support.rs"]
#[allow(dead_code, reason = "the conformance suite needs more of it")]
mod support;
