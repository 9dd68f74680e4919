//! [`AccessKey`]: the key that signs access tokens, and random ids.
//!
//! The text of a key is used as UTF-8 bytes; it looks like base64 but is not decoded.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// The public key of every installation of the official emulator.
const OFFICIAL_EMULATOR_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

/// How many random bytes an id has.
const ID_BYTES: usize = 16;

/// A key that signs access tokens, for clients and for REST callers alike.
///
/// `Debug` hides the text. To pass the key to a caller, use
/// [`Emulator::connection_string`](crate::Emulator::connection_string).
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey(String);

impl AccessKey {
    /// Makes a key from the value of `AccessKey` in a connection string.
    ///
    /// # Errors
    ///
    /// [`InvalidAccessKey`] when the text is empty, contains `;`, or begins or ends with white space.
    pub fn new(key: impl Into<String>) -> Result<Self, InvalidAccessKey> {
        let key = key.into();
        if key.is_empty() || key.contains(';') || key.trim() != key {
            return Err(InvalidAccessKey(()));
        }
        Ok(Self(key))
    }

    /// Makes a random key: 32 bytes from the operating system, in base64.
    ///
    /// # Panics
    ///
    /// When the operating system has no random bytes.
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        fill_randomly(&mut bytes);
        Self(STANDARD.encode(bytes))
    }

    /// The key of the official emulator, so that settings for that one work unchanged.
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

impl FromStr for AccessKey {
    type Err = InvalidAccessKey;

    fn from_str(key: &str) -> Result<Self, InvalidAccessKey> {
        Self::new(key)
    }
}

/// The text cannot be an access key. The message never repeats it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an access key is a text without `;`, not empty, with no white space around it")]
pub struct InvalidAccessKey(());

fn fill_randomly(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("every supported system has random bytes once it is up");
}

/// A random id: 22 characters of base64url, since clients put ids into URLs without escaping.
pub(crate) fn random_id() -> String {
    let [id] = random_ids();
    id
}

/// Two random ids or more, from one call of the operating system.
pub(crate) fn random_ids<const N: usize>() -> [String; N] {
    let mut bytes = [[0; ID_BYTES]; N];
    fill_randomly(bytes.as_flattened_mut());
    bytes.map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_a_connection_string_cannot_hold_are_invalid() {
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
