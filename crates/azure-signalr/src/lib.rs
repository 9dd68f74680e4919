#![doc = include_str!("../README.md")]

mod connection_string;
mod error;
mod http;
mod hub;
mod message;
mod name;
mod retry;
mod secret;
mod token;

pub use connection_string::{ConnectionString, ConnectionStringError};
pub use error::Error;
pub use hub::{Client, ClientAccess, Hub};
pub use message::{Message, Recipient};
pub use name::{HubName, NameError, UserId};
