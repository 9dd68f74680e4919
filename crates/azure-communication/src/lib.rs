#![doc = include_str!("../README.md")]

mod client;
mod connection_string;
mod error;
mod parameters;
mod request;
mod response;
mod signature;
mod token_source;

pub use azure_http::{RootCertificates, RootCertificatesError};
pub use client::Client;
pub use connection_string::{AccessKey, ConnectionString, ConnectionStringError, Endpoint};
pub use error::{Error, ErrorKind};
pub use parameters::{EntraToken, Grant, Lifetime, Scope, TeamsUser, UserId, ValueError};
pub use response::AccessToken;
pub use token_source::{ENTRA_SCOPE, TokenError, TokenSource};
