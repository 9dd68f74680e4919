//! The identity API as data: its operations and their paths, its `api-version`s, and the scopes of access tokens.
//!
//! Paths are split first and percent-decoded afterwards, once, so that every escaping of an id names the same identity.
//!
//! <https://learn.microsoft.com/rest/api/communication/identity/communication-identity>

use axum::http::{Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use crate::error::ApiError;

/// An operation of the identity API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// Creates an identity, with a token if scopes are given.
    Create,
    /// Issues an access token.
    Issue,
    /// Revokes all access tokens of an identity.
    Revoke,
    /// Deletes an identity and revokes its tokens.
    Delete,
    /// Exchanges a Microsoft Entra token for an access token of a Teams user.
    Exchange,
}

impl Operation {
    /// The first version of the API that has the operation.
    pub(crate) fn since(self) -> ApiVersion {
        match self {
            Self::Exchange => ApiVersion::V2022_06_01,
            Self::Create | Self::Issue | Self::Revoke | Self::Delete => ApiVersion::V2021_03_07,
        }
    }

    /// The name for the log, which has no paths because they contain ids of users.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Issue => "issue",
            Self::Revoke => "revoke",
            Self::Delete => "delete",
            Self::Exchange => "exchange",
        }
    }
}

/// What the method and path of a request ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    /// The decoded id of the identity in the path; empty where the path has none.
    pub(crate) identity: String,
}

impl Route {
    pub(crate) fn parse(method: &Method, uri: &Uri) -> Result<Self, ApiError> {
        let path = decode_segments(uri.path())
            .ok_or_else(|| ApiError::malformed("The path does not decode to UTF-8 text."))?;
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        let (allow, operation, identity) = match path.as_slice() {
            ["identities"] => ("POST", Operation::Create, ""),
            ["identities", id] if !id.is_empty() => ("DELETE", Operation::Delete, *id),
            ["identities", id, ":issueAccessToken"] => ("POST", Operation::Issue, *id),
            ["identities", id, ":revokeAccessTokens"] => ("POST", Operation::Revoke, *id),
            ["teamsUser", ":exchangeAccessToken"] => ("POST", Operation::Exchange, ""),
            ["access", "teamsExtension", ..] => {
                return Err(ApiError::not_emulated("The Teams extension (`/access/teamsExtension`)"));
            }
            _ => return Err(ApiError::not_found("No operation of the identity API has this path.")),
        };
        if method.as_str() != allow {
            return Err(ApiError::method_not_allowed(allow));
        }
        Ok(Self { operation, identity: identity.to_owned() })
    }
}

fn decode_segments(path: &str) -> Option<Vec<String>> {
    let decode = |segment| percent_decode_str(segment).decode_utf8().map(Into::into).ok();
    path.strip_prefix('/').unwrap_or(path).split('/').map(decode).collect()
}

/// The value of the response header `api-supported-versions`.
pub(crate) const SUPPORTED_VERSIONS: &str = "2021-03-07, 2022-06-01, 2022-10-01, 2023-10-01, 2025-06-30";

/// The stable versions of the identity API, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ApiVersion {
    /// Create, delete, revoke, issue.
    V2021_03_07,
    /// Adds the exchange of Teams tokens.
    V2022_06_01,
    /// Adds `expiresInMinutes`.
    V2022_10_01,
    /// Adds the scopes that only join.
    V2023_10_01,
    /// Adds nothing to identities.
    V2025_06_30,
}

impl ApiVersion {
    const ALL: [(Self, &'static str); 5] = [
        (Self::V2021_03_07, "2021-03-07"),
        (Self::V2022_06_01, "2022-06-01"),
        (Self::V2022_10_01, "2022-10-01"),
        (Self::V2023_10_01, "2023-10-01"),
        (Self::V2025_06_30, "2025-06-30"),
    ];

    /// Reads the required query parameter `api-version`; its name ignores case.
    ///
    /// The error for an unsupported version is published; the other errors follow ASP.NET API versioning.
    pub(crate) fn from_query(uri: &Uri) -> Result<Self, ApiError> {
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let mut versions = query.filter(|(name, _)| name.eq_ignore_ascii_case("api-version"));
        let first = versions.next().map(|(_, version)| version).filter(|version| !version.is_empty());
        let Some(version) = first else {
            let message =
                format!("An API version is required, but was not specified. Supported are {SUPPORTED_VERSIONS}.");
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "ApiVersionUnspecified", message));
        };
        if versions.next().is_some() {
            let message = "The query has `api-version` more than once.";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "AmbiguousApiVersion", message));
        }
        let supported = Self::ALL.into_iter().find(|(_, name)| *name == version);
        supported.map(|(version, _)| version).ok_or_else(|| Self::unsupported(uri, &version))
    }

    pub(crate) fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The error for a request that `version` does not have.
    pub(crate) fn unsupported(uri: &Uri, version: &str) -> ApiError {
        let message = format!(
            "The HTTP resource that matches the request URI '{uri}' does not support the API version '{version}'.",
        );
        // A version has ten characters; a longer value must not fill the log.
        let short: String = version.chars().take(20).collect();
        let logged = format!("expected an `api-version` with this operation, of {SUPPORTED_VERSIONS}; got {short:?}");
        ApiError::new(StatusCode::BAD_REQUEST, "UnsupportedApiVersion", message).with_log_message(logged)
    }
}

