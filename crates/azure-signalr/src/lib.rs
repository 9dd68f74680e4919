#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(feature = "entra"),
    allow(dead_code, reason = "one seam, `entra`, is worth more than the few words behind it")
)]

mod connection_string;
mod connection_string_error;
#[cfg_attr(not(feature = "entra"), path = "no_entra.rs")]
mod entra;
mod error;
mod http;
mod hub;
mod message;
mod name;
mod rest;
mod retry;
mod secret;
mod sent;
mod token;

pub use azure_credentials::{Identity, IdentityError};
pub use azure_http::{RootCertificates, RootCertificatesError};
pub use connection_string::ConnectionString;
pub use connection_string_error::ConnectionStringError;
pub use error::Error;
pub use hub::{Client, ClientAccess, Hub};
pub use message::{Message, Recipient};
pub use name::{HubName, NameError, UserId};
pub use sent::{Sent, Try};
