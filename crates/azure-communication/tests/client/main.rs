//! The client over real sockets, against a service with scripted replies.
//!
//! The service shares no code with the client: requests are compared as text, and signatures are computed again from what arrived.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod clock;
mod dead_connections;
mod failures;
mod keyless;
mod requests;
mod retries;
mod test_service;
