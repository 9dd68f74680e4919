//! The signature by which an upstream knows its service.
//!
//! It signs the connection id and nothing else, so it is the same for every event of a connection. Receivers split
//! the signatures at commas without trimming, so there is no space between them.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::AccessKey;

/// `sha256=…` with an HMAC-SHA256 in lower-case hex, one for each key, with commas between.
pub(super) fn sign(keys: &[AccessKey], connection_id: &str) -> String {
    let signatures: Vec<_> = keys.iter().map(|key| sign_with(key, connection_id)).collect();
    signatures.join(",")
}

fn sign_with(key: &AccessKey, connection_id: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_str().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(connection_id.as_bytes());
    let mut signature = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(signature, "{byte:02x}").expect("writing to a string cannot fail");
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by another implementation with the key of the official emulator.
    const VECTOR: &str = "sha256=261f7f58ff9fb9bb8be7e4951a807fe6091e5c074885bf63b865eccd28728881";

    #[test]
    fn case_74_a_published_signature_comes_out() {
        assert_eq!(sign(&[AccessKey::official_emulator()], "conn-1"), VECTOR);
    }

    #[test]
    fn each_key_signs() {
        let keys = [AccessKey::new("other").unwrap(), AccessKey::official_emulator()];
        let signatures = sign(&keys, "conn-1");
        let (first, second) = signatures.split_once(',').unwrap();
        assert_ne!(first, second);
        assert_eq!(second, VECTOR);
    }
}
