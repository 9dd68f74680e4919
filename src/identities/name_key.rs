//! The key of the names in the identity store: without it, the name of a person's file cannot be computed from their ids.
//!
//! It is kept in the store itself, in a file that the first process creates and that all others read.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The version of the file format. Files of other versions are not read.
const FORMAT_VERSION: u32 = 1;

const KEY_BYTES: usize = 32;

/// A random key of 32 bytes.
pub(super) struct NameKey([u8; KEY_BYTES]);

/// The content of the key's file.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    version: u32,
    /// In standard base64.
    key: String,
}

impl NameKey {
    pub(super) fn random() -> Self {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).expect("every supported system has random bytes once it is up");
        Self(key)
    }

    /// The key in the content of its file; `None` if it has another format.
    pub(super) fn parse(content: &[u8]) -> Option<Self> {
        let KeyFile { version: FORMAT_VERSION, key } = serde_json::from_slice(content).ok()? else { return None };
        STANDARD.decode(key).ok()?.try_into().map(Self).ok()
    }

    /// The content of the key's file.
    pub(super) fn to_file(&self) -> Vec<u8> {
        let file = KeyFile { version: FORMAT_VERSION, key: STANDARD.encode(self.0) };
        serde_json::to_vec(&file).expect("a number and a text under text keys")
    }

    /// The name for `person`: HMAC-SHA256, 64 hexadecimal digits.
    pub(super) fn name_of(&self, person: &[u8; 32]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(person);
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_hmac_of_a_person_under_the_key() {
        // Computed with `openssl dgst -sha256 -mac HMAC`.
        let name = NameKey([0x0b; 32]).name_of(&[0x01; 32]);
        assert_eq!(name, "ea3ce3e2e328be8d8ebfe7107a68cdd7adae8d6188ddb06d91b8dbb4cb9c1842");
        assert_ne!(NameKey([0x0c; 32]).name_of(&[0x01; 32]), name);
        assert_ne!(NameKey([0x0b; 32]).name_of(&[0x02; 32]), name);
    }

    #[test]
    fn a_key_is_read_as_it_was_written_and_two_are_never_the_same() {
        let key = NameKey::random();
        assert_eq!(NameKey::parse(&key.to_file()).unwrap().0, key.0);
        assert_ne!(NameKey::random().0, key.0);
    }

    #[test]
    fn a_file_of_another_format_is_no_key() {
        let of_bytes = |bytes: &[u8]| format!(r#"{{"version":1,"key":"{}"}}"#, STANDARD.encode(bytes));
        assert!(NameKey::parse(of_bytes(&[1; 32]).as_bytes()).is_some());
        for wrong in [
            String::new(),
            "{}".to_owned(),
            "[]".to_owned(),
            of_bytes(&[]),
            of_bytes(&[1; 31]),
            of_bytes(&[1; 33]),
            of_bytes(&[1; 32]).replace("1,", "2,"),
            of_bytes(&[1; 32]).replace("AQ", "%%"),
            r#"{"version":1,"key":null}"#.to_owned(),
            r#"{"version":1,"communicationUserId":"8:acs:1"}"#.to_owned(),
        ] {
            assert!(NameKey::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", NameKey([7; 32])), "NameKey(***)");
    }
}
