#![doc = include_str!("../README.md")]
//!
//! # The map
//!
//! - [`Emulator`] is the whole service as a router; [`Options`] what can be set, [`AccessKey`] who may sign tokens.
//! - `negotiate`, `transport` and `rest` are its faces, to clients and to callers.
//! - `auth` decides who may come in, `entra` about those without a key; `refusal` words every "no" and logs it.
//! - `service` holds the state: `hub` (who is connected, and in which groups) and `tickets` (who may connect), both pure.
//! - `control` shows what the service sees, and makes it misbehave: `faults` are the rules of what goes wrong next,
//!   `journal` is what was seen, both pure.
//! - `connection` is one client from its first byte to its last; each `transport` is only the wire that carries it.
//! - `protocol` turns bytes into messages and back; `hub_name`, `path`, `query`, `bearer` read what requests carry.
//! - `upstream` posts what clients do and say to webhooks, as [`UpstreamOptions`] has it.
//!
//! The faces know `service`, `auth`, `connection` and `protocol`; `hub`, `tickets`, `protocol`, `faults` and `journal` know nobody.

mod access_key;
mod auth;
mod bearer;
#[cfg(feature = "cli")]
pub mod cli;
mod connection;
mod control;
mod emulator;
mod faults;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hub;
mod hub_name;
mod journal;
mod loopback;
mod negotiate;
mod options;
mod path;
mod protocol;
mod query;
mod random;
mod refusal;
mod rest;
mod service;
mod tickets;
mod transport;
mod upstream;

pub use access_key::{AccessKey, InvalidAccessKey};
pub use auth::EntraOptions;
pub use emulator::Emulator;
pub use loopback::LoopbackListener;
pub use options::Options;
pub use upstream::{InvalidTemplates, TemplateSource, Templates, UpstreamOptions};
