//! `chat doctor`, run as people run it: the real binary, in a folder with one mistake in it, before servers with one mistake.
//!
//! Each test starts from what is well and changes one thing. That what is well is found to be well is in `well`; without those
//! tests the others would show little.

// Exec bits and symbolic links are planted here.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod deployed;
mod project;
mod secrets;
mod server;
mod service;
mod settings;
mod support;
mod well;
