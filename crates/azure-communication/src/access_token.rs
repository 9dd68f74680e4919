//! What a user shows to the service's client libraries.
//!
//! It is a JSON Web Token, but what is in it is not part of any contract: when it ends is told beside it.

use jiff::Timestamp;
use serde::Deserialize;

use crate::secret::Secret;

/// An access token of a user, and when it ends. Its `Debug` form does not show the token.
#[derive(Clone, Debug)]
pub struct AccessToken {
    token: Secret,
    expires_on: Timestamp,
}

impl AccessToken {
    /// The token itself, for its user's eyes only.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.token.expose()
    }

    /// When it ends.
    #[must_use]
    pub fn expires_on(&self) -> Timestamp {
        self.expires_on
    }
}

/// As the service writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireToken {
    token: String,
    expires_on: Timestamp,
}

impl WireToken {
    /// A token, unless it is empty.
    pub(crate) fn into_token(self) -> Option<AccessToken> {
        let Self { token, expires_on } = self;
        (!token.is_empty()).then(|| AccessToken { token: Secret::new(token), expires_on })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(expires_on: &str) -> Option<AccessToken> {
        let json = serde_json::json!({"token": "hush", "expiresOn": expires_on}).to_string();
        serde_json::from_str::<WireToken>(&json).ok()?.into_token()
    }

    #[test]
    fn case_6_the_end_is_read_however_it_is_written() {
        let second = Timestamp::from_second(1_697_729_655).unwrap();
        for (text, nanoseconds) in [
            ("2023-10-19T15:34:15+00:00", 0),
            ("2023-10-19T15:34:15Z", 0),
            ("2023-10-19T15:34:15.501+00:00", 501_000_000),
            ("2023-10-19T15:34:15.501Z", 501_000_000),
            ("2023-10-19T15:34:15.5010629+00:00", 501_062_900),
            ("2023-10-19T15:34:15.5010629Z", 501_062_900),
        ] {
            let expected = second.checked_add(jiff::SignedDuration::from_nanos(nanoseconds)).unwrap();
            assert_eq!(read(text).unwrap().expires_on(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_no_end() {
        for text in ["", "soon", "2023-10-19", "2023-10-19T15:34:15", "2023-13-19T15:34:15Z", "1697729655"] {
            assert!(read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_token_does_not_print() {
        let token = read("2023-10-19T15:34:15Z").unwrap();
        assert_eq!(token.secret(), "hush");
        assert!(!format!("{token:?}").contains("hush"));
    }
}
