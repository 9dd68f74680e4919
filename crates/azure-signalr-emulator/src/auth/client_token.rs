//! Client tokens: what their claims mean, and new ones for `:generateToken`.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;
use url::Url;

use crate::access_key::AccessKey;
use crate::hub::{HubName, UserId};
use crate::protocol::handshake::TransportType;

/// Longest handshake time-out that a token may ask for, in seconds.
const MAX_HANDSHAKE_SECONDS: u64 = 30;

/// Longest time that a poll is held, a day in seconds: a longer one might not fit into a clock.
const MAX_POLL_SECONDS: u64 = 24 * 60 * 60;

/// The access token of a client, verified. No `Debug`: it holds the token.
pub(crate) struct VerifiedToken {
    text: Box<str>,
    pub(crate) identity: ClientIdentity,
    /// In seconds since 1970, tolerated clock difference included.
    valid_until: f64,
    /// The access keys when it was verified.
    keys: Arc<[AccessKey]>,
}

impl VerifiedToken {
    pub(super) fn new(token: &str, claims: &Map<String, Value>, valid_until: f64, keys: Arc<[AccessKey]>) -> Self {
        Self { text: token.into(), identity: ClientIdentity::read(claims), valid_until, keys }
    }

    /// Whether `token` is this one, and is valid without being verified again. Takes the same time for any other of its length.
    pub(super) fn is_valid(&self, token: &str, keys: &Arc<[AccessKey]>, now: u64) -> bool {
        let is_same = bool::from(self.text.as_bytes().ct_eq(token.as_bytes()));
        is_same && now as f64 <= self.valid_until && Arc::ptr_eq(&self.keys, keys)
    }

    /// The claims: the payload of the JWT, JSON in base64url.
    pub(crate) fn payload(&self) -> &str {
        self.text.split('.').nth(1).unwrap_or_default()
    }
}

/// The user of a client token, and what its claims allow. .NET writes numbers as strings, and a repeated claim as a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientIdentity {
    /// `None` for an anonymous client.
    pub(crate) user: Option<UserId>,
    /// The bits of the claim `asrs.s.htt`; all transports without it.
    transports: u64,
    /// The claim `asrs.s.cht`, if it is 1 to 30 seconds.
    pub(crate) handshake_timeout: Option<Duration>,
    /// The claim `asrs.s.ttl`: how long a poll is held.
    pub(crate) poll_timeout: Option<Duration>,
    /// The claim `asrs.s.derror`: close messages give the reason.
    pub(crate) detailed_errors: bool,
    /// The claims `asrs.s.coae` and `asrs.s.aeo`: when the connection is closed, in seconds since 1970.
    pub(crate) closes_at: Option<u64>,
}

impl ClientIdentity {
    fn read(claims: &Map<String, Value>) -> Self {
        let seconds = |name: &str| number(claims.get(name)).filter(|seconds| *seconds > 0);
        let flag = |name: &str| claims.get(name).is_some_and(is_true);
        let user = ["asrs.s.uid", "nameid", "sub"].into_iter().find_map(|name| text(claims.get(name)?));
        let handshake_timeout = seconds("asrs.s.cht").filter(|seconds| *seconds <= MAX_HANDSHAKE_SECONDS);
        Self {
            user: user.and_then(UserId::new),
            transports: number(claims.get("asrs.s.htt")).unwrap_or(u64::MAX),
            handshake_timeout: handshake_timeout.map(Duration::from_secs),
            poll_timeout: seconds("asrs.s.ttl").map(|seconds| Duration::from_secs(seconds.min(MAX_POLL_SECONDS))),
            detailed_errors: flag("asrs.s.derror"),
            closes_at: seconds("asrs.s.aeo").filter(|_| flag("asrs.s.coae")),
        }
    }

    /// Whether the token allows the transport.
    pub(crate) fn allows(&self, transport: TransportType) -> bool {
        self.transports & transport.bit() != 0
    }
}

/// .NET writes the string `True`.
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

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    #[serde(rename = "asrs.s.uid", skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    iat: u64,
    nbf: u64,
    exp: u64,
}

/// Signs a token for clients of the hub. It is valid from `now`, in seconds since 1970.
pub(crate) fn client_token(
    key: &AccessKey,
    hub: &HubName,
    user: Option<&UserId>,
    now: u64,
    lifetime: Duration,
) -> String {
    let mut aud: Url = "http://localhost/client/".parse().expect("a valid constant");
    aud.query_pairs_mut().append_pair("hub", hub.as_str());
    let user = user.map(UserId::as_str);
    let claims = Claims { aud: aud.as_str(), user, iat: now, nbf: now, exp: now + lifetime.as_secs() };
    let key = EncodingKey::from_secret(key.as_str().as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key)
        .expect("HS256 accepts any key, and claims of strings and numbers serialize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_keys::AccessKeys;
    use crate::auth::Auth;
    use serde_json::json;

    fn read(claims: Value) -> ClientIdentity {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        ClientIdentity::read(&claims)
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
    fn an_empty_user_id_is_anonymous_even_if_other_claims_name_a_user() {
        assert_eq!(user(json!({"asrs.s.uid": "", "sub": "s"})), None);
    }

    #[test]
    fn a_poll_is_held_for_a_day_at_most() {
        for (claim, seconds) in [
            (json!(1), Some(1)),
            (json!("90"), Some(90)),
            (json!(86_400), Some(86_400)),
            (json!(86_401), Some(86_400)),
            (json!(i64::MAX), Some(86_400)),
            (json!(u64::MAX), Some(86_400)),
            (json!(0), None),
            (json!(-1), None),
            (json!(1.5), None),
            (json!(f64::MAX), None),
            (json!("soon"), None),
            (json!(null), None),
        ] {
            let held = read(json!({"asrs.s.ttl": claim.clone()})).poll_timeout;
            assert_eq!(held, seconds.map(Duration::from_secs), "{claim}");
        }
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
    fn detailed_errors_need_the_value_true() {
        assert!(read(json!({"asrs.s.derror": "True"})).detailed_errors);
        assert!(read(json!({"asrs.s.derror": true})).detailed_errors);
        assert!(!read(json!({"asrs.s.derror": "False"})).detailed_errors);
        assert!(!read(json!({})).detailed_errors);
    }

    const NOW: u64 = 1_700_000_000;
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_token_is_accepted_for_its_hub_and_its_time() {
        let key = AccessKey::generate();
        let auth = Auth::new(AccessKeys::new(std::slice::from_ref(&key), None).into(), &[], Duration::ZERO);
        // A name that a query has to escape.
        let hub = HubName::of_client("a`b,[c]").unwrap();
        let ann = UserId::new("ann");
        let token = client_token(&key, &hub, ann.as_ref(), NOW, MINUTE);
        let user = |token: &str, hub: &HubName, now| {
            auth.authorize_client(Some(token), None, hub, now).map(|token| token.identity.user.clone()).ok()
        };
        assert_eq!(user(&token, &hub, NOW + 60), Some(ann));
        assert_eq!(user(&token, &hub, NOW + 61), None);
        assert_eq!(user(&token, &HubName::of_client("other").unwrap(), NOW), None);
        assert_eq!(user(&client_token(&key, &hub, None, NOW, MINUTE), &hub, NOW), Some(None));
    }
}
