#![doc = include_str!("../README.md")]

mod authority;
mod keys;
#[cfg(test)]
mod test_support;
mod token;
mod validator;

pub use authority::{Authority, AuthorityError, ClientIdError, Resource};
pub use keys::KeysUnavailable;
pub use token::{Error, InvalidToken, User};
pub use validator::Validator;
