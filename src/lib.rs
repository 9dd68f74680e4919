//! The Azure Functions custom handler of Serverless chat: its HTTP API below `/api/`.
//!
//! ```text
//! browser ──▶ Functions host ──▶ app ──▶ negotiate ────┐
//!    ▲                            │                    ├──▶ azure_signalr::Hub ──▶ Azure SignalR Service
//!    │                            └────▶ messages ─────┘                                   │
//!    └──────────────────────────── WebSocket, hub `chat` ◀─────────────────────────────────┘
//! ```
//!
//! In the order of one request:
//! - [`config`]: the settings, read once at start; every problem is reported at once.
//! - [`app`]: the routes and the middleware around them.
//! - `operations`: the paths of the routes, in any letter case, and what of them is logged.
//! - [`auth`]: who is calling.
//! - `negotiate`, `messages`, `history_api`, [`rooms`], [`access_token`], `me`, `features`: the functions.
//! - [`communication`], [`identities`]: the client of Azure Communication Services, and the store of the identities that people have there.
//! - [`history`]: the log of messages.
//! - `blob_container`: how both stores call their containers.
//! - [`rate_limiter`], `caller_limits`: how many requests a person may make.
//! - `text`: line breaks, and which characters are visible.
//! - [`error`]: failures as status, code and sentence.
//! - [`telemetry`]: the access log, and OpenTelemetry with the feature `otel`.
//! - [`shutdown`], [`exit`]: reasons to stop, and exit codes.
//! - [`memory`]: freed memory goes back to the operating system.
//!
//! `app` uses the function modules, these use `auth`, `error` and the client crates; nothing uses `main`.

pub mod access_token;
pub mod app;
pub mod auth;
mod blob_container;
mod call_limit;
mod caller_limits;
pub mod communication;
pub mod config;
pub mod error;
pub mod exit;
mod features;
pub mod history;
mod history_api;
pub mod identities;
mod json_body;
mod me;
pub mod memory;
mod messages;
mod negotiate;
mod operations;
pub mod rate_limiter;
pub mod rooms;
pub mod shutdown;
pub mod telemetry;
mod text;
mod upstream_time;
