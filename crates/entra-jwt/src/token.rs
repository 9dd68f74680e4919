//! An access token: its RS256 signature in JWS compact form, its claims, the user it is for, and why it is rejected.
//!
//! See RFC 7515, RFC 7518 §3.3 and the
//! [reference of claims](https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference). The sender writes the header,
//! which therefore decides about nothing but which key of the tenant verifies the signature.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azure_http::ClockDifference;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::authority::Resource;
use crate::keys::{Keys, KeysUnavailable};

/// As much as all headers of a request commonly may have.
const MAX_TOKEN_BYTES: usize = 16_384;
const ALGORITHM: &str = "RS256";

/// How far the clocks of the issuer and this machine may differ, in seconds.
const CLOCK_LEEWAY: u64 = 60;
/// The end of the year 9999, the last that a date of RFC 3339 can have. What is later is no time, but a way to break arithmetic.
const MAX_TIME: u64 = 253_402_300_799;

/// A token whose signature has not been verified.
pub(crate) struct UnverifiedToken<'a> {
    /// The id of the key that the token claims to be signed with.
    pub(crate) kid: String,
    /// Header and payload, as they are signed.
    message: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Whether there are extensions that a verifier must understand (RFC 7515 §4.1.11). None is supported, and a list that is malformed,
    /// `null` included, makes a token invalid as well.
    #[serde(default, rename = "crit", deserialize_with = "is_present")]
    has_crit: bool,
}

fn is_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<'a> UnverifiedToken<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, InvalidToken> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(InvalidToken::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(InvalidToken::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(InvalidToken::Malformed)?;
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| InvalidToken::Malformed)?;
        if header.alg != ALGORITHM || header.has_crit {
            return Err(InvalidToken::Algorithm);
        }
        let kid = header.kid.ok_or(InvalidToken::Signature)?;
        Ok(Self { kid, message, payload, signature: decode(signature)? })
    }

    /// The payload, if one of `keys` has signed it.
    pub(crate) fn verify(&self, keys: &Keys) -> Result<Vec<u8>, InvalidToken> {
        if !keys.verify(&self.kid, self.message.as_bytes(), &self.signature) {
            return Err(InvalidToken::Signature);
        }
        decode(self.payload)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, InvalidToken> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| InvalidToken::Malformed)
}

/// The claims that are checked. Each of Entra's tokens has the first three.
#[derive(Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// This and the next two in seconds since 1970 (RFC 7519 §2, NumericDate). Entra writes whole numbers.
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
    tid: Option<String>,
    oid: Option<String>,
    /// Scopes, separated by spaces.
    scp: Option<String>,
    /// In tokens of version 2.0.
    preferred_username: Option<String>,
    /// In tokens of version 1.0. `email` is not used: not every issuer verifies it.
    upn: Option<String>,
    /// What the user is called. A value that is no text does not make the token invalid: nothing depends on it.
    #[serde(default)]
    name: Value,
}

impl Claims {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, InvalidToken> {
        serde_json::from_slice(payload).map_err(|_| InvalidToken::Malformed)
    }

    /// The user of the token, if its claims are valid at `now`. `keys` are those that verified it.
    pub(crate) fn user(
        self,
        keys: &Keys,
        tenant_id: &str,
        resource: &Resource,
        now: SystemTime,
    ) -> Result<User, Error> {
        let of_tenant = self.tid.filter(|tid| tid == tenant_id);
        let Some(tenant_id) = of_tenant.filter(|_| keys.is_issuer(&self.iss)) else {
            return Err(InvalidToken::Issuer.into());
        };
        if !resource.audiences.contains(&self.aud) {
            return Err(InvalidToken::Audience.into());
        }
        check_times(self.exp, self.nbf, self.iat, now).map_err(|invalid| match (invalid, keys.clock) {
            (InvalidToken::Expired | InvalidToken::NotYetValid, Some(clock)) => InvalidToken::Clock(clock),
            _ => invalid,
        })?;
        let object_id = self.oid.filter(|oid| !oid.is_empty()).ok_or(InvalidToken::NoUser)?;
        let scopes = self.scp.unwrap_or_default();
        if !scopes.split(' ').any(|scope| scope == resource.scope) {
            return Err(Error::InsufficientScope);
        }
        let name = self.preferred_username.or(self.upn).filter(|name| !name.is_empty());
        let display_name = self.name.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(User { tenant_id, object_id, name, display_name })
    }
}

fn check_times(exp: u64, nbf: Option<u64>, iat: Option<u64>, now: SystemTime) -> Result<(), InvalidToken> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if [Some(exp), nbf, iat].into_iter().flatten().any(|time| time > MAX_TIME) {
        return Err(InvalidToken::Malformed);
    }
    if exp + CLOCK_LEEWAY <= now {
        return Err(InvalidToken::Expired);
    }
    if nbf.is_some_and(|begins| begins > now.saturating_add(CLOCK_LEEWAY)) {
        return Err(InvalidToken::NotYetValid);
    }
    Ok(())
}

