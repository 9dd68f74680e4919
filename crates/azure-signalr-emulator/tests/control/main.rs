//! Tests of the control API over real sockets: what clients and REST callers see of faults and actions, and what is listed.
//!
//! Each test of a fault also checks that the service works again afterwards.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test; clippy exempts only functions marked as tests")]

mod connections;
mod control_client;
mod faults;
mod handshakes;
mod inspection;
#[path = "../conformance/support.rs"]
#[allow(dead_code, reason = "the conformance suite uses the rest")]
mod support;
