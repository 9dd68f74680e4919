//! Tests of the emulator over real sockets, with requests written and signed by hand.
//!
//! The numbers in test names are those of the list of conformance cases for Communication Services.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test; clippy exempts only functions marked as tests")]

mod authentication;
mod control_api;
mod identities;
mod requests;
mod test_support;
mod tokens;
