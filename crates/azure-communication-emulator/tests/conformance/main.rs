//! The service as its callers meet it: over real sockets, with requests written and signed by hand.
//!
//! The signer of these tests shares nothing with the check it is to pass, and is itself held to requests the published clients
//! have signed. Numbers in names are those of the conformance cases.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by failing; clippy knows only its inner functions"
)]

mod bearer;
mod control;
mod faults;
mod identities;
mod requests;
mod signatures;
mod signer;
mod support;
mod teams;
mod tokens;
