//! The access key of a resource.
//!
//! It is written as base64, and it is the decoded bytes that sign: a signer that takes the text makes signatures nobody accepts.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::connection_string_error::ConnectionStringError;

/// An access key, ready to sign. Parsed from base64 as the portal shows it: standard alphabet, with padding.
///
/// It cannot be printed and cannot be got out again.
#[derive(Clone)]
pub struct AccessKey(Hmac<Sha256>);

impl AccessKey {
    /// The HMAC-SHA256 of `text`.
    pub(crate) fn authenticate(&self, text: &str) -> [u8; 32] {
        self.0.clone().chain_update(text).finalize().into_bytes().into()
    }
}

impl FromStr for AccessKey {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ConnectionStringError::MissingAccessKey);
        }
        let key = STANDARD.decode(text).map_err(|_| ConnectionStringError::InvalidAccessKey)?;
        Ok(Self(Hmac::new_from_slice(&key).expect("HMAC takes a key of any length")))
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(***)")
    }
}
