//! The handshake: the first record from a client, and the first one to it.
//!
//! It is JSON whatever protocol it asks for, and its answer must be the first thing a client receives.

use std::fmt;

use serde::Deserialize;
use serde_json::json;

use super::json::record;

/// The only hub protocol there is so far.
const JSON: &str = "json";

/// 0 is what clients that negotiated without a version send; 2 differs from 1 only in messages a client must first
/// have been offered.
const NEWEST_VERSION: i64 = 2;

#[derive(Deserialize)]
struct Request {
    protocol: String,
    version: i64,
}

/// Why a handshake failed, in the words stock servers use: clients and their users search for them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandshakeError {
    /// It is no handshake.
    Malformed,
    /// The protocol is not spoken here.
    Protocol(String),
    /// The version of the protocol is not spoken here.
    Version(i64),
    /// It did not come in time.
    Late,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("An unexpected error occurred during connection handshake."),
            Self::Protocol(name) => write!(f, "The protocol '{name}' is not supported."),
            Self::Version(version) => {
                write!(f, "The server does not support version {version} of the '{JSON}' protocol.")
            }
            Self::Late => f.write_str("Handshake was canceled."),
        }
    }
}

/// Reads a handshake request, given without its separator.
pub(crate) fn read(request: &[u8]) -> Result<(), HandshakeError> {
    let request: Request = serde_json::from_slice(request).map_err(|_| HandshakeError::Malformed)?;
    if request.protocol != JSON {
        return Err(HandshakeError::Protocol(request.protocol));
    }
    if !(0..=NEWEST_VERSION).contains(&request.version) {
        return Err(HandshakeError::Version(request.version));
    }
    Ok(())
}

/// The answer to a handshake, as a frame.
pub(crate) fn answer(outcome: &Result<(), HandshakeError>) -> String {
    record(&match outcome {
        Ok(()) => json!({}),
        Err(error) => json!({"error": error.to_string()}),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_0_to_2_of_json_are_spoken() {
        for request in [r#"{"protocol":"json","version":0}"#, r#"{"version":2,"protocol":"json","new":[]}"#] {
            assert_eq!(read(request.as_bytes()), Ok(()), "{request}");
        }
        assert_eq!(answer(&Ok(())), "{}\u{1e}");
    }

    #[test]
    fn what_is_not_spoken_is_named() {
        let error = |request: &str| read(request.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            error(r#"{"protocol":"blazorpack","version":1}"#),
            "The protocol 'blazorpack' is not supported."
        );
        assert_eq!(
            error(r#"{"protocol":"json","version":99}"#),
            "The server does not support version 99 of the 'json' protocol."
        );
        assert_eq!(error("{}"), "An unexpected error occurred during connection handshake.");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail_otherwise(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let outcome = read(&bytes);
            prop_assert_eq!(answer(&outcome).matches('\u{1e}').count(), 1);
        }
    }
}
