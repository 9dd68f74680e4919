//! What a client token says besides that it is valid.
//!
//! The claims were written by .NET more often than not: numbers may come as strings, and a claim given twice is a list.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::hub::UserId;

/// Bit of the claim `asrs.s.htt` that allows WebSockets.
const WEB_SOCKETS: u64 = 1;

/// Who a client is, and how it may connect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientIdentity {
    /// `None` for someone anonymous.
    pub(crate) user: Option<UserId>,
    /// False when the claim `asrs.s.htt` leaves WebSockets out.
    pub(crate) web_sockets: bool,
    /// The claim `asrs.s.cht`, if it is one of the 1 to 30 seconds it may be.
    pub(crate) handshake_timeout: Option<Duration>,
}

impl ClientIdentity {
    pub(super) fn read(claims: &Map<String, Value>) -> Self {
        let user = ["asrs.s.uid", "nameid", "sub"].into_iter().find_map(|name| text(claims.get(name)?));
        let handshake_timeout = number(claims.get("asrs.s.cht")).filter(|seconds| (1..=30).contains(seconds));
        Self {
            user: user.and_then(UserId::new),
            web_sockets: number(claims.get("asrs.s.htt")).is_none_or(|mask| mask & WEB_SOCKETS != 0),
            handshake_timeout: handshake_timeout.map(Duration::from_secs),
        }
    }
}

fn text(claim: &Value) -> Option<&str> {
    match claim {
        Value::Array(claims) => claims.first()?.as_str(),
        claim => claim.as_str(),
    }
}

fn number(claim: Option<&Value>) -> Option<u64> {
    let claim = claim?;
    claim.as_u64().or_else(|| text(claim)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(claims: Value) -> ClientIdentity {
        ClientIdentity::read(claims.as_object().unwrap())
    }

    fn user(claims: Value) -> Option<String> {
        read(claims).user.map(|user| user.as_str().to_owned())
    }

    #[test]
    fn the_user_is_the_first_claim_that_names_one() {
        assert_eq!(user(json!({"sub": "s", "nameid": "n", "asrs.s.uid": "u"})).unwrap(), "u");
        assert_eq!(user(json!({"sub": "s", "nameid": "n"})).unwrap(), "n");
        assert_eq!(user(json!({"sub": ["first", "second"]})).unwrap(), "first");
        assert_eq!(user(json!({})), None);
    }

    #[test]
    fn an_empty_user_id_is_nobody_whatever_else_is_claimed() {
        assert_eq!(user(json!({"asrs.s.uid": "", "sub": "s"})), None);
    }

    #[test]
    fn numbers_may_come_as_strings() {
        assert!(!read(json!({"asrs.s.htt": "6"})).web_sockets);
        assert!(read(json!({"asrs.s.htt": 1})).web_sockets);
        assert!(read(json!({})).web_sockets);
        assert_eq!(read(json!({"asrs.s.cht": "2"})).handshake_timeout, Some(Duration::from_secs(2)));
        assert_eq!(read(json!({"asrs.s.cht": 31})).handshake_timeout, None);
    }
}
