//! The five operations of the identity API, and which of them a request asks for.
//!
//! Paths are split first and decoded afterwards, once, so that every escaping of an identity's id reaches the same identity.

use axum::http::{Method, Uri};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::version::ApiVersion;

/// What the service does for its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// Creates an identity, with a token where scopes are named.
    Create,
    /// Issues an access token.
    Issue,
    /// Revokes all access tokens of an identity.
    Revoke,
    /// Deletes an identity, and with it its tokens.
    Delete,
    /// Exchanges a token of Microsoft Entra ID for one of a Teams user.
    Exchange,
}

impl Operation {
    /// The first version of the API that has it.
    pub(crate) fn since(self) -> ApiVersion {
        match self {
            Self::Exchange => ApiVersion::V2022_06_01,
            Self::Create | Self::Issue | Self::Revoke | Self::Delete => ApiVersion::V2021_03_07,
        }
    }

    /// For the log, in place of paths: those hold ids of people.
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

/// An operation, and on whom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    /// The id of an identity as it stands in the path, decoded; empty where the path has none.
    pub(crate) identity: String,
}

/// What a request asks for, by its method and path.
pub(crate) fn asked(method: &Method, uri: &Uri) -> Result<Asked, Refusal> {
    let path =
        segments(uri.path()).ok_or_else(|| Refusal::malformed("The path does not decode to UTF-8 text."))?;
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    let (allow, operation, identity) = match path.as_slice() {
        ["identities"] => ("POST", Operation::Create, ""),
        ["identities", id] if !id.is_empty() => ("DELETE", Operation::Delete, *id),
        ["identities", id, ":issueAccessToken"] => ("POST", Operation::Issue, *id),
        ["identities", id, ":revokeAccessTokens"] => ("POST", Operation::Revoke, *id),
        ["teamsUser", ":exchangeAccessToken"] => ("POST", Operation::Exchange, ""),
        ["access", "teamsExtension", ..] => {
            return Err(Refusal::not_emulated("The Teams extension (`/access/teamsExtension`)"));
        }
        _ => return Err(Refusal::not_found("No operation of the identity API has this path.")),
    };
    if method.as_str() != allow {
        return Err(Refusal::method_not_allowed(allow));
    }
    Ok(Asked { operation, identity: identity.to_owned() })
}

fn segments(path: &str) -> Option<Vec<String>> {
    let decode = |segment| percent_decode_str(segment).decode_utf8().map(Into::into).ok();
    path.strip_prefix('/').unwrap_or(path).split('/').map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &'static str) -> Result<(Operation, String), u16> {
        let asked = asked(&method.parse().unwrap(), &Uri::from_static(path));
        asked.map(|asked| (asked.operation, asked.identity)).map_err(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn both_escapings_of_an_id_reach_the_same_identity() {
        for path in
            ["/identities/8:acs:a_b/:issueAccessToken", "/identities/8%3Aacs%3aa_b/%3AissueAccessToken"]
        {
            assert_eq!(ask("POST", path), Ok((Operation::Issue, "8:acs:a_b".to_owned())));
        }
        let with_a_slash = ask("DELETE", "/identities/a%2F:issueAccessToken?api-version=1");
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
            assert_eq!(ask(method, path), Err(status), "{method} {path}");
        }
    }
}
