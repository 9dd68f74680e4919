//! The access keys of a resource: `AccessKey` signs requests, `AccessKeys` holds the primary and the secondary key.
//!
//! The text of a key is base64; requests are signed with the bytes it decodes to.
//!
//! Regenerating a key invalidates the access tokens issued to callers that used it. Every key that was ever in use
//! therefore has a generation, and every token carries the generation it was issued under.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A key that signs requests and allows every operation.
///
/// `Debug` hides it. [`Emulator::connection_string`](crate::Emulator::connection_string) hands it to a client.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey(Vec<u8>);

impl AccessKey {
    /// Parses the text of a key as it stands in a connection string: base64, standard alphabet, padded.
    ///
    /// # Errors
    ///
    /// [`InvalidAccessKey`] when the text is empty or not such base64.
    pub fn new(key: impl AsRef<str>) -> Result<Self, InvalidAccessKey> {
        let bytes = STANDARD.decode(key.as_ref()).map_err(|_| InvalidAccessKey(()))?;
        if bytes.is_empty() { Err(InvalidAccessKey(())) } else { Ok(Self(bytes)) }
    }

    /// Generates a key of 64 random bytes.
    ///
    /// # Panics
    ///
    /// When the operating system provides no random bytes.
    pub fn generate() -> Self {
        Self(random_bytes::<64>().to_vec())
    }

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

/// The error of [`AccessKey::new`]. Its message does not contain the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an access key is base64 in the standard alphabet, with its padding, and not empty")]
pub struct InvalidAccessKey(());

/// Random bytes from the operating system, the only source of randomness in this crate.
///
/// # Panics
///
/// When the operating system provides none: no key or id would be safe.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("every supported system provides random bytes once it is up");
    bytes
}

/// Selects one of the two access keys of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyType {
    /// The primary key.
    Primary,
    /// The secondary key.
    Secondary,
}

/// The key generation a token was issued under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyGeneration(u64);

impl KeyGeneration {
    /// For callers with a bearer token: they use no key, so regenerating a key does not affect their tokens.
    pub(crate) const NO_KEY: Self = Self(0);

    /// The JWT header `kid` of tokens of this generation.
    pub(crate) fn key_id(self) -> String {
        ["local-", &self.0.to_string()].concat()
    }

    pub(crate) fn from_key_id(id: &str) -> Option<Self> {
        id.strip_prefix("local-")?.parse().ok().map(Self)
    }
}

/// The two current keys of a resource.
pub(crate) struct AccessKeys {
    current: [(KeyGeneration, AccessKey); 2],
    newest: u64,
}

impl AccessKeys {
    pub(crate) fn new([primary, secondary]: [AccessKey; 2]) -> Self {
        Self { current: [(KeyGeneration(1), primary), (KeyGeneration(2), secondary)], newest: 2 }
    }

    pub(crate) fn get(&self, key_type: KeyType) -> &AccessKey {
        &self.current[key_type as usize].1
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (KeyGeneration, &AccessKey)> {
        self.current.iter().map(|(generation, key)| (*generation, key))
    }

    pub(crate) fn replace(&mut self, key_type: KeyType, key: AccessKey) {
        self.newest += 1;
        self.current[key_type as usize] = (KeyGeneration(self.newest), key);
    }

    /// Whether no key regeneration has invalidated tokens of the generation.
    pub(crate) fn is_current(&self, generation: KeyGeneration) -> bool {
        generation == KeyGeneration::NO_KEY || self.iter().any(|(current, _)| current == generation)
    }
}

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
    fn a_generated_key_is_long_and_unique() {
        let (one, other) = (AccessKey::generate(), AccessKey::generate());
        assert_ne!(one, other);
        assert_eq!(one.bytes().len(), 64);
    }

    #[test]
    fn debug_and_errors_hide_the_key() {
        let key = AccessKey::new("aHVzaA==").unwrap();
        let (debug, error) = (format!("{key:?}"), AccessKey::new("hush!").unwrap_err().to_string());
        assert!(!debug.contains("aHVzaA") && !debug.contains("104") && !error.contains("hush"));
    }

    #[test]
    fn a_regenerated_key_has_a_new_generation() {
        let [old, kept, new] = ["YQ==", "Yg==", "Yw=="].map(|key| AccessKey::new(key).unwrap());
        let mut keys = AccessKeys::new([old.clone(), kept.clone()]);
        keys.replace(KeyType::Primary, new.clone());
        assert!(keys.get(KeyType::Primary) == &new && keys.get(KeyType::Secondary) == &kept);
        let current = |number| keys.is_current(KeyGeneration(number));
        assert_eq!([0, 1, 2, 3, 4].map(current), [true, false, true, true, false]);
        keys.replace(KeyType::Primary, old);
        assert!(!keys.is_current(KeyGeneration(1)), "an old key that returns does not revive its tokens");
    }

    #[test]
    fn a_key_id_names_its_generation() {
        assert_eq!(KeyGeneration(12).key_id(), "local-12");
        assert_eq!(KeyGeneration::from_key_id("local-12"), Some(KeyGeneration(12)));
        assert_eq!(KeyGeneration::from_key_id("elsewhere-12"), None);
    }
}
