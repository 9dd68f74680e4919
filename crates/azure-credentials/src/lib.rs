#![doc = include_str!("../README.md")]

mod credential_source;
mod expiring;
mod refreshing_cache;
mod token_cache;
mod token_error;
mod transport;

pub use credential_source::{CredentialSource, CredentialSourceError};
pub use expiring::{Expiring, Freshness};
pub use refreshing_cache::{Fetch, RefreshingCache, Unavailable};
pub use token_cache::{Token, TokenCache};
pub use token_error::TokenError;
pub use transport::transport;
