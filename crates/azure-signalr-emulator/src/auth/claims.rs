//! What a client token says besides that it is valid.
//!
//! The claims were written by .NET more often than not: numbers may come as strings, and a claim given twice is a list.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::hub::UserId;
use crate::protocol::handshake::TransportType;

/// Most seconds a token may give a client for its handshake.
const LONGEST_HANDSHAKE: u64 = 30;

/// Who a client is, and how it may connect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientIdentity {
    /// `None` for someone anonymous.
    pub(crate) user: Option<UserId>,
    /// The bits of the claim `asrs.s.htt`; without it all transports.
    transports: u64,
    /// The claim `asrs.s.cht`, if it is one of the 1 to 30 seconds it may be.
    pub(crate) handshake_timeout: Option<Duration>,
    /// The claim `asrs.s.ttl`: how long a poll may wait.
    pub(crate) poll_timeout: Option<Duration>,
    /// The claim `asrs.s.derror`: the client may see why it was closed.
    pub(crate) detailed_errors: bool,
    /// The claims `asrs.s.coae` and `asrs.s.aeo`: when the connection ends, in seconds since 1970.
    pub(crate) closes_at: Option<u64>,
    /// All of them, for whoever is told of the client.
    pub(crate) claims: Map<String, Value>,
}

impl ClientIdentity {
    pub(super) fn read(claims: Map<String, Value>) -> Self {
        let seconds = |name: &str| number(claims.get(name)).filter(|seconds| *seconds > 0);
        let flag = |name: &str| claims.get(name).is_some_and(is_true);
        let user = ["asrs.s.uid", "nameid", "sub"].into_iter().find_map(|name| text(claims.get(name)?));
        let handshake_timeout = seconds("asrs.s.cht").filter(|seconds| *seconds <= LONGEST_HANDSHAKE);
        Self {
            user: user.and_then(UserId::new),
            transports: number(claims.get("asrs.s.htt")).unwrap_or(u64::MAX),
            handshake_timeout: handshake_timeout.map(Duration::from_secs),
            poll_timeout: seconds("asrs.s.ttl").map(Duration::from_secs),
            detailed_errors: flag("asrs.s.derror"),
            closes_at: seconds("asrs.s.aeo").filter(|_| flag("asrs.s.coae")),
            claims,
        }
    }

    /// Whether the token lets the client use the transport.
    pub(crate) fn allows(&self, transport: TransportType) -> bool {
        self.transports & transport.bit() != 0
    }
}

/// .NET writes `True`.
fn is_true(claim: &Value) -> bool {
    claim.as_bool().unwrap_or_else(|| text(claim).is_some_and(|text| text.eq_ignore_ascii_case("true")))
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
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        ClientIdentity::read(claims)
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
        assert!(!read(json!({"asrs.s.htt": "6"})).allows(TransportType::WebSockets));
        assert!(read(json!({"asrs.s.htt": "6"})).allows(TransportType::LongPolling));
        assert!(read(json!({"asrs.s.htt": 1})).allows(TransportType::WebSockets));
        assert!(TransportType::ALL.into_iter().all(|transport| read(json!({})).allows(transport)));
        assert_eq!(read(json!({"asrs.s.cht": "2"})).handshake_timeout, Some(Duration::from_secs(2)));
        assert_eq!(read(json!({"asrs.s.cht": 31})).handshake_timeout, None);
    }

    #[test]
    fn a_connection_ends_with_its_token_only_if_the_token_says_so() {
        assert_eq!(read(json!({"asrs.s.aeo": "1700000000"})).closes_at, None);
        let both = json!({"asrs.s.aeo": "1700000000", "asrs.s.coae": "true"});
        assert_eq!(read(both).closes_at, Some(1_700_000_000));
    }

    #[test]
    fn details_of_errors_are_for_those_whose_token_says_true() {
        assert!(read(json!({"asrs.s.derror": "True"})).detailed_errors);
        assert!(read(json!({"asrs.s.derror": true})).detailed_errors);
        assert!(!read(json!({"asrs.s.derror": "False"})).detailed_errors);
        assert!(!read(json!({})).detailed_errors);
    }
}
