//! Randomness from the operating system: keys and ids must not be guessable.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// # Panics
///
/// When the operating system has none to give.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .expect("every supported system gives random bytes once it is up; without them no key or id is safe");
    bytes
}

/// 22 characters of base64url. Clients put ids into URLs without escaping them.
pub(crate) fn id() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<16>())
}
