//! What others rely on, boundary by boundary: what the Functions host sends us, what we answer the page, what the service gets
//! from us. Every test starts its own house, the real `handler` in a process of its own, on free ports, and it stops with the test.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod access_token;
mod bearer;
mod blobs;
mod host;
mod identity;
#[cfg(unix)]
mod keyless;
#[cfg(unix)]
mod keyless_tokens;
mod lifecycle;
mod logs;
#[cfg(feature = "otel")]
mod otel;
mod package;
mod routes;
mod scripted;
mod settings;
mod support;
mod upstream;