/// A scope of an access token: what its bearer may do in chat or calls.
///
/// The names are those of the service and are case-sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Scope {
    /// All of chat.
    #[serde(rename = "chat")]
    Chat,
    /// Chat, except to create, change and delete threads.
    #[serde(rename = "chat.join")]
    ChatJoin,
    /// Chat for guests: messages, receipts and typing indicators.
    #[serde(rename = "chat.join.limited")]
    ChatJoinLimited,
    /// To start and join calls.
    #[serde(rename = "voip")]
    Voip,
    /// To join calls.
    #[serde(rename = "voip.join")]
    VoipJoin,
}

impl Scope {
    /// The scopes with their names and the first version of the API that has them.
    const ALL: [(Self, &'static str, ApiVersion); 5] = [
        (Self::Chat, "chat", ApiVersion::V2021_03_07),
        (Self::ChatJoin, "chat.join", ApiVersion::V2023_10_01),
        (Self::ChatJoinLimited, "chat.join.limited", ApiVersion::V2023_10_01),
        (Self::Voip, "voip", ApiVersion::V2021_03_07),
        (Self::VoipJoin, "voip.join", ApiVersion::V2023_10_01),
    ];

    /// The name of the scope in requests and tokens.
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The scopes that a version of the API has.
    pub(crate) fn all_in(version: ApiVersion) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |(.., since)| *since <= version).map(|(scope, ..)| scope)
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known, _)| *known == name).map(|(scope, ..)| scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, path: &'static str) -> Result<(Operation, String), u16> {
        let route = Route::parse(&method.parse().unwrap(), &Uri::from_static(path));
        route.map(|route| (route.operation, route.identity)).map_err(|error| error.status().as_u16())
    }

    #[test]
    fn both_escapings_of_an_id_name_the_same_identity() {
        for path in ["/identities/8:acs:a_b/:issueAccessToken", "/identities/8%3Aacs%3aa_b/%3AissueAccessToken"] {
            assert_eq!(parse("POST", path), Ok((Operation::Issue, "8:acs:a_b".to_owned())));
        }
        let with_a_slash = parse("DELETE", "/identities/a%2F:issueAccessToken?api-version=1");
        assert_eq!(with_a_slash, Ok((Operation::Delete, "a/:issueAccessToken".to_owned())));
    }

    #[test]
    fn a_wrong_method_is_405_and_an_unknown_path_404() {
        for (method, path, status) in [
            ("GET", "/identities", 405),
            ("PUT", "/identities/8:acs:a_b", 405),
            ("DELETE", "/identities/8:acs:a_b/:issueAccessToken", 405),
            ("GET", "/teamsUser/:exchangeAccessToken", 405),
            ("POST", "/", 404),
            ("POST", "/Identities", 404),
            ("DELETE", "/identities/", 404),
            ("POST", "/identities/8:acs:a_b/:suspend", 404),
            ("POST", "/identities/8:acs:a_b/:issueAccessToken/more", 404),
            ("POST", "/identities/%FF/:issueAccessToken", 400),
            ("POST", "/access/teamsExtension/:exchangeAccessToken", 501),
        ] {
            assert_eq!(parse(method, path), Err(status), "{method} {path}");
        }
    }

    fn version(uri: &str) -> Result<ApiVersion, &'static str> {
        ApiVersion::from_query(&uri.parse().unwrap()).map_err(|error| error.code())
    }

    #[test]
    fn every_announced_version_is_supported() {
        let announced: Vec<_> = SUPPORTED_VERSIONS
            .split(", ")
            .map(|announced| version(&format!("/identities?api-version={announced}")))
            .collect();
        assert_eq!(announced, ApiVersion::ALL.map(|(version, _)| Ok(version)));
        assert!(ApiVersion::ALL.into_iter().all(|(version, name)| version.as_str() == name));
        assert_eq!(version("/identities?x=1&Api-Version=2023%2D10-01"), Ok(ApiVersion::V2023_10_01));
    }

    #[test]
    fn each_version_error_has_its_code() {
        for (query, expected) in [
            ("", "ApiVersionUnspecified"),
            ("?api-version=", "ApiVersionUnspecified"),
            ("?api-version=2023-10-01&api-version=2023-10-01", "AmbiguousApiVersion"),
            ("?api-version=2023-10-02", "UnsupportedApiVersion"),
            ("?api-version=2023-10-01-preview", "UnsupportedApiVersion"),
        ] {
            assert_eq!(version(&["/identities", query].concat()), Err(expected), "{query}");
        }
    }

    #[test]
    fn a_scope_is_parsed_from_the_name_it_serializes_to() {
        for (scope, name, _) in Scope::ALL {
            assert_eq!(Scope::from_name(name), Some(scope));
            assert_eq!((scope.as_str(), serde_json::to_value(scope).unwrap()), (name, name.into()));
        }
        assert_eq!(Scope::from_name("Chat"), None);
    }

    #[test]
    fn join_scopes_exist_since_2023_10_01() {
        assert_eq!(Scope::all_in(ApiVersion::V2022_10_01).count(), 2);
        assert_eq!(Scope::all_in(ApiVersion::V2023_10_01).count(), 5);
    }
}