/// The user that a valid token was issued to.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    tenant_id: String,
    object_id: String,
    name: Option<String>,
    display_name: Option<String>,
}

impl User {
    /// The id of the user's tenant.
    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// The user's id in the tenant: the same for every app, stable for as long as the account exists, and never reused.
    pub fn object_id(&self) -> &str {
        &self.object_id
    }

    /// The user's name, usually in the form of an e-mail address. It can change and be reused: for display, not for decisions.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the user is called, such as `Ann Lee`. Users choose it, and two can have the same.
    pub fn display_name(&self) -> Option<&str> {
        self.display_name.as_deref()
    }
}

/// Shows nothing of the user.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User(***)")
    }
}

/// Why a token is not accepted. Nothing of the token is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The token is not valid.
    #[error("the access token cannot be used: {0}")]
    Invalid(InvalidToken),
    /// The token is valid, but lacks the scope.
    #[error("the access token lacks the scope")]
    InsufficientScope,
    /// The token cannot be verified, since there are no keys.
    #[error("the access token cannot be checked")]
    KeysUnavailable {
        /// Why there are no keys.
        #[source]
        cause: KeysUnavailable,
        /// How long it takes until they are fetched again.
        retry_after: Duration,
    },
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidToken {
    /// It is not a JSON Web Token, or lacks claims that each of Entra's tokens has.
    #[error("it is no access token of Microsoft Entra ID")]
    Malformed,
    /// Its algorithm is not RS256.
    #[error("it is not signed with RS256")]
    Algorithm,
    /// It is not signed by the tenant.
    #[error("no key of the tenant has signed it")]
    Signature,
    /// It is from another issuer, or of another tenant.
    #[error("it is of another tenant")]
    Issuer,
    /// It is for another app.
    #[error("it is for another app")]
    Audience,
    /// It has expired.
    #[error("it has ended")]
    Expired,
    /// It is not valid yet.
    #[error("it has not begun; the clock of this machine may be behind")]
    NotYetValid,
    /// It has expired or is not valid yet by a clock that differs from the issuer's, as was seen when the keys were fetched.
    #[error("it has ended or not begun, and {0}")]
    Clock(ClockDifference),
    /// It is a token of an app for itself, without a user.
    #[error("it is about no user")]
    NoUser,
}

impl From<InvalidToken> for Error {
    fn from(invalid: InvalidToken) -> Self {
        Self::Invalid(invalid)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::test_support::{CLIENT, SCOPE, Signer, TENANT, claims, hs256, unsigned};

    fn verified(token: &str) -> Result<Vec<u8>, InvalidToken> {
        let (right, _) = Signer::pair();
        UnverifiedToken::parse(token)?.verify(&right.keys())
    }

    #[test]
    fn a_token_signed_by_the_tenant_is_read() {
        let (right, _) = Signer::pair();
        assert_eq!(verified(&right.sign(&json!({"a": 1}))).unwrap(), br#"{"a":1}"#);
    }

    #[test]
    fn case_36_an_unsigned_token_and_one_with_a_foreign_signature_are_rejected() {
        let (right, wrong) = Signer::pair();
        let claims = json!({"a": 1});
        assert_eq!(verified(&wrong.sign(&claims)), Err(InvalidToken::Signature));
        assert_eq!(verified(&wrong.named("another").sign(&claims)), Err(InvalidToken::Signature));
        for alg in ["none", "None", "NONE", "HS256", "PS256", "ES256", ""] {
            assert_eq!(verified(&unsigned(alg, &right.kid, &claims)), Err(InvalidToken::Algorithm), "{alg}");
        }
        assert_eq!(verified(&unsigned("RS256", &right.kid, &claims)), Err(InvalidToken::Signature));
    }

    #[test]
    fn case_36_a_token_signed_with_the_public_key_as_secret_is_rejected() {
        let (right, _) = Signer::pair();
        for secret in right.public_forms() {
            assert_eq!(verified(&hs256(&secret, &right.kid, &json!({"a": 1}))), Err(InvalidToken::Algorithm));
        }
    }

    #[test]
    fn a_modified_token_is_rejected() {
        let (right, _) = Signer::pair();
        let token = right.sign(&json!({"a": 1}));
        let parts: Vec<_> = token.split('.').collect();
        let other = right.sign(&json!({"a": 2}));
        let others: Vec<_> = other.split('.').collect();
        for changed in [[parts[0], others[1], parts[2]], [parts[0], parts[1], others[2]]] {
            assert_eq!(verified(&changed.join(".")), Err(InvalidToken::Signature));
        }
    }

    #[test]
    fn malformed_tokens_and_critical_extensions_are_rejected() {
        let (right, _) = Signer::pair();
        let token = right.sign(&json!({"a": 1}));
        let long = format!("{token}{}", "A".repeat(MAX_TOKEN_BYTES));
        let padded = format!("{token}==");
        for wrong in ["", ".", "..", "a.b.c", "x", "ä.ä.ä", &token[1..], &long, &padded, &format!("{token}.x")] {
            assert_eq!(verified(wrong), Err(InvalidToken::Malformed), "{wrong}");
        }
        let header = |header: Value| {
            let (_, rest) = token.split_once('.').unwrap();
            verified(&format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string())))
        };
        assert_eq!(header(json!({"alg": "RS256"})), Err(InvalidToken::Signature));
        let crit = json!({"alg": "RS256", "kid": right.kid, "crit": ["b64"], "b64": false});
        assert_eq!(header(crit), Err(InvalidToken::Algorithm));
        assert_eq!(header(json!({"alg": ["RS256"]})), Err(InvalidToken::Malformed));
    }

