//! Access keys: what callers sign their requests with.
//!
//! The text of a key is base64, and the signature key is what it decodes to, not the text.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::random;

/// A key that signs requests, and lets its holder do everything.
///
/// It can be used, not shown: `Debug` hides it. The way to hand it to a caller is
/// [`Emulator::connection_string`](crate::Emulator::connection_string).
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey(Vec<u8>);

impl AccessKey {
    /// Takes the text of a key as it stands in a connection string: base64 in the standard alphabet, padded.
    ///
    /// # Errors
    ///
    /// [`InvalidAccessKey`] when the text is empty or anything else.
    pub fn new(key: impl AsRef<str>) -> Result<Self, InvalidAccessKey> {
        let bytes = STANDARD.decode(key.as_ref()).map_err(|_| InvalidAccessKey(()))?;
        if bytes.is_empty() { Err(InvalidAccessKey(())) } else { Ok(Self(bytes)) }
    }

    /// Makes a key nobody else knows: 64 bytes from the operating system.
    ///
    /// # Panics
    ///
    /// When the operating system has no random bytes to give; there is no safe way on from there.
    #[must_use]
    pub fn generate() -> Self {
        Self(random::bytes::<64>().to_vec())
    }

    /// What signatures are made with.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text for a connection string.
    pub(crate) fn to_text(&self) -> String {
        STANDARD.encode(&self.0)
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

/// The text cannot be an access key. Says what a key looks like, never what the text was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAccessKey(());

impl fmt::Display for InvalidAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an access key is base64 in the standard alphabet, with its padding, and not empty")
    }
}

impl std::error::Error for InvalidAccessKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_padded_standard_base64() {
        for text in ["", "a", "YQ", "YQ==\n", " YQ==", "-_-_", "YQ==;"] {
            assert!(AccessKey::new(text).is_err(), "{text:?}");
        }
        assert_eq!(AccessKey::new("YQ==").unwrap().bytes(), b"a");
        assert_eq!(AccessKey::new("+/+/").unwrap().to_text(), "+/+/");
    }

    #[test]
    fn a_generated_key_is_long_and_never_the_same() {
        let (one, other) = (AccessKey::generate(), AccessKey::generate());
        assert_ne!(one, other);
        assert_eq!(one.bytes().len(), 64);
    }

    #[test]
    fn a_key_does_not_print() {
        let key = AccessKey::new("aHVzaA==").unwrap();
        let (debug, error) = (format!("{key:?}"), AccessKey::new("hush!").unwrap_err().to_string());
        assert!(!debug.contains("aHVzaA") && !debug.contains("104") && !error.contains("hush"));
    }
}
