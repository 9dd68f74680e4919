#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(feature = "tokens"),
    allow(dead_code, reason = "a description is read by what gets the tokens, and by nobody else")
)]

#[cfg(feature = "tokens")]
mod credential;
mod identity;
mod identity_error;
#[cfg(feature = "keeper")]
mod keeper;
#[cfg(feature = "keeper")]
mod kept;
mod no_token;
mod secret;
#[cfg(feature = "tokens")]
mod tokens;
#[cfg(feature = "tokens")]
mod transport;

pub use identity::Identity;
pub use identity_error::IdentityError;
#[cfg(feature = "keeper")]
pub use keeper::{Fetch, Keeper, Missing};
#[cfg(feature = "keeper")]
pub use kept::{Freshness, Kept};
pub use no_token::{NoToken, Why};
#[cfg(feature = "tokens")]
pub use tokens::{Token, Tokens};
