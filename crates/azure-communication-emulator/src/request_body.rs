//! The bodies of requests: what a caller wants a token to be.
//!
//! Absent and `null` mean the same, and fields nobody knows are ignored, as the service does; a number in quotes is a text.

use axum::body::Body;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};

use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::version::ApiVersion;

/// Largest body, in bytes. The longest a client has reason to send is an Entra token of a few thousand.
const LARGEST_BODY: usize = 64 << 10;

/// How much of a body that is too large is still read, in bytes. A caller that is cut off while it sends sees a broken
/// connection instead of the answer.
const READ_TO_ANSWER: usize = 4 << 20;

/// How long a token may live, in minutes, and how long it does when nothing is said.
const MINUTES: std::ops::RangeInclusive<i64> = 60..=1440;
const DEFAULT_MINUTES: i64 = *MINUTES.end();

/// Reads a whole body, in chunks or not.
pub(crate) async fn read(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let (mut whole, mut read) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::malformed("The body broke off."))?;
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        if read <= LARGEST_BODY {
            whole.extend_from_slice(&data);
        } else if read > READ_TO_ANSWER {
            break;
        }
    }
    if read <= LARGEST_BODY { Ok(whole) } else { Err(Refusal::too_large(LARGEST_BODY)) }
}

/// A token as it is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TokenRequest {
    /// At least one.
    pub(crate) scopes: Vec<Scope>,
    /// Seconds.
    pub(crate) lifetime: u64,
}

/// The body of create, all of which is optional: a token is wanted if scopes are named.
pub(crate) fn create(body: &[u8], version: ApiVersion) -> Result<Option<TokenRequest>, Refusal> {
    let fields = if body.is_empty() { Map::new() } else { object(body)? };
    // A lifetime that cannot be is refused even where there is no token to have it.
    let lifetime = lifetime(&fields, version)?;
    let scopes = scopes(&fields, "createTokenWithScopes", "CreateTokenWithScopes", version)?;
    Ok(scopes.map(|scopes| TokenRequest { scopes, lifetime }))
}

/// The body of issue.
pub(crate) fn issue(body: &[u8], version: ApiVersion) -> Result<TokenRequest, Refusal> {
    let fields = if body.is_empty() { Map::new() } else { object(body)? };
    let scopes = scopes(&fields, "scopes", "Scopes", version)?;
    let scopes = scopes.ok_or_else(|| required("Scopes"))?;
    Ok(TokenRequest { scopes, lifetime: lifetime(&fields, version)? })
}

/// The body of exchange.
pub(crate) struct ExchangeRequest {
    /// Of Microsoft Entra ID.
    pub(crate) token: String,
    pub(crate) app_id: String,
    pub(crate) user_id: String,
}

pub(crate) fn exchange(body: &[u8]) -> Result<ExchangeRequest, Refusal> {
    let fields = object(body)?;
    // An empty token is a token, and not a valid one.
    let text = |name: &str, target| match fields.get(name) {
        None | Some(Value::Null) => Err(required(target)),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Refusal::invalid(target, format!("`{name}` has to be a text."))),
    };
    Ok(ExchangeRequest {
        token: text("token", "token")?,
        app_id: text("appId", "appId")?,
        user_id: text("userId", "userId")?,
    })
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        // The library's own sentence can quote the body, which can be a token.
        let message = if error.is_data() {
            "The body has to be a JSON object.".to_owned()
        } else {
            format!("The body is no valid JSON at line {}, column {}.", error.line(), error.column())
        };
        Refusal::malformed(message)
    })
}

fn required(target: &'static str) -> Refusal {
    Refusal::invalid(target, format!("{target}: The {target} field is required."))
}

/// The scopes under `name`, each once; `None` where there are none.
fn scopes(
    fields: &Map<String, Value>,
    name: &str,
    target: &'static str,
    version: ApiVersion,
) -> Result<Option<Vec<Scope>>, Refusal> {
    let invalid = || {
        let known: Vec<_> = Scope::known(version).map(Scope::as_str).collect();
        let message = format!("`{name}` has to be an array of scopes out of {}.", known.join(", "));
        Refusal::invalid(target, message)
    };
    let named = match fields.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(named)) => named,
        Some(_) => return Err(invalid()),
    };
    let mut scopes = Vec::new();
    for name in named {
        let scope = Scope::known(version).find(|scope| name == scope.as_str()).ok_or_else(invalid)?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(Some(scopes).filter(|scopes| !scopes.is_empty()))
}

/// Seconds. A version that does not know the field ignores it as any other it does not know.
fn lifetime(fields: &Map<String, Value>, version: ApiVersion) -> Result<u64, Refusal> {
    const TARGET: &str = "ExpiresInMinutes";
    let minutes = match fields.get("expiresInMinutes") {
        Some(minutes) if version >= ApiVersion::V2022_10_01 && !minutes.is_null() => {
            let whole = minutes.as_i64().filter(|minutes| i32::try_from(*minutes).is_ok());
            whole.ok_or_else(|| Refusal::invalid(TARGET, "`expiresInMinutes` has to be a whole number."))?
        }
        _ => DEFAULT_MINUTES,
    };
    let (least, most) = MINUTES.into_inner();
    let seconds = u64::try_from(minutes * 60).ok().filter(|_| MINUTES.contains(&minutes));
    seconds.ok_or_else(|| {
        Refusal::invalid(
            TARGET,
            format!("ExpiresInMinutes value {minutes} is invalid. Value must be within the [{least}, {most}] interval."),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: ApiVersion = ApiVersion::V2023_10_01;

    #[test]
    fn every_way_to_ask_for_no_token_is_understood() {
        for body in [
            "",
            "{}",
            r#"{"createTokenWithScopes":null,"expiresInMinutes":null}"#,
            r#"{"createTokenWithScopes":[]}"#,
            r#"{"expiresInMinutes":60,"else":{}}"#,
        ] {
            assert_eq!(create(body.as_bytes(), NOW).unwrap(), None, "{body}");
        }
    }

    #[test]
    fn scopes_are_taken_once_and_in_their_order() {
        let wanted = issue(br#"{"scopes":["voip","chat","voip"]}"#, NOW).unwrap();
        assert_eq!(wanted, TokenRequest { scopes: vec![Scope::Voip, Scope::Chat], lifetime: 86_400 });
    }

    #[test]
    fn what_is_no_object_is_refused_without_being_quoted() {
        for body in ["{", "null", "[\"chat\"]", "\"hush\"", "1", "{\"scopes\":[\"chat\"]}x", "\u{feff}{}"] {
            let refusal = issue(body.as_bytes(), NOW).unwrap_err();
            assert_eq!(refusal.status(), 400, "{body}");
            assert!(!refusal.why().contains("hush"));
        }
    }

    #[test]
    fn a_version_has_only_what_was_there_already() {
        let body = br#"{"scopes":["chat"],"expiresInMinutes":1}"#;
        assert_eq!(issue(body, ApiVersion::V2022_06_01).unwrap().lifetime, 86_400);
        assert!(issue(body, ApiVersion::V2022_10_01).is_err());
        let narrow = br#"{"scopes":["chat.join"]}"#;
        assert!(issue(narrow, ApiVersion::V2022_10_01).is_err() && issue(narrow, NOW).is_ok());
    }
}
