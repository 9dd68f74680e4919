#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! - `emulator`: [`Emulator`], the handle; `options`: [`Options`] and [`Clock`]
//! - `server`: [`Emulator::serve`], the check of `Host`, and the handler; `control_api`: the API for tests
//! - `resource`: the state of a resource, and the order of its checks
//! - `identity_api`: operations, API versions and scopes; `request_body`: parsing; `error`: error responses
//! - `auth`, `hmac_signature`, `access_keys`: who may call
//! - `identity_store`, `access_token`: which identities exist, and which tokens are valid; `fault`: fault injection
//!
//! Only `server` does I/O, and only `emulator` reads the system clock.

mod access_keys;
mod access_token;
mod auth;
mod control_api;
mod emulator;
mod error;
mod fault;
mod hmac_signature;
mod identity_api;
mod identity_store;
mod options;
mod request_body;
mod resource;
mod server;

pub use access_keys::{AccessKey, InvalidAccessKey, KeyType};
pub use access_token::{Introspection, TokenState};
pub use emulator::Emulator;
pub use fault::{Fault, InvalidFault, TooManyFaults};
pub use identity_api::{Operation, Scope};
pub use identity_store::IdentityRecord;
pub use options::{Clock, EntraOptions, Options, TeamsToken};
pub use resource::CallCounts;
