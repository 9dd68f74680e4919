//! What others rely on, boundary by boundary: what the Functions host sends us, what we answer the page, what the service gets
//! from us. Every test starts its own house, the real `handler` in a process of its own, on free ports, and it stops with the test.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod access_token;
mod bearer_tokens;
mod blob_storage;
mod host_requests;
mod easy_auth;
#[cfg(unix)]
mod signalr_managed_identity;
#[cfg(unix)]
mod communication_managed_identity;
mod lifecycle;
mod logs;
#[cfg(feature = "otel")]
mod otel;
mod host_files;
mod routes;
mod scripted_service;
mod settings;
mod test_app;
mod messages;
