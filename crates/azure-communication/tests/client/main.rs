//! The client over real sockets, against a service that does as it is told.
//!
//! It shares no code with the client: what arrives is compared as text, and signatures are worked out anew from what arrived.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod failures;
mod keyless;
mod requests;
mod retries;
mod service;
