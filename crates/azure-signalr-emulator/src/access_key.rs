//! Access keys: what callers sign their tokens with.
//!
//! A key looks like base64 and must not be decoded: the signature key is the text itself, as UTF-8 bytes.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::random;

/// The key every installation of the official emulator shares. Anyone knows it, so it guards nothing.
const OFFICIAL_EMULATOR_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

/// A key that signs access tokens, for clients and for REST callers alike.
///
/// It can be used, not shown: `Debug` hides the text. The way to hand it to a caller is
/// [`Emulator::connection_string`](crate::Emulator::connection_string).
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey(String);

impl AccessKey {
    /// Takes the text of a key as it stands in a connection string.
    ///
    /// # Errors
    ///
    /// [`InvalidAccessKey`] when a connection string could not carry the text: it is empty, contains `;`, or begins
    /// or ends with white space.
    pub fn new(key: impl Into<String>) -> Result<Self, InvalidAccessKey> {
        let key = key.into();
        if key.is_empty() || key.contains(';') || key.trim() != key {
            return Err(InvalidAccessKey(()));
        }
        Ok(Self(key))
    }

    /// Makes a key nobody else knows: 32 bytes from the operating system, in base64.
    ///
    /// # Panics
    ///
    /// When the operating system has no random bytes to give; there is no safe way on from there.
    #[must_use]
    pub fn generate() -> Self {
        Self(STANDARD.encode(random::bytes::<32>()))
    }

    /// The key of the official emulator, so that settings written for that one work unchanged.
    #[must_use]
    pub fn official_emulator() -> Self {
        Self(OFFICIAL_EMULATOR_KEY.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The key of the official emulator.
impl Default for AccessKey {
    fn default() -> Self {
        Self::official_emulator()
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(***)")
    }
}

impl TryFrom<String> for AccessKey {
    type Error = InvalidAccessKey;

    fn try_from(key: String) -> Result<Self, InvalidAccessKey> {
        Self::new(key)
    }
}

impl FromStr for AccessKey {
    type Err = InvalidAccessKey;

    fn from_str(key: &str) -> Result<Self, InvalidAccessKey> {
        Self::new(key)
    }
}

/// The text cannot be an access key. Says what a key looks like, never what the text was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAccessKey(());

impl fmt::Display for InvalidAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an access key is a text without `;`, not empty, with no white space around it")
    }
}

impl std::error::Error for InvalidAccessKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_string_cannot_carry_is_no_key() {
        for text in ["", " ", "a;b", " k", "k\n"] {
            assert!(AccessKey::new(text).is_err(), "{text:?}");
        }
        assert!(AccessKey::new("a==").is_ok());
    }

    #[test]
    fn a_generated_key_is_long_and_never_the_same() {
        let (one, other) = (AccessKey::generate(), AccessKey::generate());
        assert_ne!(one, other);
        assert_eq!(STANDARD.decode(one.as_str()).unwrap().len(), 32);
    }

    #[test]
    fn a_key_does_not_print() {
        let key = AccessKey::new("hush").unwrap();
        assert!(!format!("{key:?}").contains("hush"));
    }
}