    const NOW: u64 = 1_800_000_000;

    fn user_at(claims: &Value, now: u64) -> Result<User, Error> {
        let (right, _) = Signer::pair();
        let claims = Claims::parse(claims.to_string().as_bytes())?;
        let now = UNIX_EPOCH + Duration::from_secs(now);
        let resource = Resource::for_client_id(CLIENT, SCOPE).unwrap();
        claims.user(&right.keys(), TENANT, &resource, now)
    }

    fn user(claims: &Value) -> Result<User, Error> {
        user_at(claims, NOW)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims(NOW);
        claims[name] = value;
        claims
    }

    #[test]
    fn tokens_of_both_versions_name_the_same_user() {
        let ann = user(&claims(NOW)).unwrap();
        assert_eq!((ann.tenant_id(), ann.object_id(), ann.name()), (TENANT, "ann", Some("ann@contoso.com")));
        let mut v1 = claims(NOW);
        v1["iss"] = json!(format!("https://sts.windows.net/{TENANT}/"));
        v1["aud"] = json!(format!("api://{CLIENT}"));
        v1["upn"] = v1["preferred_username"].take();
        assert_eq!(user(&v1).unwrap(), ann);
    }

    #[test]
    fn case_36_a_token_of_another_app_issuer_or_tenant_is_rejected() {
        for aud in ["", "00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com", "api://other"] {
            assert_eq!(user(&with("aud", json!(aud))), Err(InvalidToken::Audience.into()), "{aud}");
        }
        for iss in
            ["", "https://login.microsoftonline.com/other/v2.0", "https://sts.windows.net/other/", "https://issuer"]
        {
            assert_eq!(user(&with("iss", json!(iss))), Err(InvalidToken::Issuer.into()), "{iss}");
        }
        for tid in [json!("other"), json!(""), Value::Null] {
            assert_eq!(user(&with("tid", tid)), Err(InvalidToken::Issuer.into()));
        }
    }

