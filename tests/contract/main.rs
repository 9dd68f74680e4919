//! What others rely on, boundary by boundary: what the Functions host sends us, what we answer the page, what the service gets
//! from us. Every test starts its own house, the real `handler` in a process of its own, on free ports, and it stops with the test.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod access_token;
mod bearer;
mod blobs;
#[cfg(feature = "local")]
mod chat;
#[cfg(feature = "local")]
mod client;
#[cfg(feature = "local")]
mod easy_auth;
#[cfg(feature = "local")]
mod emulator;
mod entra;
mod host;
#[cfg(not(feature = "local"))]
mod host_only;
mod identity;
#[cfg(all(feature = "local", unix))]
mod keyless;
#[cfg(all(feature = "local", unix))]
mod keyless_tokens;
mod lifecycle;
#[cfg(feature = "local")]
mod local;
#[cfg(feature = "local")]
mod local_tokens;
mod logs;
#[cfg(feature = "otel")]
mod otel;
#[cfg(all(feature = "local", unix))]
#[path = "../over_tls/mod.rs"]
mod over_tls;
mod package;
mod routes;
mod scripted;
mod settings;
#[cfg(feature = "local")]
mod stack;
mod support;
mod upstream;
