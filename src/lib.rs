//! Serverless chat: the code behind `POST /api/negotiate`, `POST /api/messages` and `POST /api/access-token`.
//!
//! ```text
//! browser ──▶ Functions host ──▶ app ──▶ negotiate ────┐
//!    ▲                            │                    ├──▶ azure_signalr::Hub ──▶ Azure SignalR Service
//!    │                            └────▶ send ─┘                                   │
//!    └──────────────────────────── WebSocket, hub `chat` ◀─────────────────────────────────┘
//! ```
//!
//! In the order of a first visit:
//! - [`config`]: the environment, read once; every problem at once, never a value in a message.
//! - [`app`]: the routes, and what the Functions host forgives on the way to them.
//! - [`auth`]: who is calling, and whether that may be believed here.
//! - `negotiate`, `send`, [`access_token`]: named like their function folders. The last is off unless it is configured.
//! - [`identities`]: who has which identity at Azure Communication Services, in a blob container or a folder.
//! - [`communication`]: the client of Azure Communication Services, with a key or with tokens of an identity.
//! - [`error`]: what a call can fail with; one `match` says status, code and sentence.
//! - [`telemetry`]: log lines, and with the feature `otel` traces and metrics; the one place that tells of requests and their failures.
//! - [`shutdown`]: one future, it is time to stop.
//! - [`exit`]: why a process ends without being asked to, and its exit code.
//!
//! Arrows go one way: `app` knows the handlers, they know `principal`, `error` and the client crates, and nobody knows `main`.
//! `config` knows none of these; `main` brings them together.

pub mod access_token;
pub mod app;
pub mod auth;
pub mod communication;
pub mod config;
pub mod error;
pub mod exit;
mod http;
pub mod identities;
mod json_body;
mod messages;
mod negotiate;
pub mod shutdown;
pub mod telemetry;
mod upstream_time;