    #[test]
    fn case_36_a_token_is_rejected_before_and_after_its_validity_with_a_minute_of_leeway() {
        let at = |now| user_at(&claims(NOW), now).map(drop);
        assert_eq!(at(NOW - 61), Err(InvalidToken::NotYetValid.into()));
        assert_eq!((at(NOW - 60), at(NOW), at(NOW + 3_659)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(at(NOW + 3_660), Err(InvalidToken::Expired.into()));
    }

    #[test]
    fn a_token_works_with_a_clock_that_is_a_minute_off_and_beyond_that_the_error_names_the_clock() {
        let at = |offset: i64, clock| {
            let (right, _) = Signer::pair();
            let now = UNIX_EPOCH + Duration::from_secs(NOW.checked_add_signed(offset).unwrap());
            let issuer = UNIX_EPOCH + Duration::from_secs(NOW);
            let mut keys = right.keys();
            keys.clock = ClockDifference::between(now, issuer).filter(|_| clock);
            let resource = Resource::for_client_id(CLIENT, SCOPE).unwrap();
            let claims = Claims::parse(claims(NOW).to_string().as_bytes())?;
            claims.user(&keys, TENANT, &resource, now).map(drop)
        };
        for offset in [0, -10, 10, -60, 60, 600, 3_600] {
            assert_eq!((at(offset, false), at(offset, true)), (Ok(()), Ok(())), "{offset}");
        }
        for offset in [-61, -600, -86_400, 4_000] {
            let known = at(offset, true).unwrap_err().to_string();
            assert!(known.contains("the clock of this machine is"), "{known}");
        }
        assert!(at(-600, false).unwrap_err().to_string().contains("the clock of this machine may be behind"));
        assert_eq!(at(4_000, false), Err(InvalidToken::Expired.into()));
    }

    /// Claims with `name` as this JSON, which a [`Value`] may not be able to hold.
    fn with_json(name: &str, json: &str) -> Vec<u8> {
        let mut claims = claims(NOW);
        claims.as_object_mut().unwrap().remove(name);
        let claims = claims.to_string();
        format!("{},\"{name}\":{json}}}", claims.strip_suffix('}').unwrap()).into_bytes()
    }

    #[test]
    fn a_time_that_is_no_time_is_refused_in_every_claim() {
        let (right, _) = Signer::pair();
        let resource = Resource::for_client_id(CLIENT, SCOPE).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let read = |payload: &[u8]| Claims::parse(payload)?.user(&right.keys(), TENANT, &resource, now).map(drop);
        for name in ["exp", "nbf", "iat"] {
            for time in [
                "9223372036854775807",
                "9223372036854775808",
                "9223372036854775747",
                "18446744073709551615",
                "18446744073709551616",
                "253402300800",
                "1e308",
                "1e400",
                "-1",
                "-9223372036854775808",
                "1800000000.5",
                "\"1800000000\"",
                "[]",
                "{}",
                "true",
                "1800000000,\"exp\":1800000000,\"nbf\":1800000000,\"iat\":1800000000",
            ] {
                assert_eq!(read(&with_json(name, time)), Err(InvalidToken::Malformed.into()), "{name}: {time}");
            }
        }
        assert_eq!(read(&with_json("exp", "253402300799")), Ok(()));
        assert_eq!(read(&with_json("exp", "0")), Err(InvalidToken::Expired.into()));
        assert_eq!(read(&with_json("nbf", "253402300799")), Err(InvalidToken::NotYetValid.into()));
        assert_eq!(read(&with_json("iat", "253402300799")), Ok(()));
        for missing in ["nbf", "iat"] {
            assert_eq!(read(&with_json(missing, "null")), Ok(()), "{missing}");
        }
    }

    #[test]
    fn a_critical_extension_is_refused_in_every_form() {
        let (right, _) = Signer::pair();
        let token = right.sign(&json!({"a": 1}));
        let (_, rest) = token.split_once('.').unwrap();
        for crit in [
            r#"["b64"]"#, r#"["exp"]"#, r#"["http://example.com/x"]"#, r#"["alg"]"#, r#"["x", "x"]"#, "[]", r#"[""]"#,
            "[1]", "null", "true", "{}", r#""b64""#, "0",
        ] {
            let header = format!(r#"{{"alg":"RS256","kid":"{}","crit":{crit}}}"#, right.kid);
            let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(verified(&forged), Err(InvalidToken::Algorithm), "{crit}");
        }
        let twice = format!(r#"{{"alg":"RS256","kid":"{}","crit":[],"crit":[]}}"#, right.kid);
        assert_eq!(verified(&format!("{}.{rest}", URL_SAFE_NO_PAD.encode(twice))), Err(InvalidToken::Malformed));
    }

    #[test]
    fn case_36_without_the_scope_a_token_is_insufficient() {
        for scp in [json!("User.Read"), json!("access_as_user2 xaccess_as_user"), json!(""), Value::Null] {
            assert_eq!(user(&with("scp", scp)), Err(Error::InsufficientScope));
        }
        assert!(user(&with("scp", json!("User.Read access_as_user"))).is_ok());
    }

    #[test]
    fn a_token_without_a_user_or_a_required_claim_is_rejected() {
        assert_eq!(user(&with("oid", Value::Null)), Err(InvalidToken::NoUser.into()));
        for name in ["iss", "aud", "exp"] {
            assert_eq!(user(&with(name, Value::Null)), Err(InvalidToken::Malformed.into()), "{name}");
        }
        for exp in [json!("1800000000"), json!(-1), json!(1.5), json!([])] {
            assert_eq!(user(&with("exp", exp)), Err(InvalidToken::Malformed.into()));
        }
    }

    #[test]
    fn an_unverified_email_address_is_not_used_as_the_name() {
        let mut guest = with("email", json!("root@contoso.com"));
        guest["preferred_username"] = Value::Null;
        assert_eq!(user(&guest).unwrap().name(), None);
    }

    #[test]
    fn what_a_user_is_called_is_text_or_unknown() {
        assert_eq!(user(&claims(NOW)).unwrap().display_name(), None);
        assert_eq!(user(&with("name", json!("Ann Lee"))).unwrap().display_name(), Some("Ann Lee"));
        for other in [json!(""), json!(7), json!(true), json!(["Ann"]), json!({"a": 1}), Value::Null] {
            assert_eq!(user(&with("name", other)).unwrap().display_name(), None);
        }
    }

    #[test]
    fn a_user_is_not_printed() {
        assert!(!format!("{:?}", user(&claims(NOW)).unwrap()).contains("ann"));
    }
}
