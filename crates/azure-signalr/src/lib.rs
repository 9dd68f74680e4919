#![doc = include_str!("../README.md")]

mod access_token;
mod connection_string;
mod error;
mod group;
mod hub;
mod message;
mod name;
mod request_auth;
mod send_receipt;
mod transport;

pub use azure_credentials::{CredentialSource, CredentialSourceError};
pub use azure_http::{RootCertificates, RootCertificatesError};
pub use connection_string::{ConnectionString, ConnectionStringError};
pub use error::Error;
pub use group::{ContinuationToken, GroupMember, GroupPage};
pub use hub::{ClientAccess, ClientIdentity, Hub};
pub use message::{Message, Recipient};
pub use name::{ConnectionId, GroupName, HubName, NameError, UserId};
pub use send_receipt::{Attempt, SendReceipt};
