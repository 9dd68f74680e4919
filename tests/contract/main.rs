//! Tests of the handler's contracts with the Functions host, the page and the Azure services.
//!
//! Each test starts the real `handler` as a process on a free port; it stops with the test.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod access_token;
mod bearer_tokens;
mod blob_storage;
#[cfg(unix)]
mod communication_managed_identity;
mod easy_auth;
mod features;
mod history_app;
mod history_azurite;
mod history_delete;
mod history_faults;
mod history_processes;
mod history_publish;
mod history_read;
mod host_files;
mod host_requests;
mod log_output;
mod logs;
#[cfg(unix)]
mod managed_identity_endpoint;
mod me;
mod messages;
#[cfg(feature = "otel")]
mod otel;
mod process_lifecycle;
mod rate_limits;
mod room_service;
mod rooms;
mod scripted_service;
mod settings;
#[cfg(unix)]
mod signalr_managed_identity;
mod slow_callers;
mod test_app;
mod unread_bodies;
