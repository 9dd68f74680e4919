#![doc = include_str!("../README.md")]

mod access_key;
mod access_token;
mod answer;
mod authority;
mod call;
mod client;
mod connection_string;
mod connection_string_error;
mod endpoint;
mod entra;
mod error;
mod grant;
mod http;
mod retry;
mod secret;
mod service_error;
mod signature;
mod teams_user;
mod user_id;
mod value_error;

pub use access_key::AccessKey;
pub use access_token::AccessToken;
pub use azure_http::{RootCertificates, RootCertificatesError};
pub use client::Client;
pub use connection_string::ConnectionString;
pub use connection_string_error::ConnectionStringError;
pub use endpoint::Endpoint;
pub use entra::{ENTRA_SCOPE, EntraToken, NoToken, TokenSource};
pub use error::{Error, ErrorKind};
pub use grant::{Grant, Lifetime, Scope};
pub use teams_user::TeamsUser;
pub use user_id::UserId;
pub use value_error::ValueError;
