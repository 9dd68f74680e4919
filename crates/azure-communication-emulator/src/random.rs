//! Randomness from the operating system: keys and ids must not be guessable. Nothing else in this crate draws any.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use uuid::{Builder, Uuid};

/// # Panics
///
/// When the operating system has none to give.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .expect("every supported system gives random bytes once it is up; without them no key or id is safe");
    bytes
}

/// A random (version 4) id, of a resource or an identity.
pub(crate) fn uuid() -> Uuid {
    Builder::from_random_bytes(bytes()).into_uuid()
}

/// A correlation vector, the value of `MS-CV`: 22 characters of base64, a dot and a number.
pub(crate) fn correlation_vector() -> String {
    STANDARD_NO_PAD.encode(bytes::<16>()) + ".0"
}
