#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! - `emulator`: [`Emulator`] and its routes; `options`: [`Options`]; `cli` and `main`: the binary.
//! - `negotiate`, `transport`: the endpoints for clients; `rest`: the REST API; `control`: the control API; `diagnostics`: its
//!   data, which is `fault_injection` and `traffic_log`.
//! - `auth`: access tokens; `access_key`: keys and random ids; `access_keys`: the keys in use, read again by `file_watcher`;
//!   `api_error`: error responses; `request`: queries, paths and the access token of a request.
//! - `service`: the shared state; `hub` (names, connections and groups) and `connection_tokens` are its parts without I/O. Its
//!   `hub_operations` distribute the `waiting_messages`, its `send_queue` brings them to the sockets.
//! - `connection`: one client from handshake to close, over any transport; `protocol`: the hub protocols.
//! - `upstream`: webhooks; `file_content`: text files; `loopback`: sockets and the check of `Host`.

mod access_key;
mod access_keys;
mod api_error;
mod auth;
#[cfg(feature = "cli")]
pub mod cli;
mod connection;
mod connection_tokens;
mod control;
mod diagnostics;
mod emulator;
mod fault_injection;
mod file_content;
mod file_watcher;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hub;
mod loopback;
mod negotiate;
mod options;
mod path_case;
mod protocol;
mod request;
mod rest;
mod service;
mod traffic_log;
mod transport;
mod upstream;

pub use access_key::{AccessKey, InvalidAccessKey};
pub use access_keys::{AccessKeyFile, InvalidAccessKeyFile};
pub use auth::EntraOptions;
pub use emulator::Emulator;
pub use loopback::LoopbackListener;
pub use options::Options;
pub use upstream::{InvalidTemplates, TemplateSource, Templates, UpstreamOptions};
