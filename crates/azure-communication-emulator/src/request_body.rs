//! Reads and parses request bodies.
//!
//! As in the service, absent and `null` mean the same, unknown fields are ignored, and a number in quotes is a string.

use axum::body::Body;
use http_body_util::BodyExt as _;
use http_server::BodyTimeout;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::identity_api::{ApiVersion, Scope};

/// The maximum size of a body, in bytes. The largest that clients send is an Entra token of a few thousand bytes.
const MAX_BODY_BYTES: usize = 64 << 10;

/// The lifetimes of tokens, in minutes.
const LIFETIME_MINUTES: std::ops::RangeInclusive<i64> = 60..=1440;
const DEFAULT_LIFETIME_MINUTES: i64 = *LIFETIME_MINUTES.end();

/// Reads the whole body.
pub(crate) async fn read(mut body: Body) -> Result<Vec<u8>, ApiError> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let is_late = BodyTimeout::is_cause_of(&error);
            if is_late { ApiError::body_timeout() } else { ApiError::malformed("The body is incomplete.") }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        whole.extend_from_slice(&data);
        if whole.len() > MAX_BODY_BYTES {
            return Err(ApiError::too_large(MAX_BODY_BYTES));
        }
    }
    Ok(whole)
}

/// A token to issue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TokenRequest {
    /// At least one.
    pub(crate) scopes: Vec<Scope>,
    pub(crate) lifetime_seconds: u64,
}

/// Parses the body of create, which may be empty. A token is issued if it has scopes.
pub(crate) fn parse_create(body: &[u8], version: ApiVersion) -> Result<Option<TokenRequest>, ApiError> {
    let fields = if body.is_empty() { Map::new() } else { object(body)? };
    // The lifetime is validated even where no token is issued.
    let lifetime_seconds = lifetime(&fields, version)?;
    let scopes = scopes(&fields, "createTokenWithScopes", "CreateTokenWithScopes", version)?;
    Ok(scopes.map(|scopes| TokenRequest { scopes, lifetime_seconds }))
}

/// Parses the body of issue.
pub(crate) fn parse_issue(body: &[u8], version: ApiVersion) -> Result<TokenRequest, ApiError> {
    let fields = if body.is_empty() { Map::new() } else { object(body)? };
    let scopes = scopes(&fields, "scopes", "Scopes", version)?;
    let scopes = scopes.ok_or_else(|| required("Scopes"))?;
    Ok(TokenRequest { scopes, lifetime_seconds: lifetime(&fields, version)? })
}

/// The body of exchange.
pub(crate) struct ExchangeRequest {
    /// The token of Microsoft Entra ID.
    pub(crate) token: String,
    pub(crate) app_id: String,
    pub(crate) user_id: String,
}

/// Parses the body of exchange.
pub(crate) fn parse_exchange(body: &[u8]) -> Result<ExchangeRequest, ApiError> {
    let fields = object(body)?;
    // An empty token is present, but invalid.
    let text = |name: &str, target| match fields.get(name) {
        None | Some(Value::Null) => Err(required(target)),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(ApiError::invalid(target, format!("`{name}` must be a string."))),
    };
    Ok(ExchangeRequest {
        token: text("token", "token")?,
        app_id: text("appId", "appId")?,
        user_id: text("userId", "userId")?,
    })
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        // The message of `serde_json` can quote the body, which can be a token.
        let message = if error.is_data() {
            "The body must be a JSON object.".to_owned()
        } else {
            format!("The body is not valid JSON at line {}, column {}.", error.line(), error.column())
        };
        ApiError::malformed(message)
    })
}

fn required(target: &'static str) -> ApiError {
    ApiError::invalid(target, format!("{target}: The {target} field is required."))
}

/// Parses the scopes in the field `name`, without duplicates; `None` if there are none.
fn scopes(
    fields: &Map<String, Value>,
    name: &str,
    target: &'static str,
    version: ApiVersion,
) -> Result<Option<Vec<Scope>>, ApiError> {
    let invalid = || {
        let names: Vec<_> = Scope::all_in(version).map(Scope::as_str).collect();
        let message = format!("`{name}` must be an array of scopes out of {}.", names.join(", "));
        ApiError::invalid(target, message)
    };
    let named = match fields.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(named)) => named,
        Some(_) => return Err(invalid()),
    };
    let mut scopes = Vec::new();
    for name in named {
        let scope = Scope::all_in(version).find(|scope| name == scope.as_str()).ok_or_else(invalid)?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(Some(scopes).filter(|scopes| !scopes.is_empty()))
}

/// Parses the lifetime, in seconds. Versions without the field ignore it as any other unknown field.
fn lifetime(fields: &Map<String, Value>, version: ApiVersion) -> Result<u64, ApiError> {
    const TARGET: &str = "ExpiresInMinutes";
    let minutes = match fields.get("expiresInMinutes") {
        Some(minutes) if version >= ApiVersion::V2022_10_01 && !minutes.is_null() => {
            let whole = minutes.as_i64().filter(|minutes| i32::try_from(*minutes).is_ok());
            whole.ok_or_else(|| ApiError::invalid(TARGET, "`expiresInMinutes` must be a whole number."))?
        }
        _ => DEFAULT_LIFETIME_MINUTES,
    };
    let (min, max) = LIFETIME_MINUTES.into_inner();
    let seconds = u64::try_from(minutes * 60).ok().filter(|_| LIFETIME_MINUTES.contains(&minutes));
    seconds.ok_or_else(|| {
        let interval = format!("Value must be within the [{min}, {max}] interval.");
        ApiError::invalid(TARGET, format!("ExpiresInMinutes value {minutes} is invalid. {interval}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: ApiVersion = ApiVersion::V2023_10_01;

    #[test]
    fn a_body_without_scopes_requests_no_token() {
        for body in [
            "",
            "{}",
            r#"{"createTokenWithScopes":null,"expiresInMinutes":null}"#,
            r#"{"createTokenWithScopes":[]}"#,
            r#"{"expiresInMinutes":60,"else":{}}"#,
        ] {
            assert_eq!(parse_create(body.as_bytes(), NOW).unwrap(), None, "{body}");
        }
    }

    #[test]
    fn scopes_keep_their_order_without_duplicates() {
        let request = parse_issue(br#"{"scopes":["voip","chat","voip"]}"#, NOW).unwrap();
        assert_eq!(request, TokenRequest { scopes: vec![Scope::Voip, Scope::Chat], lifetime_seconds: 86_400 });
    }

    #[test]
    fn a_body_that_is_not_an_object_is_rejected_without_quoting_it() {
        for body in ["{", "null", "[\"chat\"]", "\"hush\"", "1", "{\"scopes\":[\"chat\"]}x", "\u{feff}{}"] {
            let error = parse_issue(body.as_bytes(), NOW).unwrap_err();
            assert_eq!(error.status(), 400, "{body}");
            assert!(!error.log_message().contains("hush"));
        }
    }

    #[test]
    fn a_version_has_no_later_features() {
        let body = br#"{"scopes":["chat"],"expiresInMinutes":1}"#;
        assert_eq!(parse_issue(body, ApiVersion::V2022_06_01).unwrap().lifetime_seconds, 86_400);
        assert!(parse_issue(body, ApiVersion::V2022_10_01).is_err());
        let narrow = br#"{"scopes":["chat.join"]}"#;
        assert!(parse_issue(narrow, ApiVersion::V2022_10_01).is_err() && parse_issue(narrow, NOW).is_ok());
    }
}
