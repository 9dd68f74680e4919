#![doc = include_str!("../README.md")]

mod authority;
mod claims;
mod error;
mod hurry;
mod jws;
mod keys;
mod no_keys;
mod provider;
mod resource;
#[cfg(test)]
mod signing;
mod user;
mod validator;

pub use authority::{Authority, AuthorityError};
pub use error::{Error, Invalid};
pub use no_keys::{Document, NoKeys, Why};
pub use resource::{ClientIdError, Resource};
pub use user::User;
pub use validator::Validator;
